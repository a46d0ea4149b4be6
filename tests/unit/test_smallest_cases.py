"""Tables that once gave wrong figures, each the smallest of its kind, with the right values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cache_factory import cache_in, publish
from schema_corpus import Schema, Truth, parse_columns
from schema_orders import Row, columns_of, in_key_order, schema_orders

from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.table_setup import Setup

pytestmark = pytest.mark.slow

UTC = Setup(timezone="UTC", source_timezone="UTC")


class Case(NamedTuple):
    """A table of orders.

    Attributes:
        columns: Its columns, as CREATE TABLE takes them.
        rows: How many rows it has.
        row: The values of the row with a number, from 0; what is left out is NULL.
        right: The figures of all time, or of `month`.
        month: The first day of a month.
    """

    columns: str
    rows: int
    row: Callable[[int], Mapping[str, object]]
    right: Mapping[str, str]
    month: date | None = None


def order(number: int, **values: object) -> dict[str, object]:
    """An order with an id, a number and a date."""
    at = datetime(2025, 1, 1, 12) + timedelta(hours=6 * number)
    return {"id": number + 1, "name": f"#{1001 + number}", "created_at": at, **values}


def refund(*transactions: tuple[str, str]) -> str:
    """A refund of 50 without lines, as JSON; a transaction is its kind and status."""
    paid = [{"kind": kind, "status": status, "amount": "50.00"} for kind, status in transactions]
    return json.dumps([{"processed_at": "2025-02-01T10:00:00Z", "refund_line_items": [], "transactions": paid}])


ORDER = "id bigint, name varchar(20), created_at datetime"
LINES = [{"sku": "MUG", "quantity": 2, "originalUnitPriceSet": {"shopMoney": {"amount": "5.00"}}}]

CASES = {
    "created_at is the day of the import, created_at_shopify one a day": Case(
        "id bigint, name varchar(20), created_at datetime, created_at_shopify datetime, total_price decimal(10,2)",
        365,
        lambda i: order(
            i,
            created_at=datetime(2026, 1, 2, 3, 0, i % 60),
            created_at_shopify=datetime(2025, 1, 1, 10) + timedelta(days=i),
            total_price="10.00",
        ),
        {"orders": "31", "total_sales": "310.00"},
        date(2025, 1, 1),
    ),
    "100 orders × 3 lines": Case(
        "id int, order_name varchar(20), created_at datetime, subtotal_price decimal(10,2), "
        "total_discounts decimal(10,2), total_price decimal(10,2), sku varchar(20), title varchar(20), "
        "price decimal(10,2), quantity int",
        300,
        lambda i: order(
            i // 3,
            id=i + 1,
            order_name=f"#{1001 + i // 3}",
            subtotal_price="135.50",
            total_discounts="0.00",
            total_price="135.50",
            sku="ABC"[i % 3],
            title="Mug",
            price=("100.00", "25.00", "10.50")[i % 3],
            quantity=1,
        ),
        {"orders": "100", "total_sales": "13550.00", "units": "300"},
    ),
    "total_price VARCHAR, half 99.00, half 1,234.50": Case(
        f"{ORDER}, total_price varchar(20)",
        100,
        lambda i: order(i, total_price=("99.00", "1,234.50")[i % 2]),
        {"orders": "100", "total_sales": "66675.00"},
    ),
    **{
        f"total_price {text}": Case(
            f"{ORDER}, total_price varchar(20)",
            100,
            lambda i, text=text: order(i, total_price=text),  # type: ignore[misc]
            {"orders": "100", "total_sales": "123450.00"},
        )
        for text in ("1234,50", "$1234.50", "1234.50 USD", "1.234,50")
    },
    "dates of an export that went through a spreadsheet": Case(
        "id bigint, name varchar(20), created_at varchar(20), total_price decimal(10,2)",
        100,
        lambda i: order(i, created_at=f"11/{i % 28 + 1:02d}/24 09:17", total_price="10.00"),
        {"orders": "100", "total_sales": "1000.00"},
        date(2024, 11, 1),
    ),
    "an export of a shop whose prices include tax": Case(
        "Name varchar(20), `Created at` varchar(40), Subtotal varchar(20), Shipping varchar(20), Taxes varchar(20), "
        "Total varchar(20), `Discount Amount` varchar(20), `Lineitem quantity` varchar(20), "
        "`Lineitem name` varchar(20), `Lineitem price` varchar(20)",
        100,
        lambda i: {
            "Name": f"#{1001 + i}",
            "Created at": f"{datetime(2025, 1, 1, 12) + timedelta(hours=i)} +0100",
            "Subtotal": "1448.94",
            "Shipping": "28.05",
            "Taxes": "188.34" if i < 97 else "188.33",
            "Total": "1476.99",
            "Discount Amount": "0.00",
            "Lineitem quantity": "1",
            "Lineitem name": "Sofa",
            "Lineitem price": "1448.94",
        },
        {"orders": "100", "taxes": "18833.97", "total_sales": "147699.00"},
    ),
    "line items as GraphQL": Case(
        f"{ORDER}, total_price decimal(10,2), line_items longtext",
        100,
        lambda i: order(i, total_price="10.00", line_items=json.dumps({"edges": [{"node": LINES[0]}]})),
        {"orders": "100", "units": "200", "gross_sales": "1000.00"},
    ),
    "columns called file, r, l and t beside JSON columns": Case(
        f"{ORDER}, total_price decimal(10,2), line_items longtext, refunds longtext, file varchar(20), r int, l int, "
        "t int",
        100,
        lambda i: order(
            i, total_price="10.00", line_items=json.dumps(LINES), refunds="[]", file="a.csv", r=1, l=2, t=3
        ),
        {"orders": "100", "units": "200"},
    ),
    "two shops with the same order numbers": Case(
        f"{ORDER}, shop varchar(20), total_price decimal(10,2)",
        100,
        lambda i: order(i % 50, id=i + 1, shop=("north", "south")[i // 50], total_price="10.00"),
        {"orders": "100", "total_sales": "1000.00"},
    ),
    "a refund without lines, transactions failure 50 and success 50": Case(
        f"{ORDER}, total_price decimal(10,2), refunds longtext",
        100,
        lambda i: order(
            i, total_price="100.00", refunds=refund(("refund", "failure"), ("refund", "success")) if i == 7 else "[]"
        ),
        {"returns": "50.00", "total_sales": "9950.00"},
    ),
    **{
        f"a refund without lines, its transaction {kind} {status}": Case(
            f"{ORDER}, total_price decimal(10,2), refunds longtext",
            100,
            lambda i, transaction=(kind, status): order(  # type: ignore[misc]
                i, total_price="100.00", refunds=refund(transaction) if i == 7 else "[]"
            ),
            {"returns": "0.00", "total_sales": "10000.00"},
        )
        for kind, status in (("refund", "pending"), ("void", "success"))
    },
    "deleted_at set on 40 of 100 rows": Case(
        f"{ORDER}, total_price decimal(10,2), deleted_at datetime",
        100,
        lambda i: order(i, total_price="10.00", deleted_at="2025-03-01 10:00:00" if i < 40 else None),
        {"orders": "60", "total_sales": "600.00"},
    ),
    "_fivetran_deleted = 1 on 40 of 100 rows": Case(
        f"{ORDER}, total_price decimal(10,2), _fivetran_deleted tinyint(1)",
        100,
        lambda i: order(i, total_price="10.00", _fivetran_deleted=int(i < 40)),
        {"orders": "60", "total_sales": "600.00"},
    ),
    "FLOAT(10,2), 10,000 × 12345.67": Case(
        f"{ORDER}, total_price float(10,2)",
        10_000,
        lambda i: order(i, created_at=datetime(2025, 1, 1) + timedelta(minutes=i), total_price="12345.67"),
        {"orders": "10000", "total_sales": "123456700.00"},
    ),
    "a voided order of 100 with cancelled_at and no refund": Case(
        f"{ORDER}, cancelled_at datetime, financial_status varchar(20), total_price decimal(10,2)",
        1,
        lambda i: order(i, cancelled_at="2025-02-01 10:00:00", financial_status="voided", total_price="100.00"),
        {"orders": "1", "total_sales": "0.00"},
    ),
}


def schema_of(case: Case) -> Schema:
    """The table with its rows. Its first column is its key, where it is an id."""
    listed = case.columns.replace(", ", ",\n").replace("(10,\n2)", "(10,2)")
    key = ",\nPRIMARY KEY (id)" if listed.startswith("id ") else ""
    columns = parse_columns(f"CREATE TABLE orders (\n{listed}{key}\n)")
    rows = tuple({column.name: _text(case.row(i).get(column.name)) for column in columns} for i in range(case.rows))
    return Schema("case", "", columns, rows, Truth.model_construct(timezone="UTC", source_timezone="UTC"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def figures(orders: Orders, names: Sequence[str], span: Span | None = None) -> dict[str, Any]:
    counted = orders.figures(span, units=True)
    return {name: METRICS[name].value(counted) for name in names}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_smallest_case_of_each_fault_has_its_right_figures(case: Case) -> None:
    first = case.month and datetime.combine(case.month, datetime.min.time())
    span = first and Span(first, (first + timedelta(days=31)).replace(day=1))
    with schema_orders(schema_of(case)) as orders:
        assert figures(orders, list(case.right), span) == {name: Decimal(value) for name, value in case.right.items()}


def test_a_column_file_of_numbers_leaves_no_row_out_of_a_later_generation(tmp_path: Path) -> None:
    case = Case(
        f"{ORDER}, file int, total_price decimal(10,2)",
        15_000,
        lambda i: order(i, created_at=datetime(2025, 1, 1) + timedelta(minutes=i), file=i // 5000, total_price="1.00"),
        {},
    )
    schema = schema_of(case)
    columns, rows = columns_of(schema), in_key_order(schema)
    changed: list[Row] = [{**row, "total_price": "2.00"} if row["id"] == "7500" else row for row in rows]
    cache = cache_in(tmp_path)
    publish(cache, rows, columns=columns, segments=3)
    before = Orders(cache.snapshots.open(), "UTC", UTC)
    publish(cache, changed, columns=columns, segments=3)
    after = Orders(cache.snapshots.open(), "UTC", UTC, before=before)
    right = {"orders": 15_000, "total_sales": Decimal("15001.00")}
    assert figures(after, list(right)) == right
    for opened in (before, after):
        opened.close()
    cache.close()
