"""A click on a figure of the overview lists what it is made of, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from cache_factory import Row, publish
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Locator, Page, expect
from shop_factory import SHOP_COLUMNS, shop


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return shop(600)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("filled")) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        yield running


def total(page: Page) -> str:
    """The figure at the top of the list."""
    at_rest(page)
    return page.locator(".st-key-explanation h2").inner_text()


def events(page: Page) -> Locator:
    return page.get_by_role("table", name="Events").locator("tbody tr")


def amounts(page: Page) -> list[Decimal]:
    return [Decimal(re.sub(r"[$,]", "", text)) for text in events(page).locator("td:last-child").all_inner_texts()]


@pytest.mark.soak
def test_the_events_of_all_pages_sum_to_the_figure(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=365d")
    page.get_by_role("table", name="How total sales adds up").get_by_role("button", name="Net sales").click()
    expect(page).to_have_url(re.compile(r"/\?period=365d&explain=net_sales$"))
    figure = Decimal(re.sub(r"[$,]", "", total(page)))
    count = int(page.get_by_text(re.compile(r"1–50 of \d+ events")).inner_text().split()[2])
    listed = amounts(page)
    for number in range(2, -(-count // 50) + 1):
        before = events(page).first.inner_text()
        page.get_by_role("button", name=re.compile("next", re.IGNORECASE)).click()
        expect(page.get_by_text(f"{(number - 1) * 50 + 1}–")).to_be_visible()
        expect(events(page).first).not_to_have_text(before, use_inner_text=True)
        listed += amounts(page)
    assert (len(listed), sum(listed)) == (count, figure)


def test_a_figure_that_the_table_cannot_tell_says_why(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?explain=duties")
    expect(page.get_by_text("No duties: the table has no column for the duties.").first).to_be_visible()
