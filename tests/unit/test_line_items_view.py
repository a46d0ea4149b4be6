"""The view that joins orders with line items out of another table, and what the Products page says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, cards, run, table

from cache.line_items_view import create_view, find_lines, has_items
from cache.schema import Column

ORDERS = ("id", "name", "created_at", "total_price")
LINES = ("id", "order_id", "product_name", "SKU", "qty", "unit_price")


def column(name: str, type: str, key: int = 0) -> Column:
    kind = {"bigint": "integer", "varchar(50)": "text", "datetime": "datetime", "decimal(12,2)": "decimal"}[type]
    digits, decimals = (12, 2) if kind == "decimal" else (0, 0)
    return Column.model_validate(
        {"name": name, "type": type, "kind": kind, "nullable": True, "key": key, "digits": digits, "decimals": decimals}
    )


OF_ORDERS = [
    column("id", "bigint", key=1),
    column("name", "varchar(50)"),
    column("created_at", "datetime"),
    column("total_price", "decimal(12,2)"),
]
OF_THE_VIEW = [
    *(each.model_copy(update={"key": 0}) for each in OF_ORDERS),
    column("line_item_name", "varchar(50)"),
    column("line_item_sku", "varchar(50)"),
    column("line_item_quantity", "bigint"),
    column("line_item_price", "decimal(12,2)"),
]


def joined(orders: int) -> list[Row]:
    """What the view gives for orders of two cups, and of a pen each second time."""
    rows: list[Row] = []
    for i in range(orders):
        lines = [("Cup", "CUP", "2", "25.00"), ("Pen", "PEN", "1", "10.00")][: 1 + i % 2]
        of_order = {"id": str(i), "name": f"#{1000 + i}", "created_at": f"2026-06-{1 + i % 28:02} 10:00:00"}
        for title, sku, quantity, price in lines:
            names = {"line_item_name": title, "line_item_sku": sku}
            numbers = {"line_item_quantity": quantity, "line_item_price": price}
            rows.append({**of_order, "total_price": "60.00" if i % 2 else "50.00", **names, **numbers})
    return rows


def test_the_table_of_line_items_is_found_by_what_it_refers_to() -> None:
    others = {"customers": ("id", "email"), "notes": ("id", "order_id", "text"), "order_items": LINES}
    assert find_lines("orders", others) == ("order_items", "order_id")
    assert find_lines("bestellungen", {"lines": ("bestellungen_id", "quantity")}) == ("lines", "bestellungen_id")
    assert find_lines("orders", {"notes": ("order_id", "text")}) is None
    assert (has_items(ORDERS), has_items((*ORDERS, "line_items")), has_items(LINES)) == (False, True, True)


def test_the_statement_names_the_columns_that_were_found() -> None:
    assert create_view("shop", "orders", "id", "order`items", "order_id", LINES) == (
        "CREATE VIEW `shop`.`orders_with_items` AS\n"
        "SELECT o.*,\n"
        "  l.`product_name` AS line_item_name,\n"
        "  l.`SKU` AS line_item_sku,\n"
        "  l.`qty` AS line_item_quantity,\n"
        "  l.`unit_price` AS line_item_price\n"
        "FROM `shop`.`orders` AS o\n"
        "LEFT JOIN `shop`.`order``items` AS l ON l.`order_id` = o.`id`"
    )


@pytest.mark.slow
def test_the_rows_of_the_view_give_products_and_right_orders(tmp_path: Path) -> None:
    with backend_of(tmp_path, joined(100), OF_THE_VIEW) as backend:
        shown = run(backend, "products", {"period": "all"})
    assert [line[:4] for line in table(shown, "Top products")[1:]] == [
        ["Cup", "CUP", "200", "100"],
        ["Pen", "PEN", "50", "50"],
        ["All products", "", "250", ""],
    ]
    assert cards(shown)["orders"]["value"] == "100"


@pytest.mark.slow
def test_without_line_items_the_page_gives_the_statement(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ORDERS} for row in joined(60) if row["line_item_sku"] == "CUP"]
    with backend_of(tmp_path, rows, OF_ORDERS) as backend:
        shown = run(backend, "products", {"period": "all"})
    statement = shown.code[0].value
    assert "orders_with_items" in statement
    assert "ON l.`order_id` = o.`id`" in statement
