"""A table is read by its data: what each column means, how values are written, and what one row is."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from schema_corpus import corpus
from schema_orders import in_key_order, schema_orders

from cache.interpretation import evidence
from cache.table_setup import Setup

pytestmark = pytest.mark.slow

BY_NAME = {schema.name: schema for schema in corpus()}


@pytest.mark.parametrize("name", ["shopify_export", "export_spreadsheet", "line_rows", "versions"])
def test_the_order_of_rows_changes_no_figure(name: str) -> None:
    schema = BY_NAME[name]
    rows = in_key_order(schema)
    shuffled = random.Random(name).sample(rows, len(rows))
    with schema_orders(schema, rows) as one, schema_orders(schema, shuffled) as other:
        assert one.figures(None, units=True) == other.figures(None, units=True)
        assert one.groups(("currency", "status"), "month") == other.groups(("currency", "status"), "month")


def test_days_and_months_that_cannot_be_told_apart_are_a_question() -> None:
    schema = BY_NAME["ambiguous_dates"]
    truth = schema.truth
    with schema_orders(schema) as orders:
        assert orders.reading.questions == ("dates",)
        assert not orders.reading.confirmed
    setup = Setup(timezone=truth.timezone, source_timezone=truth.source_timezone, instants={"created_at": "day_first"})
    with schema_orders(schema, setup=setup) as orders:
        assert orders.reading.confirmed


def test_an_odd_repeat_does_not_turn_orders_into_lines() -> None:
    schema = BY_NAME["prisma"]
    rows = in_key_order(schema)
    with schema_orders(schema, [*rows, {**rows[0], "id": "999999"}]) as orders:
        assert orders.reading.grain == "order"
        assert orders.figures(None).orders + sum(orders.left_out.values()) == len(rows) + 1


def test_versions_that_are_far_apart_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Append-only tables have the versions of an order in segments that a sample may miss."""
    monkeypatch.setattr(evidence, "SAMPLED_ROWS", 10)
    schema = BY_NAME["versions"]
    seen: Counter[str | None] = Counter()
    versions: list[tuple[int, dict[str, str | None]]] = []  # first all first versions, then the second ones
    for row in sorted(schema.rows, key=lambda row: row["updated_at"] or ""):
        versions.append((seen[row["name"]], row))
        seen[row["name"]] += 1
    appended = [
        {**row, "id": str(number)} for number, (_, row) in enumerate(sorted(versions, key=lambda version: version[0]))
    ]
    with schema_orders(schema, appended, segments=len(schema.rows) // 4) as orders:
        assert orders.reading.grain == "version"
        assert orders.figures(None).orders == schema.truth.figures[0].orders


@pytest.mark.parametrize("amounts", [("1.234", "5.678"), ("1.234,50", "1,234.50")], ids=["undecided", "both"])
def test_amounts_that_may_mean_two_things_are_a_question_until_answered(amounts: tuple[str, str]) -> None:
    schema = BY_NAME["amounts_german"]
    names = ("subtotal", "discount_amount", "shipping", "tax", "total", "total_refunded")
    rows = [{**row, **dict.fromkeys(names, amounts[number % 2])} for number, row in enumerate(schema.rows)]
    with schema_orders(schema, rows) as orders:
        assert "amounts" in orders.reading.questions
    answered = Setup(timezone=schema.truth.timezone, amounts=dict.fromkeys(names, "comma"))
    with schema_orders(schema, rows, answered) as orders:
        assert "amounts" not in orders.reading.questions
        assert set(orders.reading.amounts.values()) == {"comma"}


def test_few_orders_confirm_nothing() -> None:
    with schema_orders(BY_NAME["few_orders"]) as orders:
        assert not orders.reading.confirmed
