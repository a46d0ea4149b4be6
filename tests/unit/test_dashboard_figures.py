"""What pages say of figures, over small tables whose right values were worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cache_factory import Row
from page_run import backend_of, captions, cards, messages, run, table
from schema_corpus import FOLDER, load
from schema_orders import as_copied, columns_of, in_key_order
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.figure_query import FigureQuery
from cache.analytics.figure_table import compute
from cache.calendar.periods import ShopCalendar
from dashboard.auth.access import Visitor
from dashboard.auth.identity import Identity

pytestmark = pytest.mark.slow

CALENDAR = ShopCalendar(ZoneInfo("UTC"), datetime.now(UTC).date(), datetime.now(UTC).replace(tzinfo=None))
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


def day(days_ago: int) -> str:
    return f"{datetime.now(UTC).date() - timedelta(days_ago)}"


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
        address = {"period": "7d", "metric": ["refund_rate", "orders"], "by": "status", "compare": "none"}
        lines = table(run(backend, "explore", address), "As a table")
    assert lines[1:] == [["Refunded", "100.0%", "1"], ["Paid", "0.0%", "1"], ["Total", "50.0%", "2"]]


def test_a_period_with_returns_and_no_orders_shows_the_returns(tmp_path: Path, returned_only: list[Row]) -> None:
    with backend_of(tmp_path, returned_only, SHOP_COLUMNS) as backend:
        overview = run(backend, "overview", {"period": "7d"})
        explored = run(backend, "explore", {"period": "7d", "metric": "returns", "step": "whole", "by": "status"})
        table_of = partial(compute, backend.orders.newest(1), calendar=CALENDAR)
        for_programs = table_of(FigureQuery(metrics=("returns", "orders"), by=("status",), period="7d"))
    assert [(row.values, row.figures.returns, row.figures.orders) for row in for_programs.rows] == [(("paid",), 40, 0)]
    assert for_programs.totals.returns == 40
    assert cards(overview)["total_sales"]["value"] == "-$40.00"
    assert ["Returns", "-$40.00", ""] in table(overview, "How total sales adds up")
    assert table(explored, "As a table")[1][:2] == ["Paid", "$40.00"]
    assert not messages(overview, "note") and not messages(explored, "note")


def test_shares_of_a_breakdown_are_of_the_total_that_it_names(tmp_path: Path) -> None:
    rows = [
        order(1, "150.00", 1, financial_status="paid"),
        order(2, "50.00", 1, financial_status="pending"),
        order(3, "90.00", 60, {"1": "40.00"}, financial_status="refunded"),
    ]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        lines = table(run(backend, "overview", {"period": "7d"}), "Total sales by payment status")
    assert lines[1:] == [
        ["Paid", "1", "$150.00", "93.8%"],
        ["Pending", "1", "$50.00", "31.2%"],
        ["Refunded", "0", "-$40.00", "-25.0%"],
        ["Total", "2", "$160.00", "100.0%"],
    ]


def test_what_a_breakdown_adds_up_is_more_than_one_row(tmp_path: Path) -> None:
    """A row "1 more" would take the place of the row that it hides."""
    codes = ("web", "pos", "iphone", "android", "shopify_draft_order", "subscriptions", "wholesale", "buy_button")
    rows = [order(i, f"{100 - i}.00", 1 if i < 7 else 20, source_name=code) for i, code in enumerate(codes)]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        week, month = (run(backend, "overview", {"period": period}) for period in ("7d", "30d"))
    names = [[line[0] for line in table(page, "Total sales by channel")[1:]] for page in (week, month)]
    assert [len(each) for each in names] == [7 + 1, 6 + 2]
    assert names[1][-2:] == ["2 more", "Total"]
    labels = [line[0] for page in (week, month) for line in table(page, "How total sales adds up")]
    assert not [label for label in labels if label == "Sales"]  # which ones, a name always says


def test_the_refunds_filter_lists_the_orders_with_refunds(tmp_path: Path) -> None:
    rows = [order(1, "100.00", 3, {"1": "40.00"}), order(2, "50.00", 3), order(3, "70.00", 60, {"1": "70.00"})]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        yes, no = (
            table(run(backend, "orders", {"period": "all", "refunded": value}), "Orders") for value in ("yes", "no")
        )
    assert [line[0] for line in yes[1:]] == ["#1", "#3"]
    assert [line[0] for line in no[1:]] == ["#2"]


@pytest.fixture
def undated() -> list[Row]:
    """Three orders of two customers in a table without dates. The first order has no title of its product."""
    items = (
        '[{"sku": "CUP", "title": "", "quantity": 1, "price": "10.00"}]',
        '[{"sku": "CUP", "title": "Cup", "quantity": 2, "price": "10.00"}]',
    )
    return [
        order(1, "10.00", 1, line_items=items[0], customer_id="7"),
        order(2, "20.00", 1, line_items=items[1], customer_id="7"),
        order(3, "20.00", 1, line_items=items[1], customer_id="8"),
    ]


@pytest.mark.slow
def test_without_dates_nothing_is_called_newest_or_returning(tmp_path: Path, undated: list[Row]) -> None:
    columns = [c for c in SHOP_COLUMNS if c.name not in ("created_at", "processed_at", "updated_at")]
    with backend_of(tmp_path, undated, columns) as backend:
        pages = {
            page: run(backend, page, {"period": "all"}) for page in ("overview", "orders", "customers", "products")
        }
    assert "3 orders" in captions(pages["orders"])
    assert not any("newest first" in captions(page) for page in pages.values())
    for page in pages.values():
        assert "returning_customer_rate" not in cards(page)
        assert "time zone" not in captions(page)
    assert cards(pages["customers"]).keys() == {"customers"}
    assert table(pages["customers"], "Top customers")[0] == ["Customer", "E-mail", "Orders", "Ordered"]
    assert [line[2:] for line in table(pages["customers"], "Top customers")[1:]] == [["2", "$30.00"], ["1", "$20.00"]]
    assert table(pages["customers"], "Retention by cohort") == []
    assert table(pages["overview"], "Gross sales by product")[1] == ["Cup", "5", "$50.00"]
    assert table(pages["products"], "Top products")[1][:2] == ["Cup", "CUP"]


def test_a_table_without_returns_says_so_at_the_figure(tmp_path: Path) -> None:
    columns = [c for c in SHOP_COLUMNS if c.name not in ("refunds", "total_refunded")]
    with backend_of(tmp_path, [order(1, "10.00", 1)], columns) as backend:
        overview = run(backend, "overview", {"period": "7d"})
    assert cards(overview)["total_sales"]["label"] == "Total sales (returns not known)"
    assert cards(overview)["net_sales"]["label"] == "Net sales (returns not known)"
    assert "refund_rate" not in cards(overview)
    assert "Total sales (returns not known)" in [line[0] for line in table(overview, "How total sales adds up")]


def test_orders_of_shopifys_export_show_all_that_is_known(tmp_path: Path) -> None:
    """Their lines are rows of their own, and their dates are texts: 2025-02-20 09:00:00 -0600 is 16:00 in Berlin."""
    schema = load(FOLDER / "shopify_export")
    columns = columns_of(schema)
    with backend_of(
        tmp_path, as_copied(in_key_order(schema), columns), columns, shop_timezone="Europe/Berlin"
    ) as backend:
        listed = table(run(backend, "orders", {"period": "all", "q": "north0@example.com"}), "Orders")
    assert dict(zip(listed[0], listed[-1], strict=True)) == {
        "Order": "#1001",
        "Date": "20 Feb 2025, 16:00",
        "Customer": "north0@example.com",
        "Payment": "Paid",
        "Fulfilment": "Fulfilled",
        "Channel": "Online store",
        "Country": "US",
        "Items": "4",
        "Total": "$74.00",
    }


def fulfilled(number: int, days_ago: int, after: timedelta | None, **values: str | None) -> Row:
    """An order that was fulfilled so long after it was placed; None: it waits."""
    placed = datetime.now(UTC) - timedelta(days_ago, seconds=1)  # on that day, whatever the hour is now
    at = f"{placed + after:%Y-%m-%d %H:%M:%S}" if after is not None else None
    dates = dict.fromkeys(("created_at", "processed_at"), f"{placed:%Y-%m-%d %H:%M:%S}")
    return order(number, "10.00", 0, **dates, fulfilled_at=at, **{"source_name": "web", **values})


@pytest.mark.slow
def test_time_to_fulfil_says_how_many_orders_it_is_known_of(tmp_path: Path) -> None:
    """Every order takes 3 days. Those of the last 3 days wait, and two of a point of sale took no time."""
    three = timedelta(3)
    rows = [
        *(fulfilled(i, i, three if i > 2 else None) for i in range(14)),
        fulfilled(20, 1, timedelta(0)),
        fulfilled(21, 1, timedelta(1), source_name="pos"),
        fulfilled(23, 1, None, source_name="pos"),
        fulfilled(22, 1, None, cancelled_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"),
    ]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        recent = cards(run(backend, "overview", {"period": "7d"}))["time_to_fulfil"]
        before = {"period": "custom", "from": day(13), "to": day(7)}
        past = cards(run(backend, "overview", before))["time_to_fulfil"]
        explored = run(backend, "explore", {"period": "7d", "metric": "fulfilled_at_once", "step": "whole"})
    assert (recent["label"], recent["value"]) == ("Time to fulfil (57% of orders fulfilled)", "3.0 days")
    assert (past["label"], past["value"]) == ("Time to fulfil", "3.0 days")
    assert table(explored, "As a table")[1][:2] == ["Total", "2"]


@pytest.mark.parametrize(("waiting", "tone"), [(0, "red"), (3, "gray")])
def test_a_change_of_what_is_not_known_yet_has_no_colour(tmp_path: Path, waiting: int, tone: str) -> None:
    rows = [
        *(fulfilled(i, 1, timedelta(hours=9)) for i in range(10)),
        *(fulfilled(i, 1, None) for i in range(10, 10 + waiting)),
        *(fulfilled(i, 9, timedelta(hours=6)) for i in range(20, 30)),
    ]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        card = cards(run(backend, "overview", {"period": "7d"}))["time_to_fulfil"]
    assert (card["change"], card["tone"]) == ("+50.0%", tone)


def test_the_refund_rate_says_how_many_orders_it_is_known_of(tmp_path: Path) -> None:
    """Goods come back after 20 days, so the returns of newer orders are not known."""
    refunded = [order(i, "10.00", 40, {"20": "10.00"}) for i in range(20)]
    kept = [order(20 + i, "10.00", days) for i, days in enumerate((25, 24, 23, 10, 9, 2, 1, 1))]
    with backend_of(tmp_path, [*refunded, *kept], SHOP_COLUMNS) as backend:
        recent = cards(run(backend, "overview", {"period": "30d"}))["refund_rate"]
        whole = cards(run(backend, "overview", {"period": "custom", "from": "2000-01-01", "to": day(30)}))
    assert (recent["label"], recent["value"]) == ("Refund rate (known for 37% of orders)", "0.0%")
    assert recent["tone"] == "gray" and recent["change"] == "-100.0 pts"
    assert whole["refund_rate"]["label"] == "Refund rate"


@pytest.mark.slow
def test_a_viewer_sees_masks_and_no_sums_of_what_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Visitor, "identity", lambda _: Identity("viewer", "viewer", "1"))
    with backend_of(tmp_path, [order(1, "10.00", 0)], SHOP_COLUMNS, personal_columns="total_price") as backend:
        page = run(backend, "orders", {"period": "all"})
    header, row = table(page, "Orders")
    shown = dict(zip(header, row, strict=True))
    assert (shown["Country"], shown["Total"]) == ("***", "***")
    assert table(page, "Sums of these orders")[0] == ["Currency", "Orders", "Items"]


@pytest.mark.slow
def test_a_total_that_is_not_known_is_no_sum_of_zero(tmp_path: Path) -> None:
    with backend_of(tmp_path, [{**order(1, "10.00", 0), "total_price": None}], SHOP_COLUMNS) as backend:
        page = run(backend, "orders", {"period": "all"})
    assert table(page, "Sums of these orders")[1][-1] == "–"
