"""The checks in a real browser: the badge, marks at figures, and the way from both to the orders that fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from cache_factory import Row, publish
from damages import DAMAGES
from dashboard_axe import LOOKS, Look, findings
from dashboard_page import at_rest, figure, reached, visit
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


@pytest.mark.soak
def test_the_badge_of_a_damaged_table_is_amber(browser: Browser, damaged: tuple[Dashboard, CheckReport]) -> None:
    running, report = damaged
    page = visit(browser, f"{running.url}/?period=all")
    expect(badge(page)).to_contain_text(f"Figures: {report.agree * 10_000 // report.orders / 100:.2f}% of all orders")
    expect(badge(page)).to_contain_text(ORANGE)


@pytest.mark.soak
def test_the_keyboard_opens_the_orders_of_a_mark_and_pages_through_them(
    browser: Browser, damaged: tuple[Dashboard, CheckReport]
) -> None:
    running, report = damaged
    page = visit(browser, f"{running.url}/?period=all&compare=none")
    card = page.get_by_role("listitem").filter(has=page.get_by_text("Total sales", exact=True))
    mark = card.get_by_role("button", name=re.compile(r"^± \$[\d,]+ · \d+ orders have a total"))
    expect(mark).to_be_visible(timeout=20_000)
    at_rest(page)
    orders = re.findall(r"· (\d+) orders", mark.inner_text())[0]
    reached(page, mark)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/orders.*check=total"))
    expect(page.get_by_text("Check failed: Total adds up.")).to_be_visible(timeout=20_000)
    expect(page.get_by_text(re.compile(f"1–50 of {orders} orders"))).to_be_visible()
    page.get_by_role("button", name="Page 2", exact=True).click()
    expect(page.get_by_text(re.compile(f"51–{orders} of {orders} orders"))).to_be_visible()
    expect(page).to_have_url(re.compile("check=total"))
    page.get_by_role("button", name="All orders").click()
    expect(page.get_by_text(re.compile(f"of {report.orders:,} orders"))).to_be_visible()
    expect(page).not_to_have_url(re.compile("check"))


@pytest.mark.soak
def test_the_mark_of_a_breakdown_is_a_link_to_its_orders(
    browser: Browser, damaged: tuple[Dashboard, CheckReport]
) -> None:
    page = visit(browser, f"{damaged[0].url}/?period=all&compare=none")
    link = page.get_by_role("link", name=re.compile("orders have a total")).last
    expect(link).to_be_visible(timeout=20_000)
    link.click()
    expect(page.get_by_text("Check failed: Total adds up.")).to_be_visible(timeout=20_000)


def _check_row(page: Page) -> Locator:
    return page.get_by_role("table", name="Checks").get_by_role("row", name=re.compile("^Total adds up"))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("path", "looks"),
    [
        ("?period=all", LOOKS[0][:1]),
        ("?period=all", LOOKS[0]),
        ("explore?period=all", LOOKS[1]),
        ("orders?period=all&check=total", LOOKS[1][1:]),
        ("data", LOOKS[0]),
        ("orders?period=all&check=total", LOOKS[1]),
    ],
)
def test_axe_finds_nothing_in_marks_and_checks(
    browser: Browser, damaged: tuple[Dashboard, CheckReport], path: str, looks: tuple[Look, ...]
) -> None:
    """Each page in one pair of looks, in which both schemes and both widths are."""
    page = visit(browser, f"{damaged[0].url}/{path}")
    expect(badge(page)).to_be_visible()
    assert findings(page, looks) == []


@pytest.mark.soak
def test_the_data_page_opens_one_order_that_fails_and_all_of_them(
    browser: Browser, damaged: tuple[Dashboard, CheckReport]
) -> None:
    running, report = damaged
    result = report.checks["total"]
    names = {row["id"]: row["name"] or "" for row in ROWS}
    one, every = (visit(browser, f"{running.url}/data") for _ in range(2))
    first = names[result.examples[0]]
    _check_row(one).get_by_role("button", name=first, exact=True).click()
    expect(one.get_by_role("dialog")).to_contain_text(first, timeout=20_000)
    _check_row(every).get_by_role("button", name=f"All {result.failed} orders").click()
    expect(every.get_by_text(re.compile(f"(^|of ){result.failed} order"))).to_be_visible(timeout=20_000)
