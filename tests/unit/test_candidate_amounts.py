"""Between columns that could be the same amount, the share of orders that add up decides; equal shares, the name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from schema_orders import table_orders

from cache.analytics.orders import Orders
from cache.schema import Column, Kind
from cache.table_setup import Setup
from dashboard.text import readings

pytestmark = pytest.mark.slow

UTC = Setup(timezone="UTC", source_timezone="UTC")
ORDERS = 60

Amounts = dict[str, str]


def money(amount: float) -> str:
    return f"{amount:.2f}"


def read(amounts: Callable[[int], Amounts], check: Callable[[Orders], None], setup: Setup = UTC) -> None:
    """Reads orders with some columns of amounts, given by the number of an order."""
    names = ["id", "created_at", "currency", *amounts(0)]
    kinds: dict[str, Kind] = {"id": "integer", "created_at": "datetime", "currency": "text"}
    columns = [
        Column(
            name=name,
            type=kinds.get(name, "decimal(10,2)"),
            kind=kinds.get(name, "decimal"),
            nullable=False,
            key=int(name == "id"),
            digits=10 if name not in kinds else 0,
            decimals=2 if name not in kinds else 0,
        )
        for name in names
    ]
    start = datetime(2025, 1, 1, 12)
    rows: list[dict[str, str | None]] = [
        {"id": str(i + 1), "created_at": str(start + timedelta(days=i)), "currency": "EUR", **amounts(i)}
        for i in range(ORDERS)
    ]
    with table_orders(columns, rows, setup) as orders:
        check(orders)


def with_grand_total(i: int) -> Amounts:
    """Orders of which `total` is without shipping and tax."""
    goods = 10.0 + i
    return {
        "subtotal": money(goods),
        "shipping": "4.90",
        "tax": money(goods * 0.2),
        "total": money(goods),
        "grand_total": money(goods + 4.9 + goods * 0.2),
    }


def test_the_total_is_the_column_that_is_the_sum_of_its_parts() -> None:
    def check(orders: Orders) -> None:
        assert orders.reading.roles["total"] == "grand_total"
        assert orders.reading.passed_over == {"total": "total"}
        assert (orders.reading.adds_up, orders.reading.adds_up_by_name) == (1.0, 0.0)
        assert orders.reading.confirmed
        figures = orders.figures(None)
        charged = sum(Decimal(with_grand_total(i)["grand_total"]) for i in range(ORDERS))
        assert figures.charged == figures.total_sales == charged
        lines = dict(readings.evidence(orders.reading, orders.roles))
        assert lines["Totals that are the sum of their parts"] == (
            "100.00% of 60 orders in the sample; 0.00% with total"
        )

    read(with_grand_total, check)


def test_two_columns_can_be_other_ones_than_their_names_suggest() -> None:
    def amounts(i: int) -> Amounts:
        row = with_grand_total(i)
        return {**row, "total_tax": "20.00", "taxes": row["tax"], "tax": "0.20"}

    def check(orders: Orders) -> None:
        used = {role: orders.reading.roles[role] for role in ("total", "tax")}
        assert used == {"total": "grand_total", "tax": "taxes"}

    read(amounts, check)


def test_equal_shares_leave_the_most_telling_name() -> None:
    def amounts(i: int) -> Amounts:
        row = with_grand_total(i)
        total = row.pop("grand_total")
        return {**row, "total": total, "total_price": total, "current_total_price": total}

    def check(orders: Orders) -> None:
        assert orders.reading.roles["total"] == "total_price"
        assert orders.reading.passed_over == {}

    read(amounts, check)


def test_totals_after_refunds_are_no_reason_to_choose_another_column() -> None:
    """Some orders were refunded, and a few were edited: the amounts as placed add up as often."""

    def amounts(i: int) -> Amounts:
        row = with_grand_total(i)
        total = row.pop("grand_total")
        left = "0.00" if i % 5 == 0 else total
        return {**row, "total_price": total, "current_total_price": left, "current_subtotal_price": left, "total": left}

    def check(orders: Orders) -> None:
        assert (orders.reading.roles["total"], orders.reading.roles["subtotal"]) == ("total_price", "subtotal")

    read(amounts, check)


def test_what_people_chose_is_never_overruled() -> None:
    def check(orders: Orders) -> None:
        assert orders.reading.roles["total"] == "total"

    read(with_grand_total, check, Setup(timezone="UTC", source_timezone="UTC", columns={"total": "total"}))


@pytest.mark.parametrize("name", ["current_total_price", "price"])
def test_some_columns_are_a_total_only_beside_another_one(name: str) -> None:
    def check(orders: Orders) -> None:
        assert "total" not in orders.reading.roles

    read(lambda i: {name: money(10.0 + i)}, check)
