"""Products bought together, bought first, and no longer sold: worked out by hand over a dozen orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, captions, run, table
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.breakdowns.bought_together import Pair, bought_together, pair_page
from cache.analytics.breakdowns.product_life import first_products, stopped_products
from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition
from dashboard.backend import Backend

USD = (Condition("currency", "eq", "USD"),)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# Days ago, customer, and products. What a letter costs is the same everywhere.
ORDERS = (
    (40, "1", "AB"),
    (40, "2", "ABC"),
    (39, "3", "D"),
    (5, "1", "AB"),
    (5, "4", "ABB"),
    (4, "5", "AC"),
    (4, "6", "A"),
    (3, "4", "C"),
    (2, "7", "B"),
    (2, "8", "E"),
)
PRICES = {"A": "10.00", "B": "20.00", "C": "5.00", "D": "7.00", "E": "1.00"}


def row(number: int, days_ago: int, customer: str, items: object, refunds: object) -> Row:
    at = f"{TODAY - timedelta(days_ago):%Y-%m-%d} 10:00:00"
    goods = sum(Decimal(item["price"]) * item["quantity"] for item in items)  # type: ignore[attr-defined]
    return {
        **shop(1)[0],
        "id": str(number),
        "created_at": at,
        "processed_at": at,
        "cancelled_at": None,
        "customer_id": customer,
        "currency": "USD",
        "test": "0",
        "taxes_included": "0",
        "total_discounts": "3.00",
        "subtotal_price": str(goods - 3),
        "line_items": json.dumps(items),
        "refunds": json.dumps(refunds),
    }


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    def items(products: str) -> list[dict[str, object]]:
        return [
            {"sku": name, "title": f"Product {name}", "quantity": 2 if name == "D" else 1, "price": PRICES[name]}
            for name in products
        ]

    rows = [row(i, days, customer, items(products), []) for i, (days, customer, products) in enumerate(ORDERS, 1)]
    with backend_of(tmp_path_factory.mktemp("questions"), rows, SHOP_COLUMNS) as opened:
        yield opened


@pytest.fixture(scope="module")
def orders(backend: Backend) -> Orders:
    return backend.orders.newest(1)


def test_pairs_have_their_support_confidence_and_lift(orders: Orders) -> None:
    found = pair_page(orders, bought_together(orders, None, USD), "orders")
    assert found.pairs == [Pair("A", "B", 4, 6, 5, 10), Pair("A", "C", 2, 6, 3, 10)]  # BC is in one order only
    assert found.titles == {"A": "Product A", "B": "Product B", "C": "Product C"}
    both = found.pairs[0]
    assert (both.support, both.of_second) == (Decimal("0.4"), Decimal("0.8"))
    assert both.of_first == Decimal(4) / 6
    assert both.lift == Decimal(40) / 30


def test_pairs_are_limited_by_orders_period_and_product(orders: Orders) -> None:
    assert bought_together(orders, None, USD, least=3).num_rows == 1
    assert bought_together(orders, None, USD, ("C",), 1).num_rows == 2
    week = Span(TODAY - timedelta(6), TODAY + timedelta(1))
    assert pair_page(orders, bought_together(orders, week, USD)).pairs == [Pair("A", "B", 2, 4, 3, 7)]


@pytest.mark.slow
def test_a_pair_leads_to_the_orders_that_hold_both(backend: Backend, orders: Orders) -> None:
    page = run(backend, "products", {"period": "all", "show": "together", "least": "2", "sort": "-orders"})
    rows = table(page, "Bought together")
    assert rows[0] == ["Product", "Bought with", "Orders", "Support", "Confidence", "The other way", "Lift"]
    assert rows[1] == ["Product B", "Product A", "4", "40.00%", "80.0%", "66.7%", "1.33"]
    both = (Condition("product", "in", ("B",)), Condition("bought_with", "in", ("A",)))
    assert orders.count(None, both) == 4
    listed = run(backend, "orders", {"period": "all", "product": "B", "bought_with": "A"})
    assert "4 orders" in captions(listed)


@pytest.mark.slow
def test_first_purchases_are_of_the_first_order_of_all(backend: Backend, orders: Orders) -> None:
    recent = Span(TODAY - timedelta(6), TODAY + timedelta(1))
    found = {each.key: (each.customers, each.came_back) for each in first_products(orders, recent, USD)}
    assert found == {"A": (3, 1), "B": (2, 1), "C": (1, 0), "E": (1, 0)}  # customers 4, 5, 6, 7 and 8
    everyone = {each.key: (each.customers, each.came_back) for each in first_products(orders, None, USD)}
    assert everyone == {"A": (5, 2), "B": (4, 2), "C": (2, 0), "D": (1, 0), "E": (1, 0)}
    page = run(backend, "products", {"period": "7d", "show": "first"})
    assert table(page, "First purchases")[1] == ["Product A", "A", "3", "60.0%", "33.3%"]


@pytest.mark.slow
def test_stopped_products_sold_before_and_not_since(backend: Backend, orders: Orders) -> None:
    now, before = Span(TODAY - timedelta(29), TODAY + timedelta(1)), Span(TODAY - timedelta(59), TODAY - timedelta(29))
    (gone,) = stopped_products(orders, now, before, USD)
    assert (gone.key, gone.title, gone.units, gone.sales) == ("D", "Product D", 2, Decimal(14))
    assert gone.last == TODAY.replace(tzinfo=None) - timedelta(39) + timedelta(hours=10)
    for query in ({}, {"compare": "none"}):
        page = run(backend, "products", {"period": "30d", "show": "stopped", **query})
        assert [row[:2] + row[3:] for row in table(page, "Stopped selling")[1:]] == [
            ["Product D", "D", "2", "$14.00"],
            ["All of them", "", "2", "$14.00"],
        ]


@pytest.mark.slow
def test_discounts_and_returns_that_name_line_items_are_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    item = {"id": 5, "sku": "A", "title": "Product A", "quantity": 2, "price": "10.00"}
    off = {**item, "discount_allocations": [{"amount": "3.00"}]}
    refund = {"created_at": f"{TODAY - timedelta(1):%Y-%m-%d}T10:00:00Z", "refund_line_items": []}
    goods = [{"line_item_id": 5, "quantity": 1, "subtotal": "8.50", "total_tax": "0"}]
    rows = [row(1, 40, "1", [off], [{**refund, "refund_line_items": goods}]), row(2, 2, "1", [off], [])]
    with backend_of(tmp_path_factory.mktemp("deducted"), rows, SHOP_COLUMNS) as opened:
        found = table(run(opened, "products", {"period": "7d"}), "Top products")
    assert found[0][4:8] == ["Gross sales", "Discounts", "Returns", "Net sales"]
    for line in found[1:]:  # the product and the total
        assert line[4:8] == ["$20.00", "$3.00", "$8.50", "$8.50"]


@pytest.mark.slow
def test_a_line_without_pieces_is_not_bought(tmp_path: Path) -> None:
    def items(*pieces: tuple[str, int]) -> list[dict[str, object]]:
        return [{"sku": name, "title": name, "quantity": count, "price": "10.00"} for name, count in pieces]

    both, none = items(("A", 1), ("B", 0)), items(("A", 0), ("B", 1))
    rows = [row(1, 40, "1", both, []), row(2, 39, "2", both, []), row(3, 5, "3", none, [])]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        orders = backend.orders.newest(1)
        assert bought_together(orders, None, USD).num_rows == 0
        assert {each.key: each.customers for each in first_products(orders, None, USD)} == {"A": 2, "B": 1}
        now = Span(TODAY - timedelta(29), TODAY + timedelta(1))
        before = Span(TODAY - timedelta(59), TODAY - timedelta(29))
        assert [each.key for each in stopped_products(orders, now, before, USD)] == ["A"]
        # The other way round, what sold later and not before.
        assert [each.key for each in stopped_products(orders, before, now, USD)] == ["B"]


@pytest.mark.slow
def test_without_earlier_orders_nothing_can_have_stopped(backend: Backend, tmp_path: Path) -> None:
    page = run(backend, "products", {"period": "all", "show": "stopped"})
    assert "There are no orders of " in captions(page)
    old = {**row(2, 5, "2", [], []), "created_at": "1000-01-01 00:00:00", "processed_at": None}
    with backend_of(tmp_path, [row(1, 5, "1", [], []), old], SHOP_COLUMNS) as other:
        page = run(other, "products", {"period": "all", "show": "stopped"})
        assert not page.exception and "failed" not in captions(page)


@pytest.mark.slow
def test_who_came_back_is_known_without_a_rate_too(tmp_path: Path) -> None:
    cup = [{"sku": "A", "title": "Cup", "quantity": 1, "price": "10.00"}]
    later = row(2, 5, "1", cup, []) | {"currency": "GBP"}
    with backend_of(tmp_path, [row(1, 9, "1", cup, []), later, row(3, 8, "3", cup, [])], SHOP_COLUMNS) as backend:
        rates = ExchangeRates(currency="EUR", text="date,currency,rate\n2000-01-01,USD,0.90")
        converted = backend.orders.newest(1).converted(rates)
        assert converted.facts.without_rate == {"GBP": 1}
        assert [(each.customers, each.came_back) for each in first_products(converted, None)] == [(2, 1)]
