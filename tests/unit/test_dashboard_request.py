"""The current view as a request to the API gives the same orders."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from cache_factory import cache_in, publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.orders import Orders
from cache.calendar.periods import ShopCalendar, Span
from cache.query.engine import ColumnIndex
from cache.query.filters import Condition, Query
from cache.query.operators import Op
from cache.storage.snapshot import Snapshot
from dashboard import code_samples
from dashboard.selection import Selection
from dashboard.view import View

SPAN = Span(datetime(2026, 3, 1), datetime(2026, 4, 1))
NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
CALENDAR = ShopCalendar(ZoneInfo("America/New_York"), date(2026, 4, 20), datetime(2026, 4, 20))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, shop(400, until=datetime.fromisoformat("2026-04-20T00:00:00Z")), columns=SHOP_COLUMNS)
    yield cache.snapshots.open()
    cache.close()


@pytest.fixture(scope="module")
def orders(snapshot: Snapshot) -> Iterator[Orders]:
    opened = Orders(snapshot, "America/New_York")
    yield opened
    opened.close()


def shown(orders: Orders, **filters: Any) -> Selection:
    view = View("custom", **filters)
    return Selection(orders, view, CALENDAR, "USD", SPAN, None, view.conditions("USD", NOW))


def test_its_parameters_choose_the_orders_that_the_page_shows(orders: Orders, snapshot: Snapshot) -> None:
    page = shown(orders, status=("paid", "pending"), channel=("web",))
    parameters, left = code_samples.request_parameters(page)
    assert ("processed_at__gte", "2026-03-01T05:00:00Z") in parameters
    assert ("processed_at__lt", "2026-04-01T04:00:00Z") in parameters  # summer time began between
    assert left == []
    conditions = []
    for name, value in parameters:
        column, _, op = name.partition("__")
        conditions.append(Condition(column, cast(Op, op or "eq"), tuple(value.split(",")) if op == "in" else value))
    matches = ColumnIndex(snapshot).find(Query(tuple(conditions)))
    assert matches.total == orders.page(SPAN, page.conditions).count > 0


def test_what_the_api_cannot_filter_by_is_named(orders: Orders) -> None:
    _, left = code_samples.request_parameters(
        shown(orders, country=("DE",), product=("CUP-1",), fulfilment=("", "fulfilled"))
    )
    assert left == ["fulfilment", "country", "product"]


def test_codes_with_commas_and_quotes_stay_one_value_and_one_word(orders: Orders) -> None:
    parameters, _ = code_samples.request_parameters(shown(orders, discount=('2,5 "off"', "it's")))
    assert ("discount_code__in", '"2,5 ""off""",it\'s') in parameters
    words = shlex.split(code_samples.curl("http://here", parameters).replace("\\\n", " "))
    assert words[words.index("--data-urlencode") + 1 :: 2] == [f"{name}={value}" for name, value in parameters]


def test_the_python_and_javascript_are_programs(orders: Orders, tmp_path: Path) -> None:
    parameters, _ = code_samples.request_parameters(shown(orders, discount=("it's",)))
    compile(code_samples.python("http://here", parameters), str(tmp_path / "program.py"), "exec")
    assert "discount_code__in=it%27s" in code_samples.javascript("http://here", parameters)
