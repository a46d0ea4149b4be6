"""The checks of a generation: computed at publish, at a cost that follows the changed rows, and stored with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from cache_factory import cache_in, publish
from long_cases import soak_but
from schema_corpus import corpus
from schema_orders import as_copied, columns_of, in_key_order
from shop_factory import SHOP_COLUMNS, shop

from cache.check_report import CheckReport
from cache.interpretation.chosen_reading import reading_in_use
from cache.settings import Settings
from cache.storage.store import Cache
from cache.table_setup import Setup
from checks import generation
from checks.generation import check_generation

pytestmark = pytest.mark.slow

Row = dict[str, str | None]
SCHEMAS = {schema.name: schema for schema in corpus()}
UNTIL = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    opened = cache_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def orders() -> list[Row]:
    return shop(2_000, UNTIL)


def checked(cache: Cache, rows: list[Row], **settings: str) -> CheckReport:
    """Publishes rows with their checks, and returns what is stored."""
    check = partial(check_generation, cache, Settings(**settings))  # type: ignore[arg-type]
    head = publish(cache, rows, columns=SHOP_COLUMNS, segments=4, check=check, verified_at=UNTIL)
    report = cache.snapshots.checks(head.generation)
    assert report is not None
    return report


def changed(orders: list[Row], seed: int) -> list[Row]:
    """Rows of which some are gone, some are new, and some have another total, status or note."""
    chance = random.Random(seed)
    rows = [dict(row) for row in orders]
    for row in chance.sample(rows, 16):
        if chance.random() < 0.5:
            row["note"] = f"changed {chance.random()}"
        else:
            row["total_price"] = str(Decimal(row["total_price"] or 0) + chance.randint(1, 9))
    gone = chance.sample(range(len(rows)), 5)
    return [row for place, row in enumerate(rows) if place not in gone]


def test_a_healthy_shop_adds_up(cache: Cache, orders: list[Row]) -> None:
    report = checked(cache, orders)
    assert report.ok == 1
    assert report.failing == ()
    assert report.orders == sum(row["test"] == "0" for row in orders)
    assert {"lines", "total", "refunds", "dates", "identity"} <= report.checks.keys()


def test_orders_that_fail_are_counted_with_their_keys_and_differences(cache: Cache, orders: list[Row]) -> None:
    rows = [dict(row) for row in orders]
    kept = [row for row in rows if row["test"] == "0"][10:13]
    for row in kept:
        row["total_price"] = str(Decimal(row["total_price"] or 0) + 5)
    report = checked(cache, rows)
    total = report.checks["total"]
    assert total.failed == 3
    assert set(total.examples) == {row["id"] for row in kept}
    assert sum(total.differences.values()) == 15
    assert report.failing == ("total",)
    assert report.ok == (report.orders - 3) / report.orders


def comparable(report: CheckReport) -> object:
    """A report, without the order in which its examples were found."""
    checks = {name: (each, set(each.examples)) for name, each in report.checks.items()}
    return (
        {name: (each.checked, each.agree, each.differences, keys) for name, (each, keys) in checks.items()},
        report.model_copy(update={"checks": {}}),
    )


@pytest.mark.parametrize("seed", soak_but((0,), range(4)))
def test_a_refresh_finds_what_a_check_of_all_orders_finds(
    cache: Cache, orders: list[Row], seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked(cache, orders)
    reading_in_use(cache, cache.snapshots.open(), Setup())  # as the first reader stores it
    second = changed(orders, seed)
    with monkeypatch.context() as patch:
        patch.delattr(generation._Checker, "_whole")
        refreshed = [checked(cache, second), checked(cache, changed(second, seed + 100))]
    for report, rows in zip(refreshed, (second, changed(second, seed + 100)), strict=True):
        with closing(cache_in(tmp_path / str(len(rows)))) as other:
            assert comparable(report) == comparable(checked(other, rows))


def test_a_new_order_with_the_number_of_another_one_is_found(cache: Cache, orders: list[Row]) -> None:
    checked(cache, orders)
    reading_in_use(cache, cache.snapshots.open(), Setup())
    twin = {**orders[-9], "id": str(int(orders[-1]["id"] or 0) + 1)}
    assert checked(cache, [*orders, twin]).checks["identity"].failed == 2
    assert checked(cache, orders).checks["identity"].failed == 0


def test_a_new_order_with_a_date_far_from_its_neighbours_is_found(cache: Cache, orders: list[Row]) -> None:
    checked(cache, orders)
    reading_in_use(cache, cache.snapshots.open(), Setup())
    moved = [
        {**row, "processed_at": "2026-05-30 00:00:00"} if place == 1_500 else row for place, row in enumerate(orders)
    ]
    assert checked(cache, moved).checks["dates"].failed == 1


def test_another_time_zone_starts_anew(cache: Cache, orders: list[Row]) -> None:
    first = checked(cache, orders)
    rows = [{**row, "note": "changed"} if place == 5 else row for place, row in enumerate(orders)]
    moved = checked(cache, rows, SHOP_TIMEZONE="Pacific/Auckland")
    assert moved.days != first.days
    assert sum(moved.days.values()) == sum(first.days.values())


@pytest.mark.parametrize("name", ["line_rows", "versions", "several_shops", "shopify_export"])
def test_tables_of_any_grain_are_checked(name: str, cache: Cache) -> None:
    schema = SCHEMAS[name]
    columns = columns_of(schema)
    check = partial(check_generation, cache, Settings())
    publish(cache, as_copied(in_key_order(schema), columns), columns=columns, segments=1, check=check)
    report = cache.snapshots.checks(1)
    assert report is not None
    assert (report.ok, report.failing) == (1, ())


def test_a_generation_is_published_even_if_its_checks_fail(
    cache: Cache, orders: list[Row], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(generation._Checker, "_whole", fail)
    check = partial(check_generation, cache, Settings())
    publish(cache, orders[:50], columns=SHOP_COLUMNS, check=check)
    assert cache.snapshots.checks(1) is None
    assert "The checks of generation 1 failed." in caplog.text


def test_a_damaged_result_counts_as_none(cache: Cache, orders: list[Row], tmp_path: Path) -> None:
    checked(cache, orders[:50])
    next(tmp_path.glob("cache/generations/*.checks")).write_bytes(b"{")
    assert cache.snapshots.checks(1) is None
    assert checked(cache, orders[:60]).orders > 0
