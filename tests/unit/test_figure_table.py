"""Figures of a query are those of `Orders`, by groups, over time and beside the compared period."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from cache_factory import cache_in, publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics import figure_table
from cache.analytics.dimensions.catalogue import DIMENSIONS, FILTERS
from cache.analytics.figure_query import ALL_CURRENCIES, FigureQuery
from cache.analytics.figure_table import FigureTable, compute
from cache.analytics.figures import RETURNS, Figures
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import or_zero
from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, Unit, comparison_span, period_span
from cache.calendar.steps import buckets
from cache.errors import BadFilter, TooManyRows
from cache.query.filters import Condition
from cache.schema import Column

pytestmark = pytest.mark.slow

Row = dict[str, str | None]
NOW = datetime(2025, 11, 20, 15, tzinfo=UTC)
GROUPED = [name for name in DIMENSIONS if name != "currency"]
STEPS: tuple[Unit, ...] = get_args(Unit)


@contextmanager
def opened(rows: Sequence[Row], timezone: str, columns: Sequence[Column] = SHOP_COLUMNS) -> Iterator[Orders]:
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, [{c.name: row.get(c.name) for c in columns} for row in rows], columns=columns)
        orders = Orders(cache.snapshots.open(), timezone)
        yield orders
        orders.close()
        cache.close()


@pytest.fixture(scope="module", params=["Pacific/Auckland", "America/Los_Angeles"])
def orders(request: pytest.FixtureRequest) -> Iterator[Orders]:
    with opened(shop(300, NOW), request.param) as found:
        yield found


def calendar_of(orders: Orders) -> ShopCalendar:
    extent = orders.extent()
    return ShopCalendar.at(NOW, orders.timezone, NOW, extent.end if extent else None, orders.week_start)


def answer(orders: Orders, **query: object) -> FigureTable:
    return compute(orders, FigureQuery.model_validate(query), calendar_of(orders))


def random_query(chance: random.Random, orders: Orders) -> FigureQuery:
    first = date(2025, 3, 1) + timedelta(chance.randrange(250))
    conditions = []
    if chance.random() < 0.5:
        name = chance.choice([name for name in FILTERS if orders.offers(name)])
        values = list(orders.products(50)) if name == "product" else orders.values(name)
        conditions.append(Condition(name, "in", tuple(chance.sample(values, min(2, len(values))))))
    available = [name for name in GROUPED if orders.offers(name)]
    return FigureQuery(
        metrics=tuple(chance.sample(list(METRICS), chance.randrange(len(METRICS)))),
        by=tuple(chance.sample(available, chance.randrange(3))),
        step=chance.choice([None, "day", "week", "month", "quarter", "year"]),
        period=chance.choice(list(PERIODS)),
        days=(first, first + timedelta(chance.randrange(100))),
        compare=chance.choice(list(COMPARISONS)),
        compared_days=(first - timedelta(400), first - timedelta(300)),
        currency=chance.choice(["", "", "USD", ALL_CURRENCIES]),
        returns=chance.choice(list(RETURNS)),
        conditions=tuple(conditions),
    )


@pytest.mark.parametrize("queries", [15, pytest.param(100, marks=pytest.mark.soak)])
def test_random_queries_equal_the_orders_of_the_dashboard(orders: Orders, queries: int) -> None:
    chance = random.Random(17)
    calendar, extent = calendar_of(orders), orders.extent()
    compared = 0
    for _ in range(queries):  # in each of two time zones
        query = random_query(chance, orders)
        table = compute(orders, query, calendar)
        custom, other = (Span.of_days(*days) if days else None for days in (query.days, query.compared_days))
        span = period_span(query.period, calendar, extent, custom)
        then = comparison_span(query.compare, query.period, span, calendar, other)
        assert (table.span, table.compared_span) == (span, then)
        main = orders.currencies()[0][0]
        currency = [] if query.currency == ALL_CURRENCIES else [Condition("currency", "eq", query.currency or main)]
        conditions = [*currency, *query.conditions]
        expected = {
            (group.at, group.values): group.figures
            for group in orders.groups(table.by, query.step, span, conditions, query.returns, True, True)
        }
        for row in table.rows:
            figures = expected.pop((row.at, row.values), Figures())
            assert values(table, row.figures) == values(table, figures), query
            compared += row.compared is not None
        assert not expected, query
        whole = orders.figures(span, conditions, query.returns, units=True)
        assert values(table, table.totals) == values(table, whole), query
        if then:
            assert table.compared_totals
            before = orders.figures(then, conditions, query.returns, units=True)
            assert values(table, table.compared_totals) == values(table, before), query
    assert compared > 2 * queries


def values(table: FigureTable, figures: Figures) -> list[object]:
    return [or_zero(metric.value(figures)) for metric in table.metrics]


def test_compared_rows_of_groups_sum_to_the_compared_total(orders: Orders) -> None:
    table = answer(orders, metrics=("gross_sales",), by=("country", "channel"), period="quarter", compare="before")
    assert table.compared_totals
    gross_sales = METRICS["gross_sales"]
    total = sum(or_zero(gross_sales.value(row.compared)) for row in table.rows if row.compared)
    assert total == or_zero(gross_sales.value(table.compared_totals)) > 0
    assert [row.values for row in table.rows if not row.figures.orders]  # sold in the compared period only


def test_without_dimensions_each_bucket_has_a_row_beside_its_counterpart(orders: Orders) -> None:
    table = answer(orders, metrics=("orders",), step="week", period="quarter", compare="before")
    assert table.span
    assert table.compared_span
    calendar = calendar_of(orders)
    divided, before = (buckets("week", span, calendar) for span in (table.span, table.compared_span))
    assert [row.at for row in table.rows] == [bucket.start for bucket in divided]
    assert [row.partial for row in table.rows] == [bucket.partial for bucket in divided]
    for row, bucket in zip(table.rows, before, strict=False):
        counted = orders.figures(bucket.counted, [Condition("currency", "eq", table.currency)])
        assert row.compared
        assert row.compared.orders == counted.orders


def test_rows_are_in_order_of_time_then_the_largest_first(orders: Orders) -> None:
    table = answer(orders, metrics=("orders",), by=("country",), step="year")
    places = [(row.at, -row.figures.orders) for row in table.rows]
    assert places == sorted(places)
    assert len({row.at for row in table.rows}) > 1


def test_amounts_of_several_currencies_have_no_total(orders: Orders) -> None:
    table = answer(orders, metrics=("gross_sales", "orders"), currency=ALL_CURRENCIES)
    assert table.by == ("currency",)
    assert [row.values for row in table.rows] == sorted((code,) for code, _ in orders.currencies())
    gross, count = (table.total(METRICS[name], table.totals) for name in ("gross_sales", "orders"))
    assert or_zero(gross) == 0
    assert count == sum(row.figures.orders for row in table.rows)


def test_a_currency_without_orders_is_refused_with_those_there_are(orders: Orders) -> None:
    with pytest.raises(BadFilter, match=r"'XXX'.*Currencies: USD, "):
        answer(orders, currency="XXX")


def test_the_main_currency_is_that_of_the_settings_where_it_has_orders(orders: Orders) -> None:
    calendar = calendar_of(orders)
    last = orders.currencies()[-1][0]
    assert compute(orders, FigureQuery(), calendar, last).currency == last
    assert compute(orders, FigureQuery(), calendar, "XXX").currency == orders.currencies()[0][0]


def test_too_many_groups_are_refused(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_table, "MAX_GROUPS", 20)
    answer(orders, by=("status",))
    with pytest.raises(TooManyRows, match="more than 20 groups"):
        answer(orders, by=("country",), step="day")
    with pytest.raises(TooManyRows, match="more than 20 groups"):  # of which most have no orders
        answer(orders, step="day", period="custom", days=("1970-01-01", "1970-02-01"))


@pytest.mark.parametrize("query", [{"step": "day"}, {"period": "month"}, {"period": "month", "compare": "year"}])
def test_without_dates_only_all_time_is_known(query: dict[str, str]) -> None:
    columns = [column for column in SHOP_COLUMNS if column.name not in ("created_at", "processed_at", "updated_at")]
    with opened(shop(30, NOW), "UTC", columns) as orders:
        whole = answer(orders, metrics=("orders",))
        assert (whole.span, whole.compared_span, len(whole.rows)) == (None, None, 1)
        assert whole.totals.orders > 0
        with pytest.raises(BadFilter, match="No dates"):
            answer(orders, **query)


def test_what_the_table_cannot_tell_is_no_row_and_no_default(orders: Orders) -> None:
    columns = [c for c in SHOP_COLUMNS if c.name not in ("refunds", "total_refunded", "source_name")]
    with opened(shop(30, NOW), "UTC", columns) as without:
        assert "returns" not in {metric.id for metric in answer(without).metrics}
        table = answer(without, metrics=("returns", "orders"), step="day", period="365d")
        assert {table.value(METRICS["returns"], row.figures) for row in table.rows} == {
            table.value(METRICS["returns"], table.totals)
        }
        with pytest.raises(BadFilter, match="No channel"):
            answer(without, by=("channel",))
