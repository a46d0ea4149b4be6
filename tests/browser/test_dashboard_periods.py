"""Periods, comparisons and steps of time on the dashboard, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_page import visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a shop that nobody changes."""
    with dashboard(tmp_path_factory.mktemp("filled")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        yield running


@pytest.mark.soak
def test_a_point_of_the_chart_opens_the_orders_of_its_day(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=30d")
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart.locator("canvas, svg").first).to_be_visible()
    chart.click(position={"x": 500, "y": 150})
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/orders\?period=custom&from=([\d-]+)&to=\1$"))


@pytest.mark.soak
def test_an_hour_of_the_chart_opens_the_orders_of_that_hour(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=yesterday")
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart.locator("canvas, svg").first).to_be_visible()
    chart.click(position={"x": 500, "y": 150})
    expect(page).to_have_url(re.compile(r"/orders\?period=custom&from=([\d-]+)&to=\1&hour=[0-9]+$"))
    expect(page.get_by_role("button", name=re.compile(r"\d\d:00–\d\d:00"))).to_be_visible()


def test_earlier_addresses_of_steps_still_work(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d&step=7+days")
    expect(page.get_by_role("radio", name="Week")).to_be_checked()
    expect(page).to_have_url(re.compile("step=week$"))
