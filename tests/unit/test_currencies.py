"""Amounts have the decimals of their currency, also those of FLOAT and DOUBLE columns."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from cache_factory import cache_in, publish

from cache.analytics.orders import Orders
from cache.currencies import decimals_of
from cache.query.filters import Condition
from cache.schema import Column

PLACED = Column(name="created_at", type="datetime", kind="datetime", nullable=False)
KEY = Column(name="id", type="int", kind="integer", nullable=False, key=1)
CURRENCY = Column(name="currency", type="char(3)", kind="text", nullable=True)
TOTAL = Column(name="total_price", type="double", kind="double", nullable=True)


@pytest.mark.parametrize(("currency", "decimals"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("", 2)])
def test_decimals_are_those_of_iso_4217(currency: str, decimals: int) -> None:
    assert decimals_of(currency) == decimals


@pytest.mark.parametrize(
    ("currency", "stored", "rounded"),
    [
        ("USD", "0.125", "0.13"),
        ("USD", "0.30000000000000004", "0.30"),
        ("JPY", "1200.5", "1201"),
        ("jpy ", "-0.5", "-1"),
        ("KWD", "1.2345", "1.235"),
        ("KWD", "0.001", "0.001"),
    ],
)
def test_double_amounts_are_rounded_as_their_currency(currency: str, stored: str, rounded: str, tmp_path: Path) -> None:
    assert total(tmp_path, currency, stored, (KEY, PLACED, CURRENCY, TOTAL)) == 3 * Decimal(rounded)


def test_without_a_column_of_currencies_amounts_have_two_decimals(tmp_path: Path) -> None:
    assert total(tmp_path, "", "1.005", (KEY, PLACED, TOTAL)) == 3 * Decimal("1.01")


def total(folder: Path, currency: str, stored: str, columns: tuple[Column, ...]) -> object:
    """The sum of three orders with the same total."""
    row = {"created_at": "2026-01-02 03:04:05", "currency": currency, "total_price": stored}
    cache = cache_in(folder)
    listed = [{**row, "id": str(i)} for i in range(3)]
    publish(cache, [{column.name: each[column.name] for column in columns} for each in listed], columns=columns)
    orders = Orders(cache.snapshots.open(), "UTC")
    figures = orders.figures(None, [Condition("currency", "eq", currency.strip().upper())])
    assert figures.orders == 3
    orders.close()
    cache.close()
    return figures.charged
