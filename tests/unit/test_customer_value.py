"""Lifetime value by cohort and RFM segments, worked out by hand; and the page of one customer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest
from cache_factory import Row
from page_run import backend_of, captions, cards, messages, run, shown_text, table
from paths import ROOT
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.customers.lifetime_value import average_value, lifetime_values
from cache.analytics.customers.segments import (
    DEFINITION,
    SEGMENTS,
    customers_of,
    score_bounds,
    scores_of,
    segment_figures,
)
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.query.filters import Condition
from dashboard import data
from dashboard.auth.access import Visitor
from dashboard.auth.identity import Identity
from dashboard.backend import Backend

USD = (Condition("currency", "eq", "USD"),)
UNTIL = datetime(2026, 4, 15, 12)
# Customer, day, total, and what was refunded when.
ORDERS: tuple[tuple[str, str, str, tuple[str, str] | None], ...] = (
    ("1", "2026-01-10", "100.00", None),
    ("2", "2026-01-20", "50.00", ("2026-03-05", "20.00")),
    ("3", "2026-01-31", "10.00", None),
    ("1", "2026-02-15", "40.00", None),
    ("4", "2026-03-01", "30.00", None),
    ("1", "2026-04-02", "60.00", None),
    ("4", "2026-04-10", "5.00", ("2026-04-11", "5.00")),
)


def order(
    number: int, customer: str, day: str, total: str, refund: tuple[str, str] | None, currency: str = "USD"
) -> Row:
    refunds = [{"created_at": f"{refund[0]}T10:00:00Z", "amount": refund[1]}] if refund else []
    return {
        **shop(1)[0],
        "id": str(number),
        "name": f"#{number}",
        "created_at": f"{day} 10:00:00",
        "processed_at": f"{day} 10:00:00",
        "cancelled_at": None,
        "currency": currency,
        "test": "0",
        "taxes_included": "0",
        "subtotal_price": total,
        "total_price": total,
        "total_tax": "0.00",
        "total_shipping": "0.00",
        "total_discounts": "0.00",
        "total_refunded": refund[1] if refund else "0.00",
        "refunds": json.dumps(refunds),
        "customer_id": customer,
        "customer_name": f"Person {customer}",
        "email": f"person{customer}@example.com",
        "line_items": json.dumps([{"sku": "MUG", "title": "Mug", "quantity": 1, "price": total}]),
    }


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    rows = [order(number, *each) for number, each in enumerate(ORDERS, 1)]
    rows.append(order(8, "1", "2026-03-03", "7.00", None, "EUR"))
    with backend_of(tmp_path_factory.mktemp("value"), rows, SHOP_COLUMNS) as opened:
        yield opened


@pytest.fixture(scope="module")
def orders(backend: Backend) -> Orders:
    return backend.orders.newest(1)


def test_lifetime_value_is_cumulative_money_for_each_customer(orders: Orders) -> None:
    january, march = lifetime_values(orders, METRICS["net_sales"], UNTIL, USD)
    assert (january.first, january.customers) == (datetime(2026, 1, 1), 3)
    assert january.amounts == [Decimal(160), Decimal(200), Decimal(180), Decimal(240)]  # with the refund of March
    assert january.value(1) == Decimal(200) / 3
    assert (march.first, march.customers, march.amounts) == (datetime(2026, 3, 1), 1, [Decimal(30), Decimal(30)])
    assert march.value(2) is None
    ordered = lifetime_values(orders, METRICS["net_sales"], UNTIL, USD, "ordered")
    assert ordered[0].amounts == [Decimal(140), Decimal(180), Decimal(180), Decimal(240)]


def test_the_average_is_of_all_customers_in_months_that_are_over(orders: Orders) -> None:
    cohorts, april = lifetime_values(orders, METRICS["net_sales"], UNTIL, USD), datetime(2026, 4, 1)
    assert average_value(cohorts, 0, april) == Decimal(190) / 4
    assert average_value(cohorts, 1, april) == Decimal(200) / 3  # April of the customer of March is not over
    assert average_value(cohorts, 3, april) is None


def test_the_newest_twelve_months_are_shown(orders: Orders) -> None:
    late = lifetime_values(orders, METRICS["net_sales"], datetime(2027, 2, 1), USD)
    assert [cohort.first for cohort in late] == [datetime(2026, 3, 1)]
    assert len(late[0].amounts) == 12


def test_scores_are_by_the_share_of_the_others_below(orders: Orders) -> None:
    numbers = {f"Person {i}": number(orders, f"Person {i}") for i in range(1, 5)}
    bounds = score_bounds(orders, None, USD)
    found = {name: scores_of(orders, customer, None, USD, bounds) for name, customer in numbers.items()}
    # Last orders: 3rd of the four, first, 2nd, last. Orders: 3, 1, 1, 2. Money: 200, 30, 10, 30.
    assert {name: each and each[:3] for name, each in found.items()} == {
        "Person 1": (4, 5, 5),
        "Person 2": (1, 1, 2),
        "Person 3": (2, 1, 1),
        "Person 4": (5, 4, 2),
    }
    assert {name: each and each.segment for name, each in found.items()} == {
        "Person 1": "champions",
        "Person 2": "lapsed",
        "Person 3": "lapsed",
        "Person 4": "loyal",
    }
    assert scores_of(orders, "1", None, USD, bounds) is None


def number(orders: Orders, name: str) -> str:
    """What the dimension `customer` calls a customer."""
    names = orders.customer_names(list(orders.values("customer")))
    return next(customer for customer, known in names.items() if known == name)


def test_customers_are_named_by_one_look_up(backend: Backend, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {number(orders, f"Person {i}"): f"Person {i}" for i in range(1, 5)}
    strange = {"12345": "12345", "9" * 24: "9" * 24}  # of no order, and too large for a number
    assert orders.customer_names([*names, *strange]) == names | strange
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(data, "customer_names", lambda _, customers: asked.append(customers) or dict(names))
    page = run(backend, "explore", {"period": "all", "by": "customer", "columns": "weekday", "currency": "USD"})
    shown = [row[0] for row in table(page, "As a table")]
    assert set(names.values()) <= set(shown)
    assert [set(customers) for customers in asked] == [set(names)]
    address = {"period": "all", "by": ["currency", "customer"], "open": "USD", "currency": "USD"}
    assert set(names.values()) <= {row[0].strip() for row in table(run(backend, "explore", address), "As a table")}
    assert len(asked) == 2


def test_segments_add_up_to_all_customers_and_their_money(orders: Orders) -> None:
    found = {each.segment: each for each in segment_figures(orders, None, USD)}
    assert {name: (each.customers, each.orders, each.spent) for name, each in found.items()} == {
        "champions": (1, 3, Decimal(200)),
        "loyal": (1, 2, Decimal(30)),
        "lapsed": (2, 2, Decimal(40)),
    }
    assert [each.name for each in customers_of(orders, "lapsed", None, USD)] == ["Person 2", "Person 3"]
    earlier = segment_figures(orders, datetime(2026, 2, 1), USD)
    assert sum(each.customers for each in earlier) == 3
    assert sum(each.spent for each in earlier) == 160  # the refund came later


def test_the_docs_have_the_definition_of_segments() -> None:
    docs = " ".join((ROOT / "docs/dashboard.md").read_text().split())
    assert DEFINITION in docs
    for segment in SEGMENTS.values():
        assert f"| {segment.label} | {segment.rule} | {segment.meaning} |" in docs


@pytest.mark.slow
def test_a_customer_has_a_page_with_all_orders_and_figures(backend: Backend, orders: Orders) -> None:
    page = run(backend, "customers", {"period": "7d", "who": number(orders, "Person 1")})
    assert [shown_text(each.value) for each in page.header] == ["Person 1", "Orders", "Bought most"]
    assert [row[0] for row in table(page, "Orders")[1:]] == ["#6", "#8", "#4", "#1"]  # in all currencies
    assert cards(page)["total_sales"]["value"] == "$200.00"
    assert "person1@example.com" in captions(page)
    assert "Champions: R 4, F 5, M 5 of 5." in captions(page)
    assert "1 order is in another currency" in captions(page)
    assert table(page, "Bought most")[1] == ["Mug", "MUG", "3", "$200.00"]


@pytest.mark.slow
def test_a_customer_that_does_not_exist_is_said(backend: Backend) -> None:
    page = run(backend, "customers", {"period": "all", "who": "12"})
    assert "no such customer" in messages(page, "note")[0]


@pytest.mark.slow
def test_a_viewer_opens_no_customer(backend: Backend, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    who = number(orders, "Person 1")
    monkeypatch.setattr(Visitor, "identity", lambda _: Identity("viewer", "viewer", "1"))
    page = run(backend, "customers", {"period": "all", "who": who})
    assert "Not shown to viewers" in messages(page, "note")[0]
    assert table(page, "Orders") == []
    for query in ({"show": "buyers"}, {"show": "segments", "segment": "lapsed"}):
        seen = str(
            [each.proto.json for each in run(backend, "customers", {"period": "all", **query}).get("bidi_component")]
        )
        assert "person" not in seen.casefold()
        assert who not in seen


@pytest.mark.slow
def test_the_page_of_lifetime_value_marks_the_month_that_is_not_over(backend: Backend) -> None:
    page = run(backend, "customers", {"period": "all", "show": "value"})
    rows = table(page, "Lifetime value")
    assert rows[0][:3] == ["First order", "Customers", "+0"]
    assert rows[-1][0] == "Average"
    assert all(row[-1] == "" or row[-1].endswith("*") for row in rows[1:-1])
