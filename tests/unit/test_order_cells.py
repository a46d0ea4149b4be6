"""The cells of an order in the dashboard, from the texts that the table stores."""

from __future__ import annotations

from datetime import datetime

import pytest
from schema_corpus import FOLDER, load
from schema_orders import schema_orders

from dashboard.components import order_cells


@pytest.mark.parametrize("empty", [None, "", " ", "null", '""', '"null"', "[]", "words"])
def test_an_order_without_an_address_has_none(empty: str | None) -> None:
    row = {"address": empty}
    assert order_cells.address(row) == {}


@pytest.mark.parametrize(
    ("name", "number", "shown"),
    [
        ("amounts_german", "", ("total",)),
        ("graphql_json", "#1002", ("total", "pieces")),
        ("shopify_export", "#1001", ("total", "pieces")),
    ],
)
def test_amounts_dates_and_pieces_are_shown_as_the_reading_reads_them(
    name: str, number: str, shown: tuple[str, ...]
) -> None:
    with schema_orders(load(FOLDER / name)) as orders:
        row = order_cells.by_role(orders, orders.page(None, search=number).rows[0])
        cells = {"total": order_cells.money(row, "total"), "pieces": order_cells.quantity(row)}
        assert isinstance(row["created_at"], datetime)
        assert order_cells.NOTHING not in [cells[each] for each in shown]
