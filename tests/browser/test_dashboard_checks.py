"""The checks in a real browser: the badge, marks at figures, and the way from both to the orders that fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from cache_factory import Row, publish
from damages import DAMAGES
from dashboard_page import figure, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Locator, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.check_report import CheckReport
from cache.settings import Settings
from checks.generation import check_generation

GREEN, ORANGE = "check_circle", "warning"  # icons, which stand beside the colours
ROWS = shop(700)


def filled(running: Dashboard, rows: list[Row]) -> CheckReport:
    """Publishes rows with their checks, as a sync does."""
    check = partial(check_generation, running.cache, Settings())
    head = publish(running.cache, rows, columns=SHOP_COLUMNS, check=check)
    report = running.cache.snapshots.checks(head.generation)
    assert report
    return report


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("healthy")) as running:
        assert filled(running, list(ROWS)).ok == 1
        yield running


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, CheckReport]]:
    """A shop of which every eighth total has a digit too many."""
    with dashboard(tmp_path_factory.mktemp("damaged")) as running:
        yield running, filled(running, list(DAMAGES["totals have a digit too many"].apply(ROWS, "total_price")))


def badge(page: Page) -> Locator:
    return page.get_by_role("link", name=re.compile("Figures:"))


def marks(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("orders have a total")).or_(
        page.get_by_role("link", name=re.compile("orders have a total"))
    )


@pytest.mark.soak
def test_the_badge_of_the_shop_is_green_and_opens_the_checks(browser: Browser, healthy: Dashboard) -> None:
    page = visit(browser, f"{healthy.url}/?period=all")
    figure(page, "Orders", re.compile("[0-9]"))
    expect(badge(page)).to_contain_text("Figures: 100% of all orders add up")
    expect(badge(page)).to_contain_text(GREEN)
    expect(marks(page)).to_have_count(0)
    badge(page).click()
    checks = page.get_by_role("table", name="Checks")
    expect(checks.get_by_role("cell", name=re.compile("^Total adds up"))).to_be_visible(timeout=20_000)
    expect(checks.get_by_role("button")).to_have_count(0)


def test_the_badge_of_a_damaged_table_is_amber(browser: Browser, damaged: tuple[Dashboard, CheckReport]) -> None:
    running, report = damaged
    page = visit(browser, f"{running.url}/?period=all")
    expect(badge(page)).to_contain_text(f"Figures: {report.agree * 10_000 // report.orders / 100:.2f}% of all orders")
    expect(badge(page)).to_contain_text(ORANGE)
