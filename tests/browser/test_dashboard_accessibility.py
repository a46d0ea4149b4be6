"""Everyone can use the dashboard: axe finds nothing on any page, and the keyboard reaches all that the mouse does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle

import pytest
from cache_factory import publish
from dashboard_axe import LOOKS, findings, violations
from dashboard_page import new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("axe")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_axe_finds_nothing_on_any_page(browser: Browser, filled: Dashboard, every: int) -> None:
    """Each page in every look of its pair, or a few of these."""
    page = visit(browser, f"{filled.url}/?period=all")
    links = page.get_by_test_id("stSidebarNavLink")
    expect(links.first).to_be_visible()
    found = {}
    turns = cycle(range(every))
    for link, looks in zip(links.all(), cycle(LOOKS), strict=False):
        chosen = [look for look in looks if next(turns) == 0]
        if not chosen:
            continue
        name = link.inner_text().splitlines()[-1]
        link.click()
        expect(page).to_have_title(re.compile(f"^{name}"))
        found[name] = findings(page, chosen)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": 900})
    assert len(found) > 1
    assert found == {name: [] for name in found}


@pytest.mark.soak
def test_axe_finds_nothing_on_the_form_of_the_password_or_without_data(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with dashboard(tmp_path_factory.mktemp("closed"), DASHBOARD_PASSWORD="x") as running:
        page = new_tab(browser)
        page.goto(running.url)
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        for scheme, _ in LOOKS[0]:
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
        page.get_by_label("Password").fill("x")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No orders yet")).to_be_visible(timeout=20_000)
        assert findings(page, LOOKS[1]) == []
