"""What pages say of figures, over small tables whose right values were worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, cards, run, table
from shop_factory import SHOP_COLUMNS, shop

ZERO = dict.fromkeys(("total_discounts", "total_shipping", "total_tax", "total_refunded"), "0.00")


def order(number: int, total: str, days_ago: int, refunds: Row | None = None, **values: str | None) -> Row:
    """A paid order of goods alone, in dollars. `refunds` is a map from days ago to amount."""
    at = f"{datetime.now(UTC) - timedelta(days_ago):%Y-%m-%d %H:%M:%S}"
    listed = [
        {"created_at": f"{datetime.now(UTC) - timedelta(int(days)):%Y-%m-%dT%H:%M:%SZ}", "amount": amount}
        for days, amount in (refunds or {}).items()
    ]
    return {
        **shop(1)[0],
        **ZERO,
        "id": str(number),
        "name": f"#{number}",
        "created_at": at,
        "processed_at": at,
        "cancelled_at": None,
        "currency": "USD",
        "test": "0",
        "taxes_included": "0",
        "financial_status": "paid",
        "line_items": "[]",
        "refunds": json.dumps(listed),
        "subtotal_price": total,
        "total_price": total,
        **values,
    }


@pytest.fixture
def returned_only() -> list[Row]:
    """A period of 7 days with a return of an older order, and no order."""
    return [order(1, "90.00", 60, {"2": "40.00"}), order(2, "50.00", 20)]


def test_the_refund_rate_by_status_is_100_percent_at_most(tmp_path: Path) -> None:
    """Two refunds of one order are one refunded order, also beside older orders that were refunded now."""
    rows = [
        order(1, "100.00", 3, {"2": "40.00", "1": "60.00"}, financial_status="refunded"),
        *(order(i, "10.00", 60, {"1": "5.00"}, financial_status="refunded") for i in (2, 3, 4)),
        order(5, "100.00", 3),
    ]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        address = {"period": "7d", "metric": "refund_rate", "by": "status", "step": "whole", "compare": "none"}
        lines = table(run(backend, "explore", address), "As a table")
    assert [line[:3] for line in lines[1:]] == [["Refunded", "1", "100.0%"], ["Paid", "1", "0.0%"]]


def test_a_period_with_returns_and_no_orders_shows_the_returns(tmp_path: Path, returned_only: list[Row]) -> None:
    with backend_of(tmp_path, returned_only, SHOP_COLUMNS) as backend:
        overview = run(backend, "overview", {"period": "7d"})
        explored = run(backend, "explore", {"period": "7d", "metric": "returns", "step": "whole", "by": "status"})
    assert cards(overview)["total_sales"]["value"] == "-$40.00"
    assert ["Returns", "-$40.00", ""] in table(overview, "How total sales adds up")
    assert table(explored, "As a table")[1][:3] == ["Paid", "0", "$40.00"]
    assert not overview.info and not explored.info


def test_shares_of_a_breakdown_are_of_the_total_that_it_names(tmp_path: Path) -> None:
    rows = [
        order(1, "150.00", 1, financial_status="paid"),
        order(2, "50.00", 1, financial_status="pending"),
        order(3, "90.00", 60, {"1": "40.00"}, financial_status="refunded"),
    ]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        lines = table(run(backend, "overview", {"period": "7d"}), "Sales by payment status")
    assert lines[1:] == [
        ["Paid", "1", "$150.00", "93.8%"],
        ["Pending", "1", "$50.00", "31.2%"],
        ["Refunded", "0", "-$40.00", "-25.0%"],
        ["Total", "2", "$160.00", "100.0%"],
    ]


def test_the_refunds_filter_lists_the_orders_with_refunds(tmp_path: Path) -> None:
    rows = [order(1, "100.00", 3, {"1": "40.00"}), order(2, "50.00", 3), order(3, "70.00", 60, {"1": "70.00"})]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        yes, no = (
            table(run(backend, "orders", {"period": "all", "refunded": value}), "Orders") for value in ("yes", "no")
        )
    assert [line[0] for line in yes[1:]] == ["#1", "#3"]
    assert [line[0] for line in no[1:]] == ["#2"]
