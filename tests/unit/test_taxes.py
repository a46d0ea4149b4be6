"""Taxes by rate, country and region: what belongs to each rate of an order, also of its refunds, adds up exactly."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cache_factory import Row
from page_run import backend_of, captions, components, messages, run, table

from cache.analytics.breakdowns.pivot import PivotQuery, pivot
from cache.analytics.breakdowns.untaxed_refunds import count_untaxed_refunds
from cache.analytics.figures import Figures
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import or_zero
from cache.calendar.periods import Span
from cache.export.order_selection import OrderSelection
from cache.query.filters import Condition
from cache.schema import Column, Kind
from cache.table_setup import NO_SETUP
from dashboard.backend import Backend

KINDS: dict[str, Kind] = {
    "id": "unsigned",
    "created_at": "datetime",
    "cancelled_at": "datetime",
    "currency": "text",
    "taxes_included": "boolean",
    "subtotal_price": "decimal",
    "total_shipping": "decimal",
    "total_tax": "decimal",
    "total_price": "decimal",
    "line_items": "json",
    "tax_lines": "json",
    "refunds": "json",
    "destination": "json",
}
COLUMNS = tuple(
    Column(
        name=name,
        type=kind,
        kind=kind,
        nullable=True,
        key=int(name == "id"),
        digits=12 if kind == "decimal" else 0,
        decimals=2 if kind == "decimal" else 0,
    )
    for name, kind in KINDS.items()
)
START = datetime(2026, 1, 5, 12)
Q1 = Span(datetime(2026, 1, 1), datetime(2026, 4, 1))


def order(
    number: int,
    place: tuple[str, str],
    lines: list[tuple[float, str, str]],
    tax: str | None = None,
    refunded: str | None = None,
    cancelled: bool = False,
) -> Row:
    """An order of 100.00 before tax. A line of tax is its rate, title and price; `refunded` is of the next month."""
    charged = Decimal(tax) if tax else sum((Decimal(price) for _, _, price in lines), Decimal(0))
    refund: list[dict[str, Any]] = []
    if refunded:
        goods = [{"line_item_id": 1, "subtotal": "50.00", "total_tax": refunded}]
        refund.append({"id": number, "created_at": "2026-02-10T00:00:00Z", "refund_line_items": goods})
    return {
        "id": str(number),
        "created_at": str(START + timedelta(hours=number)),
        "cancelled_at": "2026-02-20 00:00:00" if cancelled else None,
        "currency": "EUR",
        "taxes_included": "0",
        "subtotal_price": "100.00",
        "total_shipping": "0.00",
        "total_tax": str(charged),
        "total_price": str(100 + charged),
        "line_items": json.dumps([{"id": 1, "sku": "MUG", "title": "Mug", "quantity": 1, "price": "100.00"}]),
        "tax_lines": json.dumps([{"rate": rate, "title": title, "price": price} for rate, title, price in lines]),
        "refunds": json.dumps(refund),
        "destination": json.dumps({"country_code": place[0], "country": place[0], "province": place[1]}),
    }


BERLIN, TEXAS, OREGON = ("DE", "Berlin"), ("US", "Texas"), ("US", "Oregon")
ROWS = [
    order(1, BERLIN, [(0.19, "VAT", "19.00")]),
    order(2, BERLIN, [(0.19, "VAT", "13.33"), (0.07, "VAT", "2.10")], refunded="1.00"),
    order(3, TEXAS, [(0.0625, "State", "6.25"), (0.02, "City", "2.00")], cancelled=True),
    order(4, TEXAS, [(0.0625, "State", "6.25"), (0.0625, "State", "0.01"), (0.0, "County", "0.00")]),
    order(5, OREGON, [(0.19, "VAT", "18.00")], tax="19.00", refunded="9.50"),  # the lines do not add up
    order(6, OREGON, []),
]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend_of(tmp_path_factory.mktemp("taxes"), ROWS, COLUMNS) as opened:
        yield opened


@pytest.fixture(scope="module")
def orders(backend: Backend) -> Orders:
    return backend.orders.newest(1)


def taxes(figures: Figures) -> tuple[str, str, str]:
    charged, refunded, net = (or_zero(f) for f in (figures.taxes_charged, figures.taxes_refunded, figures.taxes))
    return f"{charged:.2f}", f"{refunded:.2f}", f"{net:.2f}"


def test_each_rate_has_its_part_of_charges_refunds_and_cancellations(orders: Orders) -> None:
    found = {group.values: taxes(group.figures) for group in orders.groups(["country", "tax_rate"])}
    assert found == {
        ("DE", "19% VAT"): ("32.33", "0.86", "31.47"),  # of the refund of 1.00: 13.33 / 15.43, rounded
        ("DE", "7% VAT"): ("2.10", "0.14", "1.96"),
        ("US", "6.25% State"): ("12.51", "6.25", "6.26"),
        ("US", "2% City"): ("2.00", "2.00", "0.00"),
        ("US", ""): ("19.00", "9.50", "9.50"),
    }


def test_taxes_count_on_the_day_of_the_order_and_of_the_refund(orders: Orders) -> None:
    january = Span(datetime(2026, 1, 1), datetime(2026, 2, 1))
    assert taxes(orders.figures(january)) == ("67.94", "0.00", "67.94")
    assert taxes(orders.figures(Span(january.end, datetime(2026, 3, 1)))) == ("0.00", "18.75", "-18.75")
    assert taxes(orders.figures(january, returns="ordered")) == ("67.94", "10.50", "57.44")  # a cancellation stays


def test_a_filter_by_rate_selects_whole_orders(orders: Orders) -> None:
    with_city = [Condition("tax_rate", "eq", "2% City")]
    assert taxes(orders.figures(None, with_city)) == ("8.25", "8.25", "0.00")
    assert orders.values("tax_rate") == ["", "19% VAT", "6.25% State", "2% City", "7% VAT"]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "rows"), [("2% City", [2]), ("19% VAT", [0, 1])])
def test_a_download_has_the_orders_of_a_rate(backend: Backend, rate: str, rows: list[int]) -> None:
    snapshot, orders = backend.cache.snapshots.open(), backend.orders.newest(1)
    selection = OrderSelection(timezone="UTC", conditions=(Condition("tax_rate", "in", (rate,)),))
    with duckdb.connect() as database:
        assert list(selection.row_numbers(database, snapshot, NO_SETUP, orders.reading)) == rows


@pytest.mark.parametrize("metric", ["gross_sales", "taxes", "orders", "units", "net_sales"])
def test_products_can_be_told_apart_by_rate(orders: Orders, metric: str) -> None:
    table = pivot(orders, PivotQuery((METRICS[metric],), "product", "tax_rate"), None)
    assert [line.value for line in table.lines] == ["MUG"]
    assert table.unattributed is None  # an order with two rates is in two columns
    found = {column: METRICS[metric].value(cell) for column, cell in table.lines[0].cells.items()}
    per_order = {"gross_sales": 100, "orders": 1, "units": 1}.get(metric)
    if per_order:
        orders_of = {"19% VAT": 2, "": 2, "6.25% State": 2, "2% City": 1, "7% VAT": 1}
        assert found == {rate: per_order * count for rate, count in orders_of.items()}


@pytest.mark.slow
def test_rates_of_random_orders_add_up_to_the_last_decimal(tmp_path_factory: pytest.TempPathFactory) -> None:
    chance = random.Random(3)
    rows = []
    for number in range(1, 200):
        lines = [(rate, "", f"{chance.randrange(1, 2000) / 100:.2f}") for rate in chance.sample([0.19, 0.07, 0.01], 2)]
        refunded = f"{chance.randrange(1, 900) / 100:.2f}" if chance.random() < 0.4 else None
        rows.append(order(number, BERLIN, lines, refunded=refunded, cancelled=chance.random() < 0.2))
    with backend_of(tmp_path_factory.mktemp("random"), rows, COLUMNS) as opened:
        orders = opened.orders.newest(1)
        whole = orders.figures(Q1)
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for group in orders.groups(["tax_rate"], None, Q1):
            for name in ("taxes_charged", "taxes_refunded", "taxes"):
                sums[name] += Decimal(or_zero(getattr(group.figures, name)))
        assert dict(sums) == {name: getattr(whole, name) for name in sums}
        listed = [line["price"] for row in rows for line in json.loads(row["tax_lines"] or "") if line["rate"] == 0.07]
        (reduced,) = (g for g in orders.groups(["tax_rate"], None, Q1) if g.values == ("7%",))
        assert reduced.figures.taxes_charged == sum(map(Decimal, listed))


@pytest.mark.slow
def test_the_page_has_a_row_for_each_country_and_rate_and_their_total(backend: Backend) -> None:
    page = run(
        backend, "taxes", {"period": "custom", "from": "2026-01-01", "to": "2026-03-31", "by": ["country", "tax_rate"]}
    )
    title = "Taxes by country and rate, 1 Jan – 31 Mar 2026, EUR"
    assert table(page, title) == [
        ["Country", "Code", "Tax rate", "Orders", "Charged", "Refunded", "Net"],
        ["DE", "DE", "19% VAT", "2", "€32.33", "€0.86", "€31.47"],
        ["US", "US", "No tax rate", "2", "€19.00", "€9.50", "€9.50"],
        ["US", "US", "6.25% State", "2", "€12.51", "€6.25", "€6.26"],
        ["DE", "DE", "7% VAT", "1", "€2.10", "€0.14", "€1.96"],
        ["US", "US", "2% City", "1", "€2.00", "€2.00", "€0.00"],
        ["Total", "", "", "6", "€67.94", "€18.75", "€49.19"],
    ]
    assert "its taxes are split between them" in captions(page)


@pytest.mark.slow
def test_countries_and_regions_have_their_sales_without_tax(backend: Backend) -> None:
    page = run(backend, "taxes", {"period": "all", "by": ["country", "region"], "sort": "country"})
    rows = table(page, next(iter(titles(backend, page))))
    assert rows[0] == ["Country", "Code", "Region", "Orders", "Sales without tax", "Charged", "Refunded", "Net"]
    assert [row[:1] + row[2:] for row in rows[1:]] == [
        ["DE", "Berlin", "2", "€150.00", "€34.43", "€1.00", "€33.43"],
        ["US", "Oregon", "2", "€150.00", "€19.00", "€9.50", "€9.50"],
        ["US", "Texas", "2", "€100.00", "€14.51", "€8.25", "€6.26"],
        ["Total", "", "6", "€400.00", "€67.94", "€18.75", "€49.19"],
    ]


def titles(backend: Backend, page: Any) -> list[str]:
    return [data["label"] for data in components(page) if data["label"].startswith("Taxes by")]


def test_refunds_that_name_no_tax_are_said(backend: Backend, tmp_path: Path) -> None:
    assert "refund" not in str(messages(run(backend, "taxes", {"period": "all"}), "warning"))
    lump = [{"created_at": "2026-02-10T00:00:00Z", "amount": "119.00"}]
    made = order(1, BERLIN, [(0.19, "VAT", "19.00")]) | {"refunds": json.dumps(lump)}
    untaxed = order(2, OREGON, []) | {"refunds": json.dumps(lump)}
    with backend_of(tmp_path, [made, untaxed], COLUMNS) as other:
        said = messages(run(other, "taxes", {"period": "all"}), "warning")[-1]
        assert said.startswith("1 refund of a taxed order names no tax. ")
        orders = other.orders.newest(1)
        january = Span(datetime(2026, 1, 1), datetime(2026, 2, 1))
        assert [count_untaxed_refunds(orders, january, (), day) for day in ("returned", "ordered")] == [0, 1]
