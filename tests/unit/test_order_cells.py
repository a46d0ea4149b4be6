"""The cells of an order in the dashboard, from the texts that the table stores."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from schema_corpus import FOLDER, load
from schema_orders import schema_orders

from cache.access.masking import MASK
from cache.analytics.order_lookup import ROW_KEY
from cache.schema import Column
from dashboard.components import order_cells
from dashboard.components.order_list.addresses import addresses


@pytest.mark.parametrize("empty", [None, "", " ", "null", '""', '"null"', "[]", "words"])
def test_an_order_without_an_address_has_none(empty: str | None) -> None:
    row = {"address": empty}
    assert order_cells.address(row) == {}


@pytest.mark.slow
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


NESTED = {"name": "Ida", "address1": "Main St 1", "city": "Köln", "zip": "50667", "country": "Germany", "phone": None}
FLAT = {"Billing Name": "Ida", "Billing Street": "Main St 1", "Billing City": "Köln", "Billing Zip": "50667"}


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (
            {"shipping_address": json.dumps(NESTED)},
            {"Ships to": ["Ida", "Main St 1", "50667 Köln", "Germany"]},
        ),
        (FLAT, {"Bills to": ["Ida", "Main St 1", "50667 Köln"]}),
        ({**FLAT, "Billing Name": MASK, "Billing Street": MASK, "Shipping": "5.95"}, {"Bills to": ["50667 Köln"]}),
        (
            {"billingAddress": json.dumps({"city": "Ulm", "countryCode": "DE"}), "shipping_city": "Bonn"},
            {"Ships to": ["Bonn"], "Bills to": ["Ulm", "DE"]},
        ),
        ({"shipping_address": None, "note": "x"}, {}),
    ],
    ids=["nested", "flat", "masked", "both", "none"],
)
def test_an_order_shows_its_addresses_without_what_is_hidden(
    columns: dict[str, str | None], shown: dict[str, list[str]]
) -> None:
    named = [Column(name=name, type="text", kind="text", nullable=True) for name in columns]
    assert addresses(named, columns) == shown


@pytest.mark.slow
def test_an_order_shows_all_of_its_lines_gift_cards_too() -> None:
    with schema_orders(load(FOLDER / "gift_cards")) as orders:
        rows = orders.page(None, limit=100).rows
        listed = [(row, orders.lookup.lines(str(row[ROW_KEY]))) for row in rows]
    items = orders.roles["line_items"].name
    assert all(len(lines) == len(json.loads(row[items])) for row, lines in listed)
    assert any(line["title"] == "Gift card 50" for _, lines in listed for line in lines)
