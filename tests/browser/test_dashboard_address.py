"""What is clicked stays in the address, whatever else the browser sends at the same time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_page import A_TICK, WAIT, at_rest, new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from shop_factory import SHOP_COLUMNS, shop
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("address")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


@pytest.fixture
def page(browser: Browser, filled: Dashboard) -> Page:
    """A page of the overview whose timer ticks with each click, just before it.

    A browser that is busy does this by itself: it sends the new state of the button and the old address twice.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    ticks: list[str] = []

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def send(message: bytes) -> None:
            asked = BackMsg.FromString(message)
            rerun = asked.rerun_script
            if rerun.is_auto_rerun:
                ticks.append(rerun.fragment_id)
            elif ticks and asked.HasField("rerun_script"):
                rerun.fragment_id, rerun.is_auto_rerun = ticks[-1], True
                server.send(asked.SerializeToString())
            server.send(message)

        socket.on_message(send)

    context.route_web_socket(re.compile("/_stcore/stream"), connect)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{filled.url}/?period=90d")
    expect(page.get_by_role("radio", name="Week")).to_be_visible()
    page.wait_for_timeout(A_TICK)
    return page


@pytest.mark.soak
def test_a_choice_within_a_part_of_the_page_is_kept(page: Page) -> None:
    page.get_by_role("radio", name="Week").click()
    page.get_by_role("radio", name="Net sales").click()
    page.wait_for_timeout(A_TICK)  # until all that was sent has been answered
    expect(page).to_have_url(re.compile("period=90d&metric=net_sales&step=week$"))
    expect(page.get_by_role("radio", name="Week")).to_be_checked()
    expect(page.get_by_role("radio", name="Net sales")).to_be_checked()


@pytest.mark.soak
def test_a_choice_for_the_whole_page_is_kept(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Last 90 days")).click()
    page.get_by_role("radiogroup", name="Compare with").get_by_text("Previous year", exact=True).click()
    page.wait_for_timeout(A_TICK)
    expect(page).to_have_url(re.compile("period=90d&compare=year$"))
    expect(page.get_by_role("radio", name="Previous year", exact=True)).to_be_checked()


def test_the_button_back_undoes_the_last_choice_at_once(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    page.get_by_role("radio", name="Week").click()
    expect(page).to_have_url(re.compile("period=90d&step=week$"))
    page.go_back()
    expect(page.get_by_role("radio", name="Day")).to_be_checked()
    expect(page).to_have_url(re.compile("period=90d$"))
    page.wait_for_timeout(A_TICK)
    expect(page.get_by_role("radio", name="Day")).to_be_checked()


def test_the_navigation_keeps_the_view_and_closes_what_was_open(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    card = page.get_by_role("listitem").filter(has=page.get_by_text("Net sales", exact=True))
    card.locator(".value").click()
    expect(page.get_by_role("heading", name="Net sales", level=1)).to_be_visible()
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page).to_have_url(re.compile(r"/orders\?period=90d$"))
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page).to_have_url(re.compile(r"/\?period=90d$"))
    expect(page.get_by_role("heading", name="Orders overview", level=1)).to_be_visible()


def test_what_a_widget_shows_already_is_not_set_once_more(browser: Browser, filled: Dashboard) -> None:
    """It would undo a click that was made meanwhile."""
    page = new_tab(browser)
    answered: list[ForwardMsg] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: answered.append(ForwardMsg.FromString(frame))),
    )
    page.goto(f"{filled.url}/?period=90d")
    expect(page.get_by_role("radio", name="Week")).to_be_visible()
    at_rest(page)
    answered.clear()
    page.get_by_role("radio", name="Week").click()
    expect(page).to_have_url(re.compile("period=90d&step=week$"))
    at_rest(page)
    drawn = [message.delta.new_element.button_group for message in answered]
    assert {group.id.rpartition("-")[2] for group in drawn if group.id} == {"metric", "step"}
    assert [group.id for group in drawn if group.set_value] == []


def at(page: Page, address: str, heading: str, dates: str) -> None:
    """Waits until address and page agree, and asserts that they still do after a tick of the timer."""
    for pause in (0, A_TICK):
        page.wait_for_timeout(pause)
        expect(page).to_have_url(re.compile(address))
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_role("button", name=re.compile(dates))).to_be_visible()


def test_back_and_forward_restore_address_and_page(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/")
    at(page, r"/\?period=30d$", "Orders overview", "Last 30 days")
    page.get_by_role("button", name=re.compile("Last 30 days")).click()
    page.get_by_role("radiogroup", name="Period").get_by_text("Last 90 days").click()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")
    page.keyboard.press("Escape")
    page.go_back()
    at(page, r"/\?period=30d$", "Orders overview", "Last 30 days")
    page.go_forward()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")
    page.get_by_role("link", name="Orders", exact=True).click()
    at(page, r"/orders\?period=90d$", "Orders", "Last 90 days")
    page.go_back()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")


def test_a_page_without_a_live_connection_says_what_to_check(browser: Browser, filled: Dashboard) -> None:
    context = browser.new_context()
    context.route_web_socket(re.compile("/_stcore/stream"), lambda socket: socket.close(code=1008))
    page = context.new_page()
    page.clock.install()
    page.goto(f"{filled.url}/")
    page.clock.run_for(11_000)
    expect(page.get_by_role("alert").filter(has_text="DASHBOARD_URL")).to_be_visible()


@pytest.mark.soak
def test_back_from_a_point_of_the_chart_shows_the_whole_period(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    chart = page.get_by_test_id("stVegaLiteChart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"/orders\?period=custom&from=([-\d]+)&to=\1$"))
    at_rest(page)
    page.go_back()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")


@pytest.mark.soak
def test_back_from_a_customer_and_a_search_that_is_kept(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/customers?period=90d")
    page.locator(".st-key-customers tbody tr").first.click()
    expect(page).to_have_url(re.compile(r"/customers\?period=90d&who=\d+$"))
    at_rest(page)
    page.go_back()
    at(page, r"/customers\?period=90d$", "Customers", "Last 90 days")
    expect(page.get_by_role("table", name="Top customers")).to_be_visible()
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_role("searchbox", name="Search").fill("a")
    expect(page).to_have_url(re.compile(r"/orders\?period=90d&q=a$"))
    at_rest(page)
    page.get_by_role("link", name="Customers", exact=True).click()
    at(page, r"/customers\?period=90d$", "Customers", "Last 90 days")
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page).to_have_url(re.compile(r"/orders\?period=90d&q=[^&]+$"))
    expect(page.get_by_role("searchbox", name="Search")).not_to_have_value("")


@pytest.mark.soak
def test_the_link_to_the_open_page_closes_what_is_open_on_it(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d&explain=net_sales")
    expect(page.get_by_role("heading", name="Net sales", level=1)).to_be_visible()
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Overview").click()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")
    page.go_back()
    at(page, r"/\?period=90d&explain=net_sales$", "Net sales", "Last 90 days")


@pytest.mark.soak
def test_a_chosen_country_moves_no_other_chip(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    chips = page.locator(".st-key-chips").get_by_test_id("stPopoverButton")
    before = [chip.bounding_box() for chip in chips.all()]
    page.get_by_role("button", name="Country", exact=True).click()
    box = page.get_by_role("combobox", name=re.compile("Country"))
    box.click()
    expect(page.get_by_text("Select all")).to_have_count(0)
    page.get_by_role("option", name="United States").click()
    expect(page).to_have_url(re.compile("country=US$"))
    at_rest(page)
    assert [chip.bounding_box() for chip in chips.all()] == before
