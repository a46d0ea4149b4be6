"""The list of orders: sorted, summed, in ranges and in queues, as an independent computation in Python says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from cache_factory import cache_in, publish
from damages import DAMAGES
from long_cases import soak_but
from shop_factory import SHOP_COLUMNS, shop

from cache.access.masking import Mask
from cache.analytics.dimensions.ranges import RANGES, Bounds, RangeId, range_conditions
from cache.analytics.order_list.queues import QUEUES, QueueId, queue_conditions
from cache.analytics.order_list.sorting import NEWEST, SORTS
from cache.analytics.order_lookup import FAILED, ROW_KEY
from cache.analytics.orders import Orders
from cache.calendar.periods import ShopCalendar
from cache.check_report import FailedCheck
from cache.export.order_selection import OrderSelection
from cache.interpretation.requirements import missing
from cache.query.filters import Condition, Sort
from cache.storage.snapshot import Snapshot
from cache.table_setup import NO_SETUP

pytestmark = pytest.mark.slow

Row = dict[str, str | None]
NOW = datetime(2026, 11, 25, 15, 30, 20, tzinfo=UTC)  # a Wednesday
MINUTE = NOW.replace(second=0)
CALENDAR = ShopCalendar(ZoneInfo("UTC"), date(2026, 11, 25), NOW.replace(tzinfo=None))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return shop(6000, NOW)[-320:]


@pytest.fixture(scope="module")
def snapshot(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    cache = cache_in(tmp_path_factory.mktemp("list"))
    publish(cache, rows, columns=SHOP_COLUMNS)
    yield cache.snapshots.open()
    cache.close()


@pytest.fixture(scope="module")
def orders(snapshot: Snapshot) -> Iterator[Orders]:
    opened = Orders(snapshot, "UTC")
    yield opened
    opened.close()


def real(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["test"] == "0"]


def pieces(row: Row) -> int:
    return sum(item["quantity"] for item in json.loads(row["line_items"] or "[]"))


def country(row: Row) -> str | None:
    address = json.loads(json.loads(row["destination"] or '"{}"'))
    return address["country"].casefold() if address else None


VALUES: dict[str, Callable[[Row], Any]] = {
    "order": lambda row: int((row["name"] or "").removeprefix("#")),
    "date": lambda row: row["processed_at"],
    "customer": lambda row: (row["customer_name"] or row["email"] or "").lower() or None,
    "payment": lambda row: row["financial_status"],
    "fulfilment": lambda row: row["fulfillment_status"] or "",
    "channel": lambda row: row["source_name"],
    "country": country,
    "items": pieces,
    "total": lambda row: Decimal(row["total_price"] or 0),
    "column:discount_code": lambda row: (row["discount_code"] or "").lower() or None,
    "column:total_tax": lambda row: Decimal(row["total_tax"] or 0),
    "column:updated_at": lambda row: row["updated_at"],
}


def in_order(orders: Orders, sort: Sort, limit: int = 1000, offset: int = 0) -> list[str]:
    return [str(row[ROW_KEY]) for row in orders.page(None, limit=limit, offset=offset, sort=sort).rows]


def test_each_column_of_the_list_has_a_sort() -> None:
    assert set(SORTS) == {name for name in VALUES if not name.startswith("column:")}


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("name", VALUES)
def test_orders_are_sorted_by_what_a_column_shows(orders: Orders, rows: list[Row], name: str, descending: bool) -> None:
    value = VALUES[name]
    newest = sorted(real(rows), key=lambda row: (row["processed_at"] or "", int(row["id"] or 0)), reverse=True)
    # A stable sort leaves equal ones as they are, the newest first, also where it is reversed.
    filled = sorted((row for row in newest if value(row) is not None), key=value, reverse=descending)
    empty = [row for row in newest if value(row) is None]
    assert in_order(orders, Sort(name, descending)) == [row["id"] for row in (*filled, *empty)]


def test_pages_of_a_sorted_list_go_through_every_order_once(orders: Orders) -> None:
    sort = Sort("customer")
    whole = in_order(orders, sort)
    assert [key for page in range(5) for key in in_order(orders, sort, 70, 70 * page)] == whole


def test_nothing_hidden_and_nothing_nested_is_sorted_by(orders: Orders) -> None:
    hidden = Mask(("email", "note"), ("line_items", "destination"))
    offered = {
        name for name in (*SORTS, *(f"column:{c.name}" for c in SHOP_COLUMNS)) if orders.sorts.offers(name, hidden)
    }
    assert offered.isdisjoint({"customer", "column:email", "column:note", "column:line_items", "column:refunds"})
    assert {"order", "date", "total", "country", "column:tags"} <= offered
    assert not orders.sorts.offers("column:none", hidden) and not orders.sorts.offers("nothing", hidden)
    assert not orders.sorts.offers("order", Mask(("name",)))
    of_facts = Mask(("destination", "total_price", "financial_status"))
    assert [orders.sorts.offers(name, of_facts) for name in ("country", "total", "payment")] == [False] * 3


def test_sums_are_those_of_all_pages_by_currency(orders: Orders, rows: list[Row]) -> None:
    web = [row for row in real(rows) if row["source_name"] == "web"]
    sums = orders.page(None, (Condition("channel", "in", ("web",)),), limit=10, sort=NEWEST).sums
    assert sum(each.orders for each in sums.values()) == len(web) > 10
    for code, each in sums.items():
        own = [row for row in web if row["currency"] == code]
        total = sum(Decimal(row["total_price"] or 0) for row in own)
        assert each == (len(own), sum(map(pieces, own)), total)
    assert len(sums) > 2


def at(row: Row, name: str) -> datetime:
    return datetime.fromisoformat(row[name] or "").replace(tzinfo=UTC)


def waits(row: Row) -> bool:
    sent = row["fulfillment_status"] or row["cancelled_at"] or row["source_name"] == "pos"
    return row["financial_status"] == "paid" and not sent and at(row, "processed_at") < MINUTE - timedelta(days=3)


def was_refunded(row: Row) -> bool:
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    return any(datetime.fromisoformat(refund["created_at"]) >= monday for refund in json.loads(row["refunds"] or "[]"))


def listed(
    orders: Orders, conditions: tuple[Condition, ...], failing: FailedCheck | None = None, search: str = ""
) -> set[str]:
    page = orders.page(None, conditions, search, limit=2000, failing=failing)
    assert page.count == len(page.rows)
    if not search:
        assert orders.count(None, conditions, failing) == page.count
    return {str(row[ROW_KEY]) for row in page.rows}


def in_file(
    snapshot: Snapshot,
    orders: Orders,
    rows: list[Row],
    conditions: tuple[Condition, ...],
    failing: FailedCheck | None = None,
) -> set[str]:
    return set(file_of(OrderSelection(timezone="UTC", conditions=conditions, failing=failing), snapshot, orders, rows))


def file_of(selection: OrderSelection, snapshot: Snapshot, orders: Orders, rows: list[Row]) -> list[str]:
    """The orders of a file, in its order."""
    with duckdb.connect() as database:
        numbers = selection.row_numbers(database, snapshot, NO_SETUP, orders.reading)
    return [rows[number]["id"] or "" for number in numbers]


@pytest.mark.parametrize("name", soak_but(("country",), [*VALUES, *(f"-{n}" for n in VALUES)]))
def test_a_file_has_the_order_of_the_list(snapshot: Snapshot, orders: Orders, rows: list[Row], name: str) -> None:
    sort = Sort(name.removeprefix("-"), name.startswith("-"))
    for conditions, search in (((), ""), ((Condition("customer_type", "eq", "returning"),), "a")):
        selection = OrderSelection(timezone="UTC", conditions=conditions, search=search, sort=sort)
        page = orders.page(None, conditions, search, limit=1000, sort=sort)
        assert file_of(selection, snapshot, orders, rows) == [str(row[ROW_KEY]) for row in page.rows] != []


@pytest.mark.parametrize(("queue", "belongs"), [("unfulfilled", waits), ("refunded", was_refunded)])
def test_a_queue_has_the_orders_that_belong_to_it(
    snapshot: Snapshot, orders: Orders, rows: list[Row], queue: QueueId, belongs: Callable[[Row], bool]
) -> None:
    conditions = queue_conditions(queue, orders.values, CALENDAR, NOW)
    expected = {row["id"] for row in rows if row["test"] == "0" and belongs(row)}
    assert listed(orders, conditions) == expected
    assert in_file(snapshot, orders, rows, conditions) == expected
    assert len(expected) >= 3
    web = Condition("channel", "in", ("web",))
    assert listed(orders, (web, *conditions)) == {
        row["id"] for row in rows if row["id"] in expected and row["source_name"] == "web"
    }
    assert not QUEUES[queue].lacks(orders.missing)


def test_a_queue_knows_other_spellings_of_a_status() -> None:
    spellings = {"status": ["PAID", "PENDING", "Paid"], "fulfilment": ["UNFULFILLED", "", "FULFILLED"]}
    conditions = queue_conditions("unfulfilled", lambda name: spellings[name], CALENDAR, NOW)
    assert [condition.value for condition in conditions[:2]] == [("PAID", "Paid"), ("", "UNFULFILLED")]


def test_the_queue_of_failed_checks_names_the_checks(rows: list[Row], tmp_path: Path) -> None:
    damaged = DAMAGES["totals have a digit too many"].apply(rows, "total_price")
    cache = cache_in(tmp_path)
    publish(cache, damaged, columns=SHOP_COLUMNS)
    snapshot = cache.snapshots.open()
    opened = Orders(snapshot, "UTC")
    assert opened.are_checked
    failing = QUEUES["failing"].failing
    wrong = {row["id"] for row, right in zip(damaged, rows, strict=True) if row["test"] == "0" and row != right}
    assert listed(opened, (), failing) == in_file(snapshot, opened, list(damaged), (), failing) == wrong
    assert all("total" in row[FAILED] for row in opened.page(None, failing=failing, limit=2000).rows)
    assert not any(row[FAILED] for row in opened.page(None, limit=2000).rows if row[ROW_KEY] not in wrong)
    opened.close()
    cache.close()


@pytest.mark.parametrize(
    ("queue", "role", "reason"),
    [
        ("unfulfilled", "financial_status", "No payment status: the table has no column for the payment status."),
        (
            "unfulfilled",
            "fulfillment_status",
            "No fulfilment status: the table has no column for the fulfilment status.",
        ),
        ("refunded", "refunds", "No dates of returns: the table has no column for the refunds, each with its date."),
    ],
)
def test_a_table_that_cannot_tell_a_queue_says_why(orders: Orders, queue: QueueId, role: str, reason: str) -> None:
    assert QUEUES[queue].lacks(missing(orders.roles)) == ""
    assert QUEUES[queue].lacks(missing(orders.roles.keys() - {role})) == reason


def inside(name: RangeId, text: str) -> Callable[[Row], bool]:
    low, high = (Decimal(end) if end else None for end in text.split(".."))

    def number(row: Row) -> Decimal:
        match name:
            case "total":
                return Decimal(row["total_price"] or 0)
            case "items":
                return Decimal(pieces(row))
            case "age":
                return Decimal((MINUTE - at(row, "processed_at")).total_seconds()) / 86_400

    return lambda row: (low is None or number(row) >= low) and (high is None or number(row) <= high)


@pytest.mark.parametrize(
    ("name", "text"), [("total", "100..250.50"), ("total", "..20"), ("age", "3.."), ("age", "2..9"), ("items", "2..3")]
)
def test_a_range_has_the_orders_inside(orders: Orders, rows: list[Row], name: RangeId, text: str) -> None:
    bounds = RANGES[name].read(text)
    assert bounds
    assert str(bounds) == text
    conditions = range_conditions(name, bounds, NOW)
    expected = {row["id"] for row in rows if row["test"] == "0" and inside(name, text)(row)}
    assert 0 < len(expected) < len(rows)
    assert listed(orders, conditions) == expected


def test_ranges_together_choose_the_same_orders_in_files(snapshot: Snapshot, orders: Orders, rows: list[Row]) -> None:
    texts: dict[RangeId, str] = {"total": "50..250", "age": "2..20", "items": "2.."}
    bounds = {name: RANGES[name].read(text) or Bounds() for name, text in texts.items()}
    conditions = tuple(each for name in texts for each in range_conditions(name, bounds[name], NOW))
    expected = {
        row["id"] for row in rows if row["test"] == "0" and all(inside(name, text)(row) for name, text in texts.items())
    }
    assert listed(orders, conditions) == in_file(snapshot, orders, rows, conditions) == expected != set()


def test_figures_of_a_range_are_those_of_its_orders(orders: Orders, rows: list[Row]) -> None:
    bounds = RANGES["total"].read("100..")
    assert bounds
    conditions = (Condition("currency", "eq", "USD"), *range_conditions("total", bounds, NOW))
    chosen = [
        r for r in rows if (r["test"] == "0") and r["currency"] == "USD" and Decimal(r["total_price"] or 0) >= 100
    ]
    figures = orders.figures(None, conditions, units=True)
    assert (figures.orders, figures.units) == (len(chosen), sum(map(pieces, chosen)))
    charged = sum(Decimal(row["total_price"] or 0) for row in chosen)
    given_back = sum(Decimal(row["total_refunded"] or 0) for row in chosen if not row["cancelled_at"])
    cancelled = sum(Decimal(row["total_price"] or 0) for row in chosen if row["cancelled_at"])
    assert figures.total_sales == charged - given_back - cancelled
    by_product = orders.groups(["product"], None, None, conditions, units=True)
    assert sum(group.figures.units for group in by_product) == figures.units


@pytest.mark.parametrize("text", ["", "..", "abc", "5", "9..3", "1..2..3", "-1..", "1.5..", "1e9..", "١..", "100000.."])
def test_what_is_no_range_of_ages_is_refused(text: str) -> None:
    assert RANGES["age"].read(text) is None


def test_amounts_may_be_exact_and_negative() -> None:
    assert RANGES["total"].read("-12.3456..0") == Bounds(Decimal("-12.3456"), Decimal(0))
