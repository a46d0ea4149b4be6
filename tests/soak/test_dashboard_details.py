"""More of what the eye sees: tips, axes, legends, tools and the focus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_axe import settled
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import worker

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("looks")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        yield running


def drawn(page: Page) -> None:
    """Waits until all of the page is drawn."""
    settled(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def test_the_tip_of_a_card_hides_the_figure_below_it(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    help = page.get_by_role("button", name="How Total sales is computed")
    help.focus()
    tip = page.get_by_role("tooltip").first
    expect(tip).to_be_visible()
    chain = "node => { let shown = 1; for (; node; node = node.parentElement) shown *= getComputedStyle(node).opacity;"
    assert tip.evaluate(f"{chain} return shown; }}") == 1
    assert re.fullmatch(r"rgb\(.*", tip.evaluate("node => getComputedStyle(node).backgroundColor"))


def test_axes_of_counts_have_whole_numbers(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=7d&metric=orders")
    drawn(page)
    labels = page.locator(".stVegaLiteChart .role-axis-label text").all_text_contents()
    numbers = [label for label in labels if not re.search("[A-Z]", label)]
    assert numbers == [label for label in numbers if label.isdecimal()] != []


def test_the_tools_of_a_chart_cover_no_choice(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    drawn(page)
    page.get_by_test_id("stVegaLiteChart").hover()
    tool = page.get_by_role("button", name="Download as PNG")
    expect(tool).to_be_visible()
    top = tool.evaluate("node => node.getBoundingClientRect().top")
    for name in ("Day", "Week"):
        choice = page.get_by_role("radio", name=name)
        assert choice.evaluate("node => node.getBoundingClientRect().bottom") <= top
    choice.click()
    expect(page).to_have_url(re.compile("step=week"))


def test_the_first_figure_is_in_the_first_quarter_of_a_phone(browser: Browser, filled: Dashboard) -> None:
    with worker(filled.cache):
        page = visit(browser, f"{filled.url}/?period=all", 390)
        drawn(page)
        expect(page.get_by_text("This data is not refreshed")).to_have_count(0)
        box = page.locator("button.value").first.bounding_box()
    assert box and box["y"] < 844 / 4


def test_a_screen_reader_hears_the_name_of_a_figure(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    expect(page.get_by_role("button", name=re.compile(r"^Total sales: \$[\d,]+"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(r"^Orders: [\d,]+"))).to_be_visible()


def test_the_keyboard_reaches_the_points_of_a_chart(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=7d")
    drawn(page)
    page.get_by_test_id("stExpander").locator("summary").filter(has_text="As a table").focus()
    page.keyboard.press("Enter")
    point = page.get_by_role("table", name="Over time").get_by_role("button").first
    expect(point).to_be_visible()
    at_rest(page)
    point.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/orders\?period=custom&from=([\d-]+)&to=\1"))


def test_the_focus_of_the_page_itself_can_be_seen(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    page.get_by_role("link", name="Skip to main content").focus()
    page.keyboard.press("Enter")
    ring = page.get_by_test_id("stMain").evaluate("node => getComputedStyle(node).outlineStyle")
    assert ring == "solid"


def test_what_a_breakdown_adds_up_opens(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    countries = page.get_by_role("table", name="Sales by country")
    more = countries.get_by_role("button", name=re.compile(r"^\d+ more"))
    expect(more).to_have_attribute("aria-expanded", "false")
    rows = countries.get_by_role("row")
    closed = rows.count()
    more.click()
    expect(rows).to_have_count(closed + int(more.inner_text().split()[0]))
    lengths = page.locator(".track").evaluate_all("tracks => tracks.map(track => Math.round(track.clientWidth))")
    assert len(set(lengths) - {0}) == 1  # bars of all cards have one scale


def test_the_legend_names_the_days(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=custom&from=2026-05-01&to=2026-05-31&compare=year")
    drawn(page)
    legend = page.locator(".stVegaLiteChart .role-legend-label text")
    assert legend.all_text_contents() == ["1 May – 31 May 2026", "1 May – 31 May 2025"]


def test_no_name_of_a_legend_is_cut_off(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/explore?period=all&by=channel&step=month", 390)
    drawn(page)
    ends = page.locator(".stVegaLiteChart .role-legend-label text").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect().right)"
    )
    assert len(ends) > 5
    assert max(ends) <= 390


@pytest.mark.parametrize("week_start", ["monday", "sunday"])
def test_calendars_begin_the_week_as_the_shop_does(browser: Browser, tmp_path: Path, week_start: str) -> None:
    with dashboard(tmp_path, WEEK_START=week_start) as running:
        publish(running.cache, shop(20), columns=SHOP_COLUMNS)
        page = visit(browser, f"{running.url}/?period=custom&from=2026-05-01&to=2026-05-31")
        page.get_by_role("button", name="1 May – 31 May 2026").click()
        page.get_by_test_id("stDateInput").first.get_by_role("button").first.click()
        expect(page.get_by_role("grid").locator("th").first).to_have_text(week_start[0].upper())
        expect(page.get_by_text("Past Week")).to_have_count(0)
