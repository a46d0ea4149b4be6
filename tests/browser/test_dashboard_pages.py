"""Every page over every kind of table: it shows its title, figures where there are some, and never an exception."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cache_factory import publish
from dashboard_page import at_rest, figure, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.errors import Trouble
from cache.schema import Column
from cache.storage.documents import SETUP
from cache.storage.local import failure_pages
from cache.storage.records import Run, now
from cache.storage.snapshot import ChangeCounts
from cache.table_setup import NO_SETUP

# A picture of one white point.
ICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=="
)
ID = Column(name="id", type="bigint", kind="integer", nullable=False, key=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("pages")) as started:
        yield started


def text(name: str) -> Column:
    return Column(name=name, type="text", kind="text", nullable=True)


def shown(page: Page) -> None:
    """The page has run to its end without an exception."""
    at_rest(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.soak
def test_explore_sorts_opens_rows_and_leads_to_the_orders_of_a_cell(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(300), columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/explore?period=all&metric=orders&by=status&by=channel&columns=country")
    expect(page.get_by_role("heading", name=re.compile("Orders by payment status and country"))).to_be_visible()
    table = page.get_by_role("table", name="As a table")
    table.get_by_role("button", name="▸ Paid").click()
    expect(table.get_by_role("cell", name="Online store")).to_be_visible()
    expect(page).to_have_url(re.compile("open=paid"))
    at_rest(page)
    table.get_by_role("button", name="United States", exact=True).click()
    expect(table.get_by_role("columnheader", name="United States")).to_have_attribute("aria-sort", "descending")
    at_rest(page)
    place = [cell.inner_text().strip() for cell in table.get_by_role("columnheader").all()].index("United States")
    inner = table.get_by_role("row").filter(has=page.get_by_role("cell", name="Online store"))
    cell = inner.get_by_role("cell").nth(place)
    count = cell.get_by_role("button").inner_text()
    cell.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible()
    noun = "order" if count == "1" else "orders"
    expect(page.get_by_text(re.compile(rf"(^|of ){count} {noun}"))).to_be_visible()
    expect(page).to_have_url(re.compile("status=paid&channel=web&country=US"))
    shown(page)


@pytest.mark.soak
def test_explore_over_time_has_a_row_for_each_step(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(300), columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/explore?period=all&metric=orders&by=status&step=month")
    table = page.get_by_role("table", name="As a table")
    expect(table.get_by_role("columnheader", name="Month")).to_be_visible()
    expect(table.get_by_role("columnheader", name="Total")).to_be_visible()
    expect(page).to_have_url(re.compile("step=month"))
    shown(page)


@pytest.mark.soak
def test_a_customer_opens_his_orders(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(300), columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/customers?period=all")
    line = page.get_by_role("table", name="Top customers").get_by_role("row").nth(1)
    name, _, orders, *_ = line.get_by_role("cell").all_inner_texts()
    line.get_by_role("button").click()
    expect(page.get_by_role("heading", level=2, name=name.split("\n")[0])).to_be_visible()
    expect(page.get_by_role("table", name="Orders", exact=True).get_by_role("row")).to_have_count(int(orders) + 1)
    expect(page).to_have_url(re.compile("period=all&who="))
    page.get_by_role("table", name="Orders", exact=True).locator("tbody").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text(name.split("\n")[0])


@pytest.mark.soak
def test_products_are_searched(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(300), columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/products?period=all")
    table = page.get_by_role("table", name="Top products")
    sku = table.get_by_role("row").nth(3).get_by_role("cell").nth(1).inner_text()
    at_rest(page)
    page.get_by_placeholder("Product or SKU").fill(sku)
    expect(table.get_by_role("row")).to_have_count(3)  # its header, the product and the total
    expect(table).to_contain_text(sku)


@pytest.mark.soak
def test_products_are_sorted_by_their_headers_and_paged(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(300), columns=SHOP_COLUMNS)
    page = visit(browser, f"{running.url}/products?period=all")
    table = page.get_by_role("table", name="Top products")
    header = table.get_by_role("columnheader", name="Units")
    expect(table.get_by_role("columnheader", name="Gross sales")).to_have_attribute("aria-sort", "descending")
    for direction, address in (("descending", "-units"), ("ascending", "units")):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", direction)
        expect(page).to_have_url(re.compile(f"period=all&sort={address}$"))
    at_rest(page)
    first = table.get_by_role("row").nth(1).get_by_role("cell").first.inner_text()
    page.get_by_role("button", name="Page 2", exact=True).click()
    expect(page.get_by_text(re.compile("^51–100 of "))).to_be_visible()
    expect(page).to_have_url(re.compile("page=2&sort=units$"))
    expect(table.get_by_role("row").nth(1)).not_to_contain_text(first)


def test_a_sync_that_was_killed_is_not_shown_as_running(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(20), columns=SHOP_COLUMNS)
    long_ago = now() - timedelta(minutes=5)
    running.cache.runs.begin(killed := Run(trigger="schedule", started_at=long_ago, beat_at=long_ago))
    page = visit(browser, f"{running.url}/data")
    first = page.get_by_role("table", name="Syncs").get_by_role("row").nth(1)
    expect(first).to_contain_text("Interrupted")
    running.cache.runs.report(killed)
    expect(first).to_contain_text("Running")
    running.cache.runs.finish(killed.model_copy(update={"outcome": "unchanged", "finished_at": now()}))
    expect(first).to_contain_text("No changes")


def test_the_data_page_lists_syncs_with_what_failed_and_what_to_do(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(20), columns=SHOP_COLUMNS)
    trouble = Trouble(code="login_refused", message="phpMyAdmin refused the login.", advice="Check the password.")
    for outcome in (
        {"outcome": "failed", "error": trouble},
        {"outcome": "published", "changes": ChangeCounts(inserted=7)},
    ):
        run = Run(trigger="schedule", seconds={"login": 1.5, "rows": 2.0})
        running.cache.runs.begin(run)
        running.cache.runs.finish(run.model_copy(update={"finished_at": now(), **outcome}))
    page = visit(browser, f"{running.url}/data")
    syncs = page.get_by_role("table", name="Syncs")
    expect(syncs.get_by_role("row").nth(1)).to_contain_text("New data")
    expect(syncs.get_by_role("row").nth(1)).to_contain_text("+7")
    syncs.get_by_role("row").nth(2).click()
    expect(page.get_by_role("alert").filter(has_text="refused the login")).to_contain_text("Check the password.")
    expect(page.get_by_role("table", name="Details")).to_contain_text("Signing in to phpMyAdmin")
    expect(page.get_by_role("table", name="Columns")).to_contain_text("the discount code")
    shown(page)


def test_a_sync_that_failed_shows_the_page_it_failed_at(browser: Browser, running: Dashboard) -> None:
    publish(running.cache, shop(20), columns=SHOP_COLUMNS)
    began = now() - timedelta(minutes=3)
    run = Run(trigger="schedule", started_at=began)
    running.cache.runs.begin(run)
    folder = running.folder / "var" / "diagnostics"
    folder.mkdir(parents=True)
    for minutes in (-60, 1, 30):
        at = failure_pages.name(began + timedelta(minutes=minutes), "login_refused")
        (folder / f"{at}.png").write_bytes(ICON if minutes == 1 else b"of another sync")
    trouble = Trouble(code="login_refused", message="phpMyAdmin refused the login.", advice="Check the password.")
    running.cache.runs.finish(run.model_copy(update={"finished_at": now(), "outcome": "failed", "error": trouble}))
    page = visit(browser, f"{running.url}/data?sync={run.id}")
    picture = page.get_by_test_id("stImage").filter(has_text="What phpMyAdmin showed").locator("img")
    expect(picture).to_be_visible()
    assert page.request.get(str(picture.get_attribute("src"))).body() == ICON


@pytest.mark.soak
def test_the_settings_page_previews_figures_saves_and_updates_every_tab(browser: Browser, running: Dashboard) -> None:
    columns = (
        ID,
        text("bestellt"),
        Column(name="summe", type="decimal(12,2)", kind="decimal", nullable=True, digits=12, decimals=2),
    )
    rows = [{"id": str(i), "bestellt": f"2026-03-0{i} 10:00:00", "summe": "12.50"} for i in range(1, 5)]
    publish(running.cache, rows, columns=columns, segments=1)
    other = visit(browser, f"{running.url}/?period=all")
    figure(other, "Orders", "4")
    other.get_by_role("link", name="Open Settings").click()
    page = other
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()
    other = visit(browser, f"{running.url}/?period=all")
    page.get_by_label("The total", exact=True).click()
    page.get_by_role("option", name="summe").click()
    figure(page, "Total sales (returns not known)", "50.00")
    page.get_by_role("button", name="Save").click()
    figure(other, "Total sales (returns not known)", "50.00")
    assert running.cache.documents.read(SETUP).columns == {"total": "summe"}
    lacking = other.get_by_text("No total sales: the table has no column for the total.")
    expect(lacking).to_have_count(0, timeout=20_000)  # the line of the run before stays until this one has ended
    page.get_by_role("button", name="Reset to recognised columns").click()
    expect(lacking).to_be_visible(timeout=20_000)
    assert running.cache.documents.read(SETUP) == NO_SETUP
    expect(page.get_by_role("list", name="Preview")).not_to_contain_text("Total sales")
    expect(page.get_by_text("These settings are saved.")).to_be_visible()
    shown(page)
