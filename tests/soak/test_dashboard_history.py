"""More steps of the history of the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("address")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


def at(page: Page, address: str, heading: str, dates: str) -> None:
    """Waits until address and page agree, and asserts that they still do after a tick of the timer."""
    for pause in (0, 1100):
        page.wait_for_timeout(pause)
        expect(page).to_have_url(re.compile(address))
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_role("button", name=re.compile(dates))).to_be_visible()


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


def test_the_link_to_the_open_page_closes_what_is_open_on_it(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d&explain=net_sales")
    expect(page.get_by_role("heading", name="Net sales", level=1)).to_be_visible()
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Overview").click()
    at(page, r"/\?period=90d$", "Orders overview", "Last 90 days")
    page.go_back()
    at(page, r"/\?period=90d&explain=net_sales$", "Net sales", "Last 90 days")


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
