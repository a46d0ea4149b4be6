"""Figures carry a mark where the table's own arithmetic contradicts them, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from tempfile import TemporaryDirectory

import pytest
from cache_factory import cache_in, publish
from damages import DAMAGES
from schema_corpus import corpus
from schema_orders import in_key_order, months_of, schema_orders
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.marks import Mark, mark_of
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import Value
from cache.calendar.daily_volume import unusual_days
from cache.calendar.periods import Span
from cache.check_report import CHECKS
from cache.query.filters import Condition
from cache.schema import Column, Kind

pytestmark = pytest.mark.slow

SCHEMAS = {schema.name: schema for schema in corpus()}
Found = dict[tuple[date | None, str], tuple[Value, Mark | None]]
"""First day of a month, or None for all time, and metric -> its value and its mark."""

WHOLE = ("shopify_rest", "graphql_json", "tax_inclusive_eu", "gift_cards")  # each tells the parts of an order twice
SCHEMAS_BY_DAMAGE = {
    "totals have a digit too many": ("line_rows",),
    "subtotals have a digit too many": ("gift_cards", "epoch_seconds"),
    "discounts are lost": ("laravel", "amounts_mixed", "shopify_export", "line_rows", "fivetran"),
    "discounts are wrong": (*WHOLE, "shopify_export", "line_rows"),
    "shipping is lost": ("graphql_json", "amounts_mixed", "shopify_export", "epoch_seconds"),
    "shipping is wrong": ("graphql_json", "laravel", "shopify_export", "epoch_seconds"),
    "tax is wrong": (*WHOLE, "shopify_export"),
    "the currency is lost": (*WHOLE, "shopify_export"),
    "dates are lost": ("tax_inclusive_eu", "laravel", "epoch_seconds"),
    "dates cannot be read": ("amounts_german", "rfc2822_dates"),
    "dates are moved by weeks": (*WHOLE, "free_shipping", "shopify_export"),
    "dates are in the future": ("shopify_rest", "laravel", "epoch_seconds"),
    "line items stand twice": (*WHOLE, "free_shipping"),
    "line items are cut off": ("shopify_rest", "graphql_json", "laravel"),
    "a line item is lost": ("tax_inclusive_eu", "laravel", "gift_cards"),
    "refunds stand twice": (*WHOLE, "free_shipping"),
    "refunds are lost": (*WHOLE,),
    "refunds are cut off": ("shopify_rest", "graphql_json"),
    "quantities are wrong": ("shopify_export", "line_rows"),
    "prices are wrong": ("shopify_export", "line_rows"),
}


def _found(orders: Orders, months: list[Span | None], currency: str) -> Found:
    conditions = (Condition("currency", "eq", currency),)
    found: Found = {}
    for span in months:
        figures = orders.figures(span, conditions, units=True)
        marks = orders.marks(span, conditions)
        for name, metric in METRICS.items():
            if metric.available(orders.missing):
                found[span.start.date() if span else None, name] = metric.value(figures), mark_of(name, marks)
    return found


def _once(names: Sequence[str]) -> dict[str, list[str]]:
    """Each damage in the first of these schemas that it is looked for in, as schema -> damages."""
    found: dict[str, list[str]] = {}
    for title, able in SCHEMAS_BY_DAMAGE.items():
        found.setdefault(next(name for name in names if name in able), []).append(title)
    return found


def _everywhere() -> dict[str, list[str]]:
    """Each damage in all of its schemas, as schema -> damages."""
    names = {name for able in SCHEMAS_BY_DAMAGE.values() for name in able}
    return {name: [title for title in DAMAGES if name in SCHEMAS_BY_DAMAGE[title]] for name in sorted(names)}


SHORT = _once(("shopify_export", "graphql_json", "laravel", "line_rows", "gift_cards", "amounts_german"))


@pytest.mark.parametrize(
    ("name", "titles", "months_apart"),
    [
        *[pytest.param(name, titles, 24, id=name) for name, titles in SHORT.items()],
        *[
            pytest.param(name, titles, 6, id=f"{name}, all", marks=pytest.mark.soak)
            for name, titles in _everywhere().items()
        ],
    ],
)
def test_every_wrong_figure_of_a_damaged_table_carries_a_mark(
    name: str, titles: Sequence[str], months_apart: int
) -> None:
    schema, rows = SCHEMAS[name], in_key_order(SCHEMAS[name])
    with schema_orders(schema) as orders:
        months, currency = [None, *months_of(orders)[::months_apart]], orders.currencies()[0][0]
        right, roles = _found(orders, months, currency), orders.reading.roles
    for title in titles:
        damage = DAMAGES[title]
        with schema_orders(schema, damage.apply(rows, roles[damage.role])) as orders:
            found = _found(orders, months, currency)
        wrong = {key: mark for key, (value, mark) in found.items() if value != right[key][0]}
        assert wrong, f"{title}: no figure is wrong"
        assert [key for key, mark in wrong.items() if mark is None] == [], title


def test_every_amount_depends_on_a_check_of_amounts() -> None:
    checked = {name for check in ("lines", "total", "refunds") for name in CHECKS[check].figures or ()}
    assert {name for name, metric in METRICS.items() if metric.unit == "money"} <= checked


def test_an_order_that_stands_twice_is_marked() -> None:
    rows = in_key_order(SCHEMAS["shopify_rest"])
    doubled = [*rows, {**rows[20], "id": "5400999999999"}]
    with schema_orders(SCHEMAS["shopify_rest"], doubled) as orders:
        assert orders.reading.grain == "order"
        mark = orders.marks(None)["identity"]
    assert (mark.check, mark.orders, mark.message) == (
        "identity",
        2,
        "2 orders have the number of another order, or no currency.",
    )


def test_a_mark_says_by_how_much_a_figure_may_be_wrong() -> None:
    rows = in_key_order(SCHEMAS["shopify_rest"])
    damaged = [
        {**row, **{name: str(Decimal(row[name] or "") + 1000) for name in ("subtotal_price", "total_price")}}
        for row in rows[:2]
    ]
    with schema_orders(SCHEMAS["shopify_rest"], [*damaged, *rows[2:]]) as orders:
        mark = mark_of("net_sales", orders.marks(None))
        elsewhere = mark_of("units", orders.marks(None))
    assert mark is not None
    assert (mark.orders, mark.difference) == (2, Decimal(2000))
    assert elsewhere == mark


def test_amounts_that_cannot_be_read_are_marked_with_their_number() -> None:
    kinds: dict[str, Kind] = {"id": "integer", "created_at": "text", "currency": "text", "total_price": "text"}
    columns = [Column(name=n, type="", kind=k, nullable=True, key=int(n == "id")) for n, k in kinds.items()]
    rows = [
        {"id": str(n), "created_at": f"2025-01-{n % 28 + 1:02} 10:00:00", "currency": "EUR", "total_price": "99.00"}
        for n in range(100)
    ]
    for row in rows[::10]:
        row["total_price"] = "see note"
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, rows, columns=tuple(columns))
        orders = Orders(cache.snapshots.open(), "UTC")
        mark = mark_of("total_sales", orders.marks(None))
        counted = mark_of("orders", orders.marks(None))
        orders.close()
        cache.close()
    assert mark is not None
    assert (mark.check, mark.orders, mark.message) == ("parse", 10, "10 orders have values that cannot be read.")
    assert counted is None


@pytest.fixture(scope="module")
def lab_orders() -> Iterator[Orders]:
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, shop(3_000), columns=SHOP_COLUMNS)
        opened = Orders(cache.snapshots.open(), "UTC")
        yield opened
        opened.close()
        cache.close()


def test_the_shop_of_the_lab_raises_no_alarm(lab_orders: Orders) -> None:
    assert lab_orders.marks(None) == {}


# -- days


def _days(first: date, count: int, orders: int = 40) -> dict[date, int]:
    return {first + timedelta(days=n): orders for n in range(count)}


START = date(2025, 3, 3)


def test_a_day_without_orders_is_unusual() -> None:
    days = _days(START, 120)
    lost = START + timedelta(days=100)
    del days[lost]
    assert unusual_days(days, START + timedelta(days=120)) == [(lost, 0, 40)]


def test_a_day_that_orders_were_moved_to_is_unusual() -> None:
    moved = START + timedelta(days=100)
    days = {**_days(START, 120), moved: 700}
    assert unusual_days(days, START + timedelta(days=120)) == [(moved, 700, 40)]


def test_half_a_day_and_the_day_that_is_not_over_raise_no_alarm() -> None:
    days = {**_days(START, 120), START + timedelta(days=90): 20, START + timedelta(days=119): 1}
    assert unusual_days(days, START + timedelta(days=119)) == []


def test_the_first_eight_weeks_raise_no_alarm() -> None:
    days = {**_days(START, 120), START + timedelta(days=50): 0}
    assert unusual_days(days, START + timedelta(days=120)) == []


@pytest.mark.parametrize("holiday", [date(2025, 11, 28), date(2025, 12, 1), date(2025, 12, 25), date(2026, 1, 1)])
def test_holidays_raise_no_alarm(holiday: date) -> None:
    for orders in (0, 900):
        assert unusual_days({**_days(START, 400), holiday: orders}, START + timedelta(days=400)) == []


def test_a_small_shop_raises_no_alarm() -> None:
    days = {**_days(START, 120, orders=8), START + timedelta(days=100): 0}
    assert unusual_days(days, START + timedelta(days=120)) == []
