"""The cells of an order in the dashboard, from the texts that the table stores."""

from __future__ import annotations

import pytest

from dashboard.components import order_cells


@pytest.mark.parametrize("empty", [None, "", " ", "null", '""', '"null"', "[]", "words"])
def test_an_order_without_items_refunds_and_address_has_none(empty: str | None) -> None:
    row = {"line_items": empty, "refunds": empty, "address": empty}
    assert order_cells.quantity(row) == order_cells.NOTHING
    assert order_cells.objects(row, "refunds") == []
    assert order_cells.address(row) == {}
