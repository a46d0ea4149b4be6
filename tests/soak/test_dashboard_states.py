"""More of the dashboard: other tables, other states of a sync, and choices in the address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import Row, publish
from dashboard_page import at_rest, figure, new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import answering, sync, worker
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from cache.errors import Trouble
from cache.storage.records import now

pytestmark = pytest.mark.soak


Start = Callable[..., Dashboard]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
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


def test_a_refresh_that_changed_nothing_only_renews_the_age(browser: Browser, start: Start) -> None:
    running = start()
    old = now() - timedelta(hours=3)
    publish(running.cache, [order(1001)], columns=SHOP_COLUMNS, verified_at=old)
    with answering(running.cache):
        page = visit(browser, running.url)
        expect(page.get_by_text("Verified 3 h ago").first).to_be_visible()
        page.get_by_role("button", name="Refresh", exact=True).click()
        expect(page.get_by_text("Verified just now").first).to_be_visible(timeout=20_000)


def test_data_that_is_not_verified_says_so(browser: Browser, start: Start) -> None:
    running = start()
    publish(running.cache, [order(1001)], columns=SHOP_COLUMNS, verified=False, reason="2 ranges still moved.")
    expect(visit(browser, running.url).get_by_text("Not verified").first).to_be_visible()


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


def test_a_timer_of_the_page_before_does_not_empty_the_page(browser: Browser, filled: Dashboard) -> None:
    """It may have been sent while the script was opening the other page, and then runs after it."""
    page = new_tab(browser)
    sent, received, servers = spied(page)
    page.goto(f"{filled.url}/?period=all")
    card = page.get_by_role("listitem").filter(has=page.get_by_text("Total sales", exact=True))
    card.wait_for()
    page.wait_for_timeout(1500)
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
