"""Download: files of just the orders that a page shows, read back from the running dashboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_page import WAIT, at_rest, new_tab
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

ZONE = "America/New_York"
ROWS = shop(700)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(
        tmp_path_factory.mktemp("exports"),
        SHOP_TIMEZONE=ZONE,
        DASHBOARD_PASSWORD="one",
        DASHBOARD_VIEWER_PASSWORD="two",
    ) as running:
        publish(running.cache, ROWS, columns=SHOP_COLUMNS)
        yield running


@pytest.mark.soak
@pytest.mark.parametrize(
    ("password", "masked"), [pytest.param("one", False, marks=pytest.mark.soak), ("two", True)], ids=["all", "masked"]
)
def test_a_download_is_what_the_page_shows_to_this_visitor(
    browser: Browser, filled: Dashboard, password: str, masked: bool
) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{filled.url}/orders?period=all&status=paid")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="CSV", exact=True).click()
    text = Path(begun.value.path()).read_text(encoding="utf-8-sig")
    expect(page.get_by_role("link", name="Excel", exact=True)).to_be_visible()  # the page has stayed
    loaded = list(csv.DictReader(io.StringIO(text)))
    paid = [r for r in ROWS if (r["test"], r["financial_status"]) == ("0", "paid")]
    assert sorted(row["id"] for row in loaded) == sorted(r["id"] or "" for r in paid)
    assert {row["email"] for row in loaded} == ({"***"} if masked else {r["email"] or "" for r in paid})
    assert "Traceback" not in filled.log()


@pytest.mark.soak
def test_each_chart_can_be_downloaded_as_png_and_shown_as_a_table(browser: Browser, filled: Dashboard) -> None:
    page = new_tab(browser)
    page.set_default_timeout(WAIT)
    page.goto(f"{filled.url}/?period=all")
    page.get_by_label("Password").fill("one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("stVegaLiteChart").hover()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download as PNG").click()
    assert Path(begun.value.path()).read_bytes().startswith(b"\x89PNG")
    expect(page.get_by_role("button", name="Show data")).to_be_hidden()  # its columns are fields of the chart
    page.get_by_text("As a table").click()
    points = page.get_by_role("table", name="Over time")
    expect(points.get_by_role("columnheader")).to_have_text(["Month", "Total sales"])


@pytest.mark.soak
def test_the_links_of_an_open_page_stay_valid(browser: Browser, filled: Dashboard) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()  # its clock is that of its context
    page.clock.install()
    page.set_default_timeout(WAIT)
    page.goto(f"{filled.url}/orders?period=all&status=paid")
    page.get_by_label("Password").fill("one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Download").click()
    link = page.get_by_role("link", name="CSV", exact=True)
    first = link.get_attribute("href")
    page.wait_for_timeout(1100)  # links end at whole seconds of the server's clock
    at_rest(page)
    page.clock.fast_forward("05:01")
    expect(link).not_to_have_attribute("href", first or "")
