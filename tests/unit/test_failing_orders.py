"""The list of orders that fail a check: as many as the mark says, and the same orders on the page and in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from cache_factory import cache_in, publish
from damages import DAMAGES
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import CheckId
from cache.export.order_selection import OrderSelection
from cache.query.filters import Condition
from cache.storage.snapshot import Snapshot
from cache.table_setup import NO_SETUP

pytestmark = pytest.mark.slow

ROWS = shop(600, until=datetime(2026, 1, 1, tzinfo=UTC))
USD, PAID = Condition("currency", "eq", "USD"), Condition("status", "in", ("paid",))
YEAR = Span(datetime(2025, 1, 1), datetime(2026, 1, 1))
DAMAGED: Sequence[tuple[str, str, CheckId]] = (
    ("totals have a digit too many", "total_price", "total"),
    ("line items are cut off", "line_items", "parse"),
    ("refunds are lost", "refunds", "refunds"),
    ("the currency is lost", "currency", "identity"),
    ("dates are lost", "processed_at", "dates"),
)
Copy = tuple[CheckId, Snapshot, Orders]


@pytest.fixture(scope="module", params=DAMAGED, ids=[title for title, _, _ in DAMAGED])
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A damaged copy of the shop, and the check that its orders fail."""
    title, column, check = request.param
    cache = cache_in(tmp_path_factory.mktemp("damaged"))
    publish(cache, DAMAGES[title].apply(ROWS, column), columns=SHOP_COLUMNS)
    snapshot = cache.snapshots.open()
    orders = Orders(snapshot, "UTC")
    yield check, snapshot, orders
    orders.close()
    cache.close()


@pytest.mark.parametrize("span", [None, YEAR], ids=["all time", "a year"])
@pytest.mark.parametrize("conditions", [(), (USD,), (PAID,)], ids=["all", "a currency", "a status"])
def test_the_list_has_as_many_orders_as_the_mark_says(
    copy: Copy, span: Span | None, conditions: tuple[Condition, ...]
) -> None:
    check, _, orders = copy
    mark = orders.marks(span, conditions).get(check)
    assert orders.page(span, conditions, failing=check).count == (mark.orders if mark else 0)


@pytest.mark.parametrize(
    ("span", "search"),
    [
        (None, "smith"),
        (YEAR, ""),
        pytest.param(None, "", marks=pytest.mark.soak),
        pytest.param(YEAR, "smith", marks=pytest.mark.soak),
    ],
    ids=["all time-smith", "a year-", "all time-", "a year-smith"],
)
def test_the_file_holds_the_orders_of_the_list(copy: Copy, span: Span | None, search: str) -> None:
    check, snapshot, orders = copy
    page = orders.page(span, (PAID,), search, 10**6, failing=check)
    selection = OrderSelection(timezone="UTC", span=span, conditions=(PAID,), search=search, failing=check)
    with duckdb.connect() as database:
        numbers = selection.row_numbers(database, snapshot, NO_SETUP, orders.reading)
    assert sorted(ROWS[number]["id"] or "" for number in numbers) == sorted(str(row["id"]) for row in page.rows)


def test_a_healthy_shop_has_no_such_orders(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    publish(cache, ROWS, columns=SHOP_COLUMNS)
    orders = Orders(cache.snapshots.open(), "UTC")
    assert [orders.page(None, failing=check).count for _, _, check in DAMAGED] == [0] * len(DAMAGED)
    orders.close()
    cache.close()
