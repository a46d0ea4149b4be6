"""The events of a figure sum to it, to the cent: for random views of the shop, and for every schema of the corpus."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from cache_factory import cache_in, publish
from schema_corpus import corpus
from schema_orders import schema_orders
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.dimensions.catalogue import FILTERS
from cache.analytics.events import FigureEvents
from cache.analytics.figures import RETURNS, Returns
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, comparison_span, period_span
from cache.query.filters import Condition

pytestmark = pytest.mark.slow

NOW = datetime(2025, 11, 20, 15, tzinfo=UTC)


class View(NamedTuple):
    """What an overview shows."""

    span: Span | None
    conditions: tuple[Condition, ...]
    returns: Returns


@contextmanager
def opened_shop(timezone: str) -> Iterator[Orders]:
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, shop(300, NOW), columns=SHOP_COLUMNS)
        orders = Orders(cache.snapshots.open(), timezone)
        yield orders
        orders.close()
        cache.close()


@pytest.fixture(scope="module", params=["Pacific/Auckland", "America/Los_Angeles"])
def orders(request: pytest.FixtureRequest) -> Iterator[Orders]:
    with opened_shop(request.param) as opened:
        yield opened


def random_view(chance: random.Random, orders: Orders) -> View:
    """Period or compared period, filters, currency and the day of returns."""
    extent = orders.extent()
    codes, counts = zip(*orders.currencies(), strict=True)
    conditions = [Condition("currency", "eq", chance.choices(codes, counts)[0])]
    available = [name for name in FILTERS if orders.offers(name)]
    for name in chance.sample(available, min(len(available), chance.choice([0, 0, 0, 1]))):
        values = list(orders.products(50)) if name == "product" else orders.values(name)
        conditions.append(Condition(name, "in", tuple(chance.sample(values, min(3, len(values))))))
    span = None
    if extent:
        calendar = ShopCalendar.at(NOW, orders.timezone, NOW, extent.end, orders.week_start)
        first = extent.start + (extent.end - extent.start) * chance.random()
        days = Span.of_days(first.date(), (first + timedelta(chance.randrange(200))).date())
        period = chance.choice(["all", "year", "last_year", *["custom"] * 6, *PERIODS])
        span = period_span(period, calendar, extent, days)
        if chance.random() < 0.3:
            span = comparison_span(chance.choice(list(COMPARISONS)), period, span, calendar, days) or span
    return View(span, tuple(conditions), chance.choice(list(RETURNS)))


def events_of(orders: Orders, name: str, view: View) -> FigureEvents:
    return FigureEvents(orders, name, *view)


def check(orders: Orders, view: View) -> int:
    """Compares every metric with its events. Returns how many events there are."""
    figures = orders.figures(*view, units=True)
    listed = 0
    for name, metric in METRICS.items():
        if not metric.available(orders.missing):
            continue
        of_metric = events_of(orders, name, view)
        assert of_metric.total == metric.value(figures), (name, view)
        events = of_metric.page(1_000_000)
        assert len(events) == of_metric.count(), (name, view)
        amounts = [event.amount for event in events if event.amount is not None]
        divisors = [event.divisor for event in events if event.divisor is not None]
        assert (sum(amounts), sum(divisors)) == (of_metric.amount, of_metric.divisor or 0), (name, view)
        assert all(
            view.span is None or view.span.start <= event.local < view.span.end for event in events if event.local
        )
        listed += len(events)
    return listed


@pytest.mark.parametrize("views", [8, pytest.param(50, marks=pytest.mark.soak)])
def test_every_metric_of_random_views_is_the_sum_of_its_events(orders: Orders, views: int) -> None:
    chance = random.Random(17)
    listed = [check(orders, random_view(chance, orders)) for _ in range(views)]  # in each of two time zones
    assert sum(map(bool, listed)) > views * 0.6


@pytest.mark.parametrize("views", [0, pytest.param(2, marks=pytest.mark.soak)])
@pytest.mark.parametrize("schema", corpus(), ids=lambda schema: schema.name)
def test_every_metric_of_each_schema_is_the_sum_of_its_events(schema: Any, views: int) -> None:
    chance = random.Random(17)
    with schema_orders(schema) as orders:
        everything = View(None, (), "returned")
        assert check(orders, everything)
        for _ in range(views):
            check(orders, random_view(chance, orders))
