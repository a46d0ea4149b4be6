"""Days: a new one begins without new data, and free dates are compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_page import figure, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a shop that nobody changes."""
    with dashboard(tmp_path_factory.mktemp("filled")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        yield running


def test_free_dates_are_compared_and_stand_in_the_address(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=last_month")
    page.get_by_role("button", name=re.compile("Last month")).click()
    page.get_by_role("radiogroup", name="Compare with").get_by_text("Custom dates").click()
    expect(page).to_have_url(re.compile(r"compare=custom&compare_from=[\d-]+-01&compare_to=[\d-]+$"))
    expect(page.get_by_test_id("stDateInput")).to_contain_text(["Compare from", "Compare to"])
    address = page.url.replace("compare_from=", "compare_from=2025-11-28&compare_to=2025-11-28&_=")
    expect(visit(browser, address).get_by_text("Compared with 28 Nov 2025")).to_be_visible()


def test_today_begins_without_new_data(browser: Browser, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with dashboard(tmp_path) as running:
        publish(running.cache, shop(300, until=yesterday), columns=SHOP_COLUMNS, verified_at=yesterday)
        page = visit(browser, f"{running.url}/?period=today")
        figure(page, "Orders", "0")
        expect(page.get_by_text("No data of this period yet. The data ends on")).to_be_visible()
        expect(page.get_by_text("Compared with")).to_have_count(0)
        page.goto(f"{running.url}/explore?period=90d&step=day")
        newest = page.get_by_role("table", name="As a table").get_by_role("row").nth(1)
        expect(newest).to_contain_text(re.compile(rf"{yesterday.day} \w+ {yesterday.year} \(so far\)"))
