"""More of what axe looks at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_axe import LOOKS, findings, settled, violations
from dashboard_page import visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("axe")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


def test_axe_finds_nothing_in_what_opens_over_a_page(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/orders?period=all")
    page.get_by_role("table", name="Orders", exact=True).locator("tbody").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert findings(page, LOOKS[1]) == []
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1440, "height": 900})
    chips = page.locator(".st-key-chips").get_by_role("button")
    openers = page.get_by_role("button", name="Download"), *(chips.filter(has_text=t) for t in ("Payment", "All time"))
    for opener in openers:
        opener.click()
        settled(page)
        assert violations(page) == []
        page.keyboard.press("Escape")


def test_axe_finds_nothing_on_the_list_behind_a_figure(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all&explain=average_order_value")
    assert findings(page, LOOKS[0]) == []
