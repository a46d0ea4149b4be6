"""The dashboard in a real browser: figures, filters, orders, refresh, and what it says when something is wrong."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from cache_factory import Row, publish
from dashboard_page import A_TICK, at_rest, figure, new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import answering, sync, worker
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from cache.errors import Trouble
from cache.storage.records import Progress, Run, now
from lab.data.table import ZERO_DATE

Start = Callable[..., Dashboard]
EVIL = "<img src=x onerror=alert(1)> $1 **bold** [link](http://x)"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str | None]]:
    return shop(600)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Iterator[Dashboard]:
    """A dashboard over a shop that nobody changes."""
    with dashboard(tmp_path_factory.mktemp("filled")) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(dashboard(tmp_path, **settings))


def real(rows: list[Row], status: str | None = None) -> list[Row]:
    return [r for r in rows if r["test"] == "0" and (status is None or r["financial_status"] == status)]


def usd(rows: list[Row], days: int | None = None, status: str | None = None) -> list[Row]:
    first = f"{datetime.now(UTC).date() - timedelta(days=days - 1)}" if days else ""
    return [row for row in real(rows, status) if row["currency"] == "USD" and (row["created_at"] or "") >= first]


def order(number: int, **values: str | None) -> dict[str, str | None]:
    """One order of now, in dollars. A total is that of goods alone."""
    made = dict(shop(1)[0], id=str(9_000_000_000_000 + number), name=f"#{number}", currency="USD", test="0", note=None)
    placed = values.get("created_at", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
    made |= {"created_at": placed, "processed_at": placed, "customer_name": "Ida Smith"}
    if total := values.get("total_price"):
        nothing = dict.fromkeys(("total_discounts", "total_shipping", "total_tax", "total_refunded"), "0.00")
        made |= {"subtotal_price": total, "line_items": "[]", "taxes_included": "0", **nothing}
    return {**made, **values}


def log_is_clean(running: Dashboard) -> None:
    assert "Traceback" not in running.log()


def test_it_works(browser: Browser, filled: Dashboard, rows: list[Row]) -> None:
    """The cards show all orders of the chosen currency, and total sales to the cent where it adds up."""
    page = visit(browser, f"{filled.url}/?period=all")
    counted = usd(rows)
    kept = [row for row in counted if row["cancelled_at"] in (None, ZERO_DATE)]
    total = sum(Decimal(r["total_price"] or 0) - Decimal(r["total_refunded"] or 0) for r in kept)
    figure(page, "Orders", f"{len(counted):,}")
    figure(page, "Total sales", f"${total.quantize(Decimal(1)):,}")
    expect(page.get_by_role("table", name="How total sales adds up")).to_contain_text(f"${total:,}")
    expect(page.get_by_text("Verified just now").first).to_be_visible()
    expect(page.get_by_text("EUR", exact=False).last).to_be_visible()
    log_is_clean(filled)


@pytest.mark.soak
def test_a_picked_row_filters_and_the_address_gives_the_same_view(
    browser: Browser, filled: Dashboard, rows: list[Row]
) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    page.get_by_role("table", name="Total sales by payment status").get_by_role(
        "button", name="Paid", exact=True
    ).click()
    expected = f"{len(usd(rows, status='paid')):,}"
    figure(page, "Orders", expected)
    expect(page).to_have_url(re.compile(r"period=all&status=paid$"))
    expect(page.get_by_role("button", name="Payment: Paid")).to_be_visible()
    colleague = visit(browser, page.url)
    figure(colleague, "Orders", expected)
    colleague.get_by_role("button", name="Clear filters").click()
    figure(colleague, "Orders", f"{len(usd(rows)):,}")


@pytest.mark.soak
def test_filters_are_kept_across_pages(browser: Browser, filled: Dashboard, rows: list[Row]) -> None:
    page = visit(browser, f"{filled.url}/?period=all&status=paid")
    card = page.get_by_role("listitem").filter(has=page.get_by_text("Total sales", exact=True))
    card.get_by_role("button").last.click()
    page.get_by_role("link", name="Orders of this view").click()
    expect(page.get_by_text(f"1–50 of {len(real(rows, 'paid'))} orders")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/orders\?period=all&status=paid$"))
    page.get_by_role("link", name="Overview").click()
    figure(page, "Orders", f"{len(usd(rows, status='paid')):,}")
    expect(page).to_have_url(re.compile(r"/\?period=all&status=paid$"))


@pytest.mark.soak
def test_a_picked_product_filters_on_every_page(browser: Browser, filled: Dashboard, rows: list[Row]) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    product = page.get_by_role("table", name="Gross sales by product").get_by_role("button").first
    title = product.inner_text()
    product.click()
    expect(page).to_have_url(re.compile(r"/\?period=all&product=[^&]+$"))
    sku = page.url.rpartition("product=")[2]
    sold = [row for row in real(rows) if sku in {item["sku"] for item in json.loads(row["line_items"] or "[]")}]
    figure(page, "Orders", f"{len(usd(sold)):,}")
    expect(page.get_by_role("button", name=f"Product: {title}")).to_be_visible()
    expect(product).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_text(re.compile(f"(^|of ){len(sold):,} orders"))).to_be_visible()
    page.get_by_role("link", name="Products").click()
    ranked = page.get_by_role("table", name="Top products").get_by_role("button", name=title).first
    expect(ranked).to_have_attribute("aria-pressed", "true")
    ranked.click()
    word = page.get_by_text("Product", exact=True)
    chip = page.get_by_test_id("stPopoverButton").filter(has=word)  # a table has such a button too
    expect(chip).to_be_visible()
    expect(page).to_have_url(re.compile(r"/products\?period=all$"))


def test_columns_are_chosen_and_stand_in_the_address(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/orders?period=all&column=Total&column=discount_code")
    table = page.get_by_role("table", name="Orders", exact=True)
    expect(table.get_by_role("columnheader")).to_have_text(["Order", "Total", "discount_code"])
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name=re.compile("Remove.*discount_code|discount_code.*remove", re.I)).first.click()
    expect(table.get_by_role("columnheader")).to_have_text(["Order", "Total"])
    expect(page).to_have_url(re.compile(r"column=Total$"))


def test_the_period_is_chosen_in_its_chip(browser: Browser, filled: Dashboard, rows: list[Row]) -> None:
    page = visit(browser, filled.url)
    figure(page, "Orders", f"{len(usd(rows, days=30)):,}")
    page.get_by_role("button", name=re.compile("Last 30 days")).click()
    page.get_by_text("Last 90 days").click()
    figure(page, "Orders", f"{len(usd(rows, days=90)):,}")
    expect(page).to_have_url(re.compile("period=90d"))


def test_orders_are_searched_paged_and_opened(browser: Browser, filled: Dashboard, rows: list[Row]) -> None:
    page = visit(browser, f"{filled.url}/orders?period=all")
    listed, wanted = len(real(rows)), usd(rows)[120]
    table = page.get_by_role("table", name="Orders", exact=True)
    expect(page.get_by_text(f"1–50 of {listed} orders")).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(51)
    page.get_by_role("button", name="Page 2", exact=True).click()
    expect(page.get_by_text(f"51–100 of {listed} orders")).to_be_visible()
    at_rest(page)
    name = wanted["name"] or ""
    page.get_by_placeholder("Order, customer, product").fill(name)
    expect(page.get_by_role("table", name="Sums of these orders").locator("tbody td").nth(1)).to_have_text("1")
    table.get_by_role("button", name=name).click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text(f"Order {name}")
    expect(drawer.get_by_role("table", name="Amounts")).to_contain_text(f"${Decimal(wanted['total_price'] or 0):,}")
    expect(page).to_have_url(re.compile(f"order={wanted['id']}"))
    at_rest(page)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page).not_to_have_url(re.compile("order="))


def test_a_phone_shows_the_same_without_scrolling_sideways(browser: Browser, filled: Dashboard) -> None:
    for path, table in (("/", "Gross sales by product"), ("/orders", "Orders")):
        page = visit(browser, f"{filled.url}{path}?period=all", width=390)
        expect(page.get_by_role("table", name=table, exact=True)).to_be_visible()
        width = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth")
        assert width <= 0


@pytest.mark.soak
def test_a_refresh_shows_progress_and_updates_every_tab_with_its_filters(browser: Browser, start: Start) -> None:
    running = start()
    publish(running.cache, [order(1001, financial_status="paid")], columns=SHOP_COLUMNS)
    with worker(running.cache):
        page, other = visit(browser, running.url), visit(browser, f"{running.url}/orders?period=7d&status=paid")
        figure(page, "Orders", "1")
        expect(other.get_by_role("button", name="#1001")).to_be_visible()
        page.get_by_role("button", name="Refresh", exact=True).click()
        expect(page.get_by_text("Refresh requested")).to_be_visible()
        run = Run(trigger="request")
        (task,) = running.cache.runs.begin(run)
        assert task.requested_by == "dashboard"
        running.cache.runs.report(run.model_copy(update={"progress": Progress(phase="rows", done=1, total=2)}))
        for tab in (page, other):
            expect(tab.get_by_text("Copying orders · step 4 of 5 · 1 of 2")).to_be_visible()
        rows = [order(1001, financial_status="paid"), order(1002, financial_status="paid", customer_name=EVIL)]
        head = publish(running.cache, rows, columns=SHOP_COLUMNS)
        running.cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": head.generation}))
        figure(page, "Orders", "2")
        expect(other.get_by_role("button", name="#1002")).to_be_visible()
        expect(other.get_by_role("cell", name=EVIL)).to_be_visible()  # as text, not as markup
        expect(other).to_have_url(re.compile("period=7d&status=paid"))
        expect(page.get_by_role("button", name="Refresh", exact=True)).to_be_enabled()
    log_is_clean(running)


@pytest.mark.soak
def test_without_data_it_says_what_is_happening_and_fills_itself(browser: Browser, start: Start) -> None:
    running = start()
    page = visit(browser, running.url)
    expect(page.get_by_text("No orders yet, and no scheduler to fetch them")).to_be_visible()
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="The refresh did not start.")).to_be_visible()
    with worker(running.cache):
        run = Run(trigger="first")
        running.cache.runs.begin(run)
        expect(page.get_by_text("The first copy of your orders is being made")).to_be_visible()
        expect(page.get_by_text("Signing in to phpMyAdmin · step 1 of 5")).to_be_visible()
        head = publish(running.cache, [order(1001)], columns=SHOP_COLUMNS)
        running.cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": head.generation}))
        figure(page, "Orders", "1")
    expect(page.get_by_text("This data is not refreshed")).to_be_visible()  # the worker has left
    log_is_clean(running)


@pytest.mark.soak
def test_the_figure_and_the_step_of_the_chart_stand_in_the_address(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    page.get_by_role("radio", name="Week").click()
    page.get_by_role("radio", name="Net sales").click()
    expect(page).to_have_url(re.compile("period=90d&metric=net_sales&step=week$"))
    colleague = visit(browser, page.url)
    expect(colleague.get_by_role("radio", name="Week")).to_be_checked()
    expect(colleague.get_by_role("radio", name="Net sales")).to_be_checked()
    colleague.get_by_role("radio", name="Total sales").click()
    expect(colleague).to_have_url(re.compile("step=week$"))


@pytest.mark.soak
def test_returns_count_by_the_date_of_the_refund_or_of_the_order(browser: Browser, start: Start) -> None:
    running = start()
    given = f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z"
    old = f"{datetime.now(UTC) - timedelta(days=60):%Y-%m-%d %H:%M:%S}"
    refund = f'[{{"created_at": "{given}", "amount": "40.00"}}]'
    rows = [
        order(1, total_price="100.00"),
        order(2, total_price="90.00", created_at=old, refunds=refund, total_refunded="40.00"),
    ]
    publish(running.cache, rows, columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/?period=7d")
    figure(page, "Total sales", "$60.00")
    page.get_by_role("button", name="Returns: by date of refund").click()
    page.get_by_role("radiogroup").get_by_text("By date of order").click()
    figure(page, "Total sales", "$100.00")
    expect(page).to_have_url(re.compile("returns=ordered"))


@pytest.mark.soak
def test_a_refresh_that_changed_nothing_only_renews_the_age(browser: Browser, start: Start) -> None:
    running = start()
    old = now() - timedelta(hours=3)
    publish(running.cache, [order(1001)], columns=SHOP_COLUMNS, verified_at=old)
    with answering(running.cache):
        page = visit(browser, running.url)
        expect(page.get_by_text("Verified 3 h ago").first).to_be_visible()
        page.get_by_role("button", name="Refresh", exact=True).click()
        expect(page.get_by_text("Verified just now").first).to_be_visible(timeout=20_000)


@pytest.mark.soak
def test_data_that_is_not_verified_says_so(browser: Browser, start: Start) -> None:
    running = start()
    publish(running.cache, [order(1001)], columns=SHOP_COLUMNS, verified=False, reason="2 ranges still moved.")
    expect(visit(browser, running.url).get_by_text("Not verified").first).to_be_visible()


@pytest.mark.soak
def test_missing_columns_and_no_rows_bring_lines_and_no_errors(browser: Browser, start: Start) -> None:
    running = start(SHOP_TIMEZONE="Asia/Tokyo")
    publish(running.cache, 30)  # a table without amounts but the total, and without channels
    page = visit(browser, f"{running.url}/?period=all")
    expect(page.get_by_text("No shipping: the table has no column for the shipping")).to_be_visible()
    expect(page.get_by_text("Times are in the shop's time zone, Asia/Tokyo.")).to_be_visible()
    figure(page, "Total sales (returns not known)", re.compile("€"))
    publish(running.cache, [])
    expect(page.get_by_text("The table has no orders yet.")).to_be_visible(timeout=20_000)
    publish(running.cache, [{"id": "1"}], columns=SHOP_COLUMNS[:1])
    expect(page.get_by_text("No dates: the table has no column for the date of the order")).to_be_visible(
        timeout=20_000
    )
    figure(page, "Orders", "1")
    log_is_clean(running)


@pytest.mark.soak
def test_a_timer_of_the_page_before_does_not_empty_the_page(browser: Browser, filled: Dashboard) -> None:
    """It may have been sent while the script was opening the other page, and then runs after it."""
    page = new_tab(browser)
    sent, received, servers = spied(page)
    page.goto(f"{filled.url}/?period=all")
    card = page.get_by_role("listitem").filter(has=page.get_by_text("Total sales", exact=True))
    card.wait_for()
    page.wait_for_timeout(A_TICK)
    late = next(message for message in reversed(sent) if BackMsg.FromString(message).rerun_script.is_auto_rerun)
    before = BackMsg.FromString(late).rerun_script.page_script_hash
    page.get_by_role("link", name="Orders", exact=True).click()
    shown = page.get_by_text(re.compile("of [0-9]+ orders"))
    expect(shown).to_be_visible()
    at_rest(page)
    then = len(received)
    servers[0].send(late)
    end = time.monotonic() + 20
    while not any(ForwardMsg.FromString(each).new_session.page_script_hash == before for each in received[then:]):
        assert time.monotonic() < end, "the timer did not run"
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)  # whatever it does to the page is done
    expect(shown).to_be_visible()
    expect(page).to_have_url(re.compile(r"/orders\?period=all"))


def spied(page: Page) -> tuple[list[bytes], list[bytes], list[WebSocketRoute]]:
    """What the page is going to send and to receive, and the servers it does that with."""
    sent: list[bytes] = []
    received: list[bytes] = []
    servers: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda message: (sent.append(message), server.send(message)))
        server.on_message(lambda message: (received.append(message), socket.send(message)))
        servers.append(server)

    page.route_web_socket(re.compile("/_stcore/stream"), connect)
    return sent, received, servers


@pytest.mark.soak
def test_a_failed_sync_shows_error_and_advice_above_the_last_good_data(browser: Browser, start: Start) -> None:
    running = start()
    publish(running.cache, [order(1001)], columns=SHOP_COLUMNS, verified_at=now() - timedelta(hours=2))
    trouble = Trouble(code="login_refused", message="phpMyAdmin refused the login.", advice="Check the password.")
    with worker(running.cache), sync(running.cache, error=trouble):
        page = visit(browser, running.url)
        figure(page, "Orders", "1")
    alert = page.get_by_role("alert").filter(has_text="The last refresh failed")
    expect(alert).to_contain_text(
        "phpMyAdmin refused the login. Check the password. This page shows the last good data"
    )
    expect(page.get_by_text("Verified 2 h ago").first).to_be_visible()
    figure(page, "Orders", "1")
