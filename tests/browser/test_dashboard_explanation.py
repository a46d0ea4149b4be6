"""A click on a figure of the overview lists what it is made of, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from cache_factory import Row, publish
from dashboard_page import at_rest, new_tab, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Locator, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.orders import Orders
from cache.query.filters import Condition
from cache.storage.records import now


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return shop(600)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("filled")) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        yield running


def total(page: Page) -> str:
    """The figure at the top of the list."""
    at_rest(page)
    return page.locator(".st-key-explanation h2").inner_text()


def events(page: Page) -> Locator:
    return page.get_by_role("table", name="Events").locator("tbody tr")


def amounts(page: Page) -> list[Decimal]:
    return [Decimal(re.sub(r"[$,]", "", text)) for text in events(page).locator("td:last-child").all_inner_texts()]


@pytest.mark.soak
def test_the_events_of_all_pages_sum_to_the_figure(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=365d")
    page.get_by_role("table", name="How total sales adds up").get_by_role("button", name="Net sales").click()
    expect(page).to_have_url(re.compile(r"/\?period=365d&explain=net_sales$"))
    figure = Decimal(re.sub(r"[$,]", "", total(page)))
    count = int(page.get_by_text(re.compile(r"1–50 of \d+ events")).inner_text().split()[2])
    listed = amounts(page)
    for number in range(2, -(-count // 50) + 1):
        before = events(page).first.inner_text()
        page.get_by_role("button", name=re.compile("next", re.IGNORECASE)).click()
        expect(page.get_by_text(f"{(number - 1) * 50 + 1}–")).to_be_visible()
        expect(events(page).first).not_to_have_text(before, use_inner_text=True)
        listed += amounts(page)
    assert (len(listed), sum(listed)) == (count, figure)


@pytest.mark.soak
def test_a_figure_that_the_table_cannot_tell_says_why(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?explain=duties")
    expect(page.get_by_text("No duties: the table has no column for the duties.").first).to_be_visible()


@pytest.mark.soak
def test_an_address_shows_the_same_list_and_order(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=365d&explain=returns")
    number = events(page).first.get_by_role("button").inner_text()
    events(page).first.click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Order {number}")
    expect(page).to_have_url(re.compile(r"explain=returns&order=\d+"))
    colleague = visit(browser, page.url)
    expect(colleague.get_by_role("dialog")).to_contain_text(f"Order {number}")
    expect(colleague.get_by_role("dialog")).to_contain_text("Refund, ")
    colleague.keyboard.press("Escape")
    expect(colleague).to_have_url(re.compile(r"\?period=365d&explain=returns$"))
    assert all(value > 0 for value in amounts(colleague))


@pytest.mark.soak
def test_a_rate_lists_what_it_divides(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all&explain=refund_rate")
    match = re.fullmatch(r"([\d.]+)% = (\d+) ÷ (\d+) orders", total(page))
    assert match
    rate, returned, orders = Decimal(match[1]), int(match[2]), int(match[3])
    assert rate == round(Decimal(100 * returned) / orders, 1)
    expect(page.get_by_text(re.compile(rf"(^|of ){returned} events"))).to_be_visible()
    page.get_by_role("radio", name="Orders", exact=True).click()
    expect(page.get_by_text(f"1–50 of {orders} events")).to_be_visible()
    expect(page).to_have_url(re.compile(r"explain=refund_rate&side=divisor$"))
    page.get_by_role("link", name="Orders of this view").click()
    expect(page).to_have_url(re.compile(r"/orders\?period=all&refunded=yes$"))
    listed = Orders(filled.cache.snapshots.open(), "UTC").page(None, [Condition("refunded", "eq", "yes")])
    expect(page.get_by_text(re.compile(rf"(^|of ){listed.count} orders"))).to_be_visible()  # in all currencies


@pytest.mark.soak
def test_filters_stay_and_can_be_changed_above_the_list(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all&status=paid&explain=orders")
    paid = int(total(page))
    link = page.get_by_role("link", name="The same list from the API").get_attribute("href")
    assert link and link.endswith("/figures/events?metric=orders&period=all&currency=USD&status__in=paid")
    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile(r"\?period=all&explain=orders$"))
    expect(page.get_by_role("heading", level=2).first).not_to_have_text(str(paid))
    assert int(total(page)) > paid


@pytest.mark.soak
def test_a_period_with_returns_only_lists_them(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    (row,) = shop(1)
    placed, refunded = now() - timedelta(days=60), now() - timedelta(days=3)
    refund = {"created_at": refunded.isoformat(), "transactions": [{"kind": "refund", "amount": "5.00"}]}
    row |= {"created_at": f"{placed:%Y-%m-%d %H:%M:%S}", "refunds": str([refund]).replace("'", '"'), "test": "0"}
    row |= {"currency": "USD", "total_refunded": "5.00", "cancelled_at": None, "processed_at": None}
    with dashboard(tmp_path_factory.mktemp("returns")) as running:
        publish(running.cache, [row], columns=SHOP_COLUMNS)
        page = visit(browser, f"{running.url}/?period=7d&explain=net_sales")
        assert total(page) == "-$5.00"
        expect(events(page)).to_have_count(1)
        expect(events(page)).to_contain_text("Return · goods")


def test_a_card_that_is_pressed_as_soon_as_it_is_there_opens(browser: Browser, filled: Dashboard) -> None:
    page = new_tab(browser)
    page.add_init_script(
        """new MutationObserver(() => {
            const value = document.querySelector(".cards button.value");
            if (value && !window.pressed) window.pressed = !value.click();
        }).observe(document, { subtree: true, childList: true });"""
    )
    page.goto(f"{filled.url}/?period=90d")
    expect(page.get_by_role("heading", level=1, name="Total sales", exact=True)).to_be_visible()


@pytest.mark.soak
def test_each_card_opens_the_list_of_its_figure(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=90d")
    cards = page.locator("li:has(.value)")
    expect(cards).to_have_count(8)
    for i in range(8):
        card = cards.nth(i)
        name, value = card.locator(".name").inner_text(), card.locator(".value").inner_text()
        card.locator("button.value").click()
        expect(page.get_by_role("heading", level=1, name=re.sub(r" \(.*", "", name), exact=True)).to_be_visible()
        assert total(page).split(" = ")[0] == value
        page.get_by_role("button", name="Overview").click()
        expect(page.get_by_role("heading", name="Orders overview")).to_be_visible()
        at_rest(page)
