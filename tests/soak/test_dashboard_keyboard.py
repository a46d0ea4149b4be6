"""The keyboard reaches what a figure is made of, as tests/browser/test_dashboard_accessibility.py shows for orders."""

from __future__ import annotations

from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_page import at_rest, reached, visit
from dashboard_process import dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop


@pytest.mark.soak
def test_the_keyboard_alone_opens_what_a_figure_is_made_of(browser: Browser, tmp_path: Path) -> None:
    with dashboard(tmp_path) as filled:
        publish(filled.cache, shop(300), columns=SHOP_COLUMNS)
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
