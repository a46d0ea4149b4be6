"""The keyboard alone reaches all that the mouse does. More of this: tests/browser/test_dashboard_checks.py."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_page import at_rest, figure, reached, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("keys")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


def test_the_keyboard_alone_opens_what_a_figure_is_made_of(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    value = page.locator("button.value").first
    expect(value).to_be_visible()
    at_rest(page)
    reached(page, value)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Total sales")).to_be_visible()
    at_rest(page)
    first = page.get_by_role("table", name="Events").get_by_role("button").first
    reached(page, first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    back = page.get_by_role("button", name="Overview")
    reached(page, back)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Orders overview")).to_be_visible()


def test_the_keyboard_alone_filters_searches_opens_and_downloads_orders(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    figure(page, "Orders", re.compile("[0-9]"))
    paid = page.get_by_role("table", name="Total sales by payment status").get_by_role(
        "button", name="Paid", exact=True
    )
    reached(page, paid, steps=120)  # behind cards, chips and the chart
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("status=paid"))
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Orders").focus()
    page.keyboard.press("Enter")
    search = page.get_by_placeholder("Order, customer, product")
    expect(search).to_be_visible(timeout=20_000)
    at_rest(page)
    reached(page, search)
    first = page.get_by_role("table", name="Orders", exact=True).locator("tbody").get_by_role("button").first
    name = first.inner_text()
    page.keyboard.type(name)
    expect(page.get_by_text("1 order", exact=True)).to_be_visible(timeout=20_000)
    take = page.get_by_role("button", name="Download")
    reached(page, take)
    page.keyboard.press("Enter")
    csv = page.get_by_role("link", name="CSV", exact=True)
    expect(csv).to_be_visible()
    reached(page, csv)
    with page.expect_download() as begun:
        page.keyboard.press("Enter")
    assert begun.value.suggested_filename.endswith(".csv")
    page.keyboard.press("Escape")
    reached(page, first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text(name)
    at_rest(page)  # while the page still runs, Streamlit opens the dialog again
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
