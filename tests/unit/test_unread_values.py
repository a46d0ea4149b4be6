"""Values that cannot be read are counted by role, with the keys of some orders; blanks are no values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from cache_factory import Row, cache_in, publish
from schema_corpus import FOLDER, load
from schema_orders import in_key_order, schema_orders

from cache.analytics.orders import Orders
from cache.interpretation.unread_values import Unread
from cache.schema import Column, Kind
from dashboard.text import readings

pytestmark = pytest.mark.slow

TYPES: Mapping[str, tuple[str, Kind]] = {
    "id": ("bigint", "integer"),
    "order_date": ("varchar(40)", "text"),
    "cancelled_at": ("varchar(40)", "text"),
    "total_price": ("varchar(40)", "text"),
    "total_tax": ("decimal(12,2)", "decimal"),
    "line_items": ("text", "json"),
    "refunds": ("text", "json"),
    "test": ("tinyint(1)", "boolean"),
}
COLUMNS = tuple(
    Column(name=name, type=type, kind=kind, nullable=name != "id", key=int(name == "id"), digits=12, decimals=2)
    for name, (type, kind) in TYPES.items()
)
READABLE = {
    "order_date": "2025-03-04 10:00:00",
    "cancelled_at": None,
    "total_price": "12.50",
    "total_tax": "0.00",
    "line_items": '[{"sku": "MUG", "quantity": 1, "price": "12.50"}]',
    "refunds": "[]",
    "test": "0",
}


def rows(*changed: Mapping[str, str | None], count: int = 10) -> list[Row]:
    """Orders 1, 2, …, of which the first ones have other values."""
    orders: list[dict[str, str | None]] = [{"id": str(number), **READABLE} for number in range(1, count + 1)]
    for order, values in zip(orders, changed, strict=False):
        order |= values
    return list(orders)


def unread(folder: Path, listed: Sequence[Row], segments: int = 2) -> dict[str, Unread]:
    cache = cache_in(folder)
    publish(cache, listed, columns=COLUMNS, segments=segments)
    orders = Orders(cache.snapshots.open(), "UTC")
    orders.close()
    cache.close()
    return orders.unread


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("total_price", "twelve"),
        ("total_price", "12.50.10"),
        ("order_date", "soon"),
        ("order_date", "2025-13-40 10:00:00"),
        ("line_items", '[{"sku": "MUG", "quantity": 1, "price": "12.50"'),
        ("line_items", '[{"sku": "MUG", "quantity": "one", "price": "12.50"}]'),
        ("line_items", '[{"sku": "MUG", "quantity": 1, "price": "12.50 each"}]'),
        ("refunds", '[{"processed_at": "some day", "amount": "12.50"}]'),
        ("refunds", '[{"processed_at": "2025-03-05T10:00:00Z", "amount": "all of it"}]'),
    ],
)
def test_a_value_that_cannot_be_read_is_counted(tmp_path: Path, role: str, value: str) -> None:
    named = {"total_price": "total", "order_date": "created_at"}.get(role, role)
    counted = unread(tmp_path, rows({}, {role: value}))
    assert counted == {named: Unread(1, 10 if role != "refunds" else 1, ("2",))}


@pytest.mark.parametrize("nothing", [None, "", " ", "null", "N/A", "-", "[]", "0000-00-00 00:00:00"])
def test_a_blank_is_no_value(tmp_path: Path, nothing: str | None) -> None:
    blank = dict.fromkeys(("order_date", "cancelled_at", "total_price", "line_items", "refunds"), nothing)
    assert unread(tmp_path, rows(blank)) == {}


def test_three_keys_are_given_and_values_never(tmp_path: Path) -> None:
    counted = unread(tmp_path, rows(*[{"total_price": "a lot"}] * 7), segments=3)
    assert counted == {"total": Unread(7, 10, ("1", "2", "3"))}


def test_settings_tells_the_number_and_the_keys(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    publish(cache, rows(*[{"total_price": "a lot"}] * 7), columns=COLUMNS)
    orders = Orders(cache.snapshots.open(), "UTC")
    text = "7 of 10 values of total_price could not be read; for example orders 1, 2, 3"
    assert readings.unread(orders) == [("The total", text)]
    orders.close()
    cache.close()


def test_blanks_and_rows_that_are_no_orders_are_not_counted(tmp_path: Path) -> None:
    counted = unread(tmp_path, rows({"total_price": "?!x"}, {"total_price": "x", "test": "1"}, {"total_price": ""}))
    assert counted == {"total": Unread(1, 8, ("1",))}


def test_an_amount_beyond_all_prices_is_counted(tmp_path: Path) -> None:
    huge = [column.model_copy(update={"digits": 30, "decimals": 2}) for column in COLUMNS if column.name == "total_tax"]
    columns = [column for column in COLUMNS if column.name != "total_tax"] + huge
    cache = cache_in(tmp_path)
    publish(cache, rows({"total_tax": "9" * 28 + ".00"}), columns=columns)
    orders = Orders(cache.snapshots.open(), "UTC")
    assert orders.unread == {"tax": Unread(1, 10, ("1",))}
    orders.close()
    cache.close()


def test_counts_of_unchanged_segments_are_taken_over(tmp_path: Path) -> None:
    listed = rows(*[{"total_price": "x"}] * 6, count=12)
    cache = cache_in(tmp_path)
    publish(cache, listed, columns=COLUMNS, segments=4)
    before = Orders(cache.snapshots.open(), "UTC")
    listed[5] = {**listed[5], "total_price": "1.00"}  # in the second segment
    publish(cache, listed, columns=COLUMNS, segments=4)
    orders = Orders(cache.snapshots.open(), "UTC", before=before)
    assert before.unread == {"total": Unread(6, 12, ("1", "2", "3"))}
    assert orders.unread == {"total": Unread(5, 12, ("1", "2", "3"))}
    for each in (before, orders):
        each.close()
    cache.close()


def test_quantities_and_prices_of_line_rows_are_counted_by_order() -> None:
    schema = load(FOLDER / "line_rows")
    listed = in_key_order(schema)
    listed[0] = {**listed[0], "quantity": "few"}
    listed[-1] = {**listed[-1], "price": "cheap"}
    names = [row["order_name"] or "" for row in (listed[0], listed[-1])]
    texts = schema._replace(
        columns=tuple(c._replace(type="varchar(20)") if c.name in ("quantity", "price") else c for c in schema.columns)
    )
    with schema_orders(texts, listed) as orders:
        values = orders.figures(None).orders
        assert orders.unread == {
            "line_quantity": Unread(1, int(str(values)), (names[0],)),
            "line_price": Unread(1, int(str(values)), (names[1],)),
        }


def test_amounts_of_a_column_of_another_style_are_counted() -> None:
    schema = load(FOLDER / "amounts_german")
    listed = in_key_order(schema)
    listed[0] = {**listed[0], "total": "1,234.50"}
    with schema_orders(schema, listed) as orders:
        assert {role: each.count for role, each in orders.unread.items()} == {"total": 1}
