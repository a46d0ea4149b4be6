"""Download: files of just the orders that a page shows, read back from the running dashboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_page import WAIT
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
