"""How cards, tables, badges and panels lie on a page: nothing squeezed, lonely, empty, touching or too wide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cache_factory import publish
from dashboard_axe import settled
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

pytestmark = pytest.mark.soak

PAGES = ("", "explore", "what-changed", "orders", "products", "customers", "taxes", "views", "data", "api", "set-up")
# What a function finds in the elements of a page, also in those of components.
EVERYWHERE = """
([selector, each]) => {
    const found = [];
    const look = root => {
        found.push(...root.querySelectorAll(selector));
        root.querySelectorAll("*").forEach(node => node.shadowRoot && look(node.shadowRoot));
    };
    look(document);
    const seen = found.filter(node => node.getClientRects().length && getComputedStyle(node).visibility === "visible");
    return seen.map(eval(each));
}
"""
SPLIT_WORDS = """
cell => {
    const split = [];
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const range = document.createRange();
        for (const word of texts.currentNode.data.matchAll(/[^\\s/-]+/g)) {
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            const tops = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
            if (tops.size > 1 && word[0].length < 25) split.push(word[0]);
        }
    }
    return split.join(" ");
}
"""

TEXT_BOTTOM = "title => title.getBoundingClientRect().bottom - parseFloat(getComputedStyle(title).paddingBottom)"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("layout")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        yield running


def opened(browser: Browser, running: Dashboard, path: str, width: int = 1440) -> Page:
    page = visit(browser, f"{running.url}/{path}{'&' if '?' in path else '?'}period=all", width)
    settled(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    return page


def test_words_of_raw_columns_stay_whole(browser: Browser, filled: Dashboard) -> None:
    names = ("tags", "source_name", "discount_code", "email", "customer_name", "fulfillment_status", "currency", "note")
    page = opened(browser, filled, "orders?" + "&".join(f"column={name}" for name in names))
    expect(page.get_by_role("columnheader", name="fulfillment_status")).to_be_visible()
    assert {*page.evaluate(EVERYWHERE, ["table[aria-label=Orders] tbody td", SPLIT_WORDS])} == {""}


@pytest.mark.parametrize("width", [1440, 720, 390])
def test_no_card_stands_alone_beside_an_empty_place(browser: Browser, filled: Dashboard, width: int) -> None:
    box = "item => [item.parentElement.ariaLabel, item.getBoundingClientRect().top, item.getBoundingClientRect().width]"
    page = opened(browser, filled, "", width)
    for path in ("", "products", "customers", "taxes", "set-up"):
        page.goto(f"{filled.url}/{path}?period=all")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        settled(page)
        items = page.evaluate(EVERYWHERE, ["ul[aria-label] > li:has(.value)", box])
        for row in {(name, top) for name, top, _ in items}:
            others = [top for name, top, _ in items if name == row[0]]
            whole = max(wide for name, top, wide in items if (name, top) == row)
            alone = others.count(row[1]) == 1 and len(set(others)) > 1
            assert not alone or whole > width / 2, (path, row)


def test_no_half_of_the_overview_is_left_empty(browser: Browser, filled: Dashboard) -> None:
    page = opened(browser, filled, "")
    cards = page.locator(".st-key-breakdowns [data-testid=stColumn]")
    left, right = (
        column.evaluate(
            "column => [...column.querySelectorAll('table, [data-testid=stElementContainer]')].reduce("
            "(end, node) => Math.max(end, node.getBoundingClientRect().bottom), 0)"
        )
        for column in cards.all()
    )
    top = cards.first.bounding_box()
    assert top
    assert abs(left - right) < 0.3 * (max(left, right) - top["y"])


@pytest.mark.parametrize("path", PAGES)
def test_titles_do_not_touch_what_is_below_them(browser: Browser, filled: Dashboard, path: str) -> None:
    page = opened(browser, filled, path)
    bottoms = page.evaluate(EVERYWHERE, ["h2", TEXT_BOTTOM])
    below = page.evaluate(EVERYWHERE, ["table, svg.marks, .message", "node => node.getBoundingClientRect().top"])
    gaps = [min((top - bottom for top in below if top > bottom - 8), default=99) for bottom in bottoms]
    assert all(gap >= 4 for gap in gaps), gaps


@pytest.mark.parametrize("path", PAGES)
def test_badges_are_round_everywhere(browser: Browser, filled: Dashboard, path: str) -> None:
    page = opened(browser, filled, path)
    corner = "badge => parseFloat(getComputedStyle(badge).borderTopLeftRadius) >= badge.offsetHeight / 2 - 1"
    assert all(page.evaluate(EVERYWHERE, [".pill, .stMarkdownBadge", corner]))


@pytest.mark.parametrize("width", [1440, 390])
def test_the_panel_of_downloads_is_no_wider_than_its_card(browser: Browser, filled: Dashboard, width: int) -> None:
    page = opened(browser, filled, "orders", width)
    page.get_by_role("button", name="Download").click()
    panel = page.get_by_test_id("stPopoverBody")
    expect(panel.get_by_role("link", name="CSV", exact=True)).to_be_visible()
    at_rest(page)
    card = page.locator(".st-key-orders_head").bounding_box()
    box = panel.bounding_box()
    assert card and box
    assert box["width"] <= card["width"] + 2 * 16  # the card has a padding of a rem
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_a_phone_reaches_every_series_of_explore(browser: Browser, filled: Dashboard) -> None:
    page = opened(browser, filled, "explore?by=channel&step=month", 390)
    headers = page.get_by_role("table", name="As a table").get_by_role("columnheader")
    assert headers.count() > 5
    headers.last.scroll_into_view_if_needed()
    expect(headers.last).to_be_in_viewport(ratio=1)


def test_nothing_is_drawn_for_zero(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    placed = f"{datetime.now(UTC) - timedelta(1):%Y-%m-%d %H:%M:%S}"
    same = {"processed_at": placed, "created_at": placed, "test": "0", "currency": "USD", "cancelled_at": None}
    nothing = dict.fromkeys(("total_price", "subtotal_price", "total_tax", "total_shipping", "total_refunded"), "0.00")
    first, second = shop(2)
    rows = [
        {**first, **same, "source_name": "web"},
        {**second, **same, **nothing, "source_name": "pos", "line_items": "[]", "refunds": "[]"},
    ]
    with dashboard(tmp_path_factory.mktemp("zero")) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        page = opened(browser, running, "")
        row = page.get_by_role("table", name="Total sales by channel").get_by_role("row", name="Point of sale")
        expect(row).to_contain_text("0.0%")
        expect(row.locator(".bar")).to_have_count(0)
        painted = row.locator(".track").evaluate("track => getComputedStyle(track).backgroundColor")
        assert painted == "rgba(0, 0, 0, 0)"
