"""The list of orders as a work list in a real browser: sorted, in ranges and in queues, each a step of the history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from cache_factory import publish
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

Row = dict[str, str | None]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    made = shop(6000)[-200:]
    old = f"{datetime.now(UTC) - timedelta(days=9):%Y-%m-%d %H:%M:%S}"
    waiting = {"financial_status": "paid", "fulfillment_status": None, "fulfilled_at": None, "cancelled_at": None}
    sent_by_post = {"source_name": "web", "processed_at": old, "created_at": old, "test": "0"}
    return [*({**row, **waiting, **sent_by_post} for row in made[:3]), *made[3:]]


@pytest.fixture(scope="module")
def filled(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("orders")) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        yield running


def numbers(page: Page) -> list[str]:
    """The numbers of the listed orders."""
    at_rest(page)
    table = page.get_by_role("table", name="Orders", exact=True)
    return table.locator("tbody tr td:first-child button").all_inner_texts()


def real(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["test"] == "0"]


def total(row: Row) -> Decimal:
    return Decimal(row["total_price"] or 0)


def test_orders_are_sorted_and_queued_and_back_undoes_each_step(
    browser: Browser, filled: Dashboard, rows: list[Row]
) -> None:
    page = visit(browser, f"{filled.url}/orders?period=all&currency=USD")
    table = page.get_by_role("table", name="Orders", exact=True)
    table.get_by_role("button", name="Total", exact=True).click()
    expect(page).to_have_url(re.compile("sort=-total"))
    largest = max(real(rows), key=total)
    expect(table.get_by_role("row").nth(1)).to_contain_text(largest["name"] or "")
    sums = page.get_by_role("table", name="Sums of these orders")
    dollars = sum(total(row) for row in real(rows) if row["currency"] == "USD")
    expect(sums).to_contain_text(f"${dollars:,}")
    expect(sums).to_contain_text(f"{len(real(rows)):,}")
    at_rest(page)

    page.get_by_role("radio", name=re.compile("^Paid, unfulfilled for more than 3 days · [1-9]")).click()
    expect(page).to_have_url(re.compile("queue=unfulfilled"))
    waiting = page.get_by_text("Paid, placed more than 72 hours ago")
    expect(waiting).to_be_visible()
    assert set(numbers(page)) >= {row["name"] for row in rows[:3]}

    page.get_by_role("button", name="Items", exact=True).first.click()
    page.get_by_label("At least").fill("2")
    page.get_by_label("At least").press("Enter")
    expect(page).to_have_url(re.compile("items=2[.][.]"))
    expect(page.get_by_role("button", name="Items: at least 2")).to_be_visible()
    page.keyboard.press("Escape")
    at_rest(page)
    page.go_back()
    expect(page).not_to_have_url(re.compile("items="))
    expect(page.get_by_role("button", name="Items: at least 2")).to_be_hidden()  # the page has run again
    expect(waiting).to_be_visible()
    at_rest(page)
    page.go_back()
    expect(page).not_to_have_url(re.compile("queue="))
    expect(waiting).to_be_hidden()
    expect(page.get_by_text(f"1–50 of {len(real(rows))} orders")).to_be_visible()
    at_rest(page)

    page.emulate_media(media="print")
    shown = table.locator("th button").evaluate_all("nodes => nodes.map(node => getComputedStyle(node).display)")
    assert {*shown} == {"contents"}  # Chromium repeats the header on each page, without its buttons
    page.emulate_media(media="screen")
    page.get_by_role("table", name="Orders", exact=True).get_by_role("row").nth(1).click()
    document = page.get_by_role("dialog")
    expect(document.get_by_role("table", name="Items")).to_be_visible()
    expect(document.get_by_role("button", name="Print")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("#root")).to_be_hidden()
    expect(document.get_by_role("button", name="Print")).to_be_hidden()
    amounts = document.get_by_role("table", name="Amounts")
    width, right = page.evaluate("innerWidth"), amounts.bounding_box()
    assert right and right["x"] + right["width"] <= width
    page.close()
