"""Goals and notes in a browser: operators set them below the chart, which shows them at once, and nothing jumps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_axe import LOOKS, findings, settled
from dashboard_page import new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.storage.documents import PLAN

pytestmark = pytest.mark.soak

SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => list.getEntries().forEach(entry => window.shifts += entry.value))
    .observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("goals")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        yield running


def test_an_operator_sets_a_goal_and_adds_a_note_below_the_chart(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    page.get_by_text("Goals and notes", exact=True).click()
    page.get_by_label("Total sales of a month in USD").fill("40,000")
    page.get_by_role("button", name="Set goal").click()
    expect(page.get_by_text("of $40,000").first).to_be_visible()
    page.get_by_label("What happened").fill("Sale <i>begins</i>")
    page.get_by_role("button", name="Add note").click()
    chart = page.locator(".stVegaLiteChart")
    expect(page.get_by_text("Sale <i>begins</i>").first).to_be_visible()
    expect(chart.get_by_text("Goal", exact=True)).to_be_visible()
    expect(chart.locator("path[fill='#b1540b']")).to_have_count(1)
    assert findings(page, LOOKS[0]) == []
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Sale <i>begins</i>")).to_have_count(0)
    assert not filled.cache.documents.read(PLAN).notes
    for width in (1440, 390):
        tab = new_tab(browser, width)
        tab.add_init_script(SHIFTS)
        tab.goto(f"{filled.url}/?period=90d")
        expect(tab.get_by_text("of $40,000").first).to_be_visible()
        settled(tab)
        assert tab.evaluate("window.shifts") < 0.1
