"""An analyst's whole day on the real lab: every page and every flow of the dashboard, with nothing replaced."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import polars
import pytest
from dashboard_page import figure, open_every_page, sign_in
from everything import Everything, started
from playwright.sync_api import Browser, Page, expect
from waiting import wait_for

from lab import Lab

PASSWORD = "a password for the walk"
WALKS = 30
PATIENCE = 180_000  # milliseconds: a sync may find both cores busy


@pytest.fixture(scope="module")
def everything(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with started(lab, tmp_path_factory.mktemp("everything"), DASHBOARD_PASSWORD=PASSWORD) as running:
        yield running


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Syncs run beside what is looked at."""
    expect.set_options(timeout=PATIENCE)
    yield
    expect.set_options(timeout=5_000)


def names(lab: Lab, where: str = "true") -> set[str]:
    """The numbers of the orders that count."""
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM orders WHERE test = 0 AND {where}")
        return {str(name) for (name,) in cursor.fetchall()}


def visitor(browser: Browser, everything: Everything, path: str) -> Page:
    """A tab of a visitor of his own, who has signed in."""
    page = browser.new_context(viewport={"width": 1440, "height": 1200}).new_page()
    sign_in(page, everything.dashboard + path, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def refresh(page: Page) -> None:
    page.get_by_role("button", name="Refresh", exact=True).click()


def downloaded(page: Page, format: str) -> bytes:
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name=format).click()
    page.keyboard.press("Escape")
    return Path(begun.value.path()).read_bytes()


def walk(everything: Everything, browser: Browser) -> None:
    lab = everything.lab

    # Signing in wrongly, then rightly, at the address that was asked for; and every page.
    page = browser.new_context(viewport={"width": 1440, "height": 1200}).new_page()
    sign_in(page, f"{everything.dashboard}/?period=all&currency=USD", "not this one")
    expect(page.get_by_role("alert")).to_have_text("Wrong password.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    open_every_page(page)

    # A refresh brings a new order into another tab, which is not loaded again.
    before = names(lab)
    lab.mutate()
    order = max(names(lab) - before)
    other = visitor(browser, everything, f"/orders?period=all&q={order.replace('#', '%23')}")
    expect(other.get_by_text("No order matches")).to_be_visible()
    other.evaluate("window.kept = true")
    refresh(page)
    expect(other.get_by_role("button", name=order, exact=True)).to_be_visible()
    assert other.evaluate("window.kept") is True
    other.context.close()

    # A filter by a click, and its link for a colleague.
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("table", name="Total sales by payment status").get_by_role(
        "button", name="Paid", exact=True
    ).click()
    paid = names(lab, "financial_status = 'paid'")
    in_dollars = names(lab, "financial_status = 'paid' AND currency = 'USD'")
    figure(page, "Orders", f"{len(in_dollars):,}")
    expect(page).to_have_url(re.compile("status=paid"))
    colleague = visitor(browser, everything, page.url.removeprefix(everything.dashboard))
    figure(colleague, "Orders", f"{len(in_dollars):,}")
    colleague.context.close()

    # Files of just these orders, read again.
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_text(re.compile(f"(^|of ){len(paid):,} orders"))).to_be_visible()
    rows = csv.DictReader(io.StringIO(downloaded(page, "CSV").decode("utf-8-sig"), newline=""))
    assert {row["name"] for row in rows} == paid
    assert set(polars.read_parquet(downloaded(page, "Parquet"))["name"]) == paid
    header, *cells = openpyxl.load_workbook(io.BytesIO(downloaded(page, "Excel")), read_only=True).active.values
    assert {str(row[header.index("name")]) for row in cells} == paid

    # A sync that fails: it says what to do, over the last good data.
    lab.stop_phpmyadmin()
    try:
        refresh(page)
        failed = page.get_by_role("alert").filter(has_text="The last refresh failed")
        expect(failed).to_contain_text("This page shows the last good data")
        expect(page.get_by_text("orders, newest first")).to_be_visible()
    finally:
        lab.start_phpmyadmin()

    # A table that lost most of its rows is held back, until somebody accepts it.
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE aside AS SELECT * FROM orders")
        cursor.execute("DELETE FROM orders WHERE id % 10 > 2")
    try:
        kept = everything.api.get("/fetch-data?limit=0").json()["total_count"]
        refresh(page)
        accept = page.get_by_role("button", name="Accept the smaller table")
        expect(accept).to_be_visible()
        assert everything.api.get("/fetch-data?limit=0").json()["total_count"] == kept
        accept.click()
        wait_for(lambda: everything.api.get("/fetch-data?limit=0").json()["total_count"] == lab.rows() < kept)
        expect(page.get_by_text("The last refresh failed")).to_have_count(0)
    finally:
        with lab.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT IGNORE INTO orders SELECT * FROM aside")
            cursor.execute("DROP TABLE aside")
    page.context.close()
    assert "Traceback" not in everything.log()


@pytest.mark.soak
def test_every_page_and_flow_works_again_and_again(everything: Everything, browser: Browser) -> None:
    for number in range(WALKS):
        walk(everything, browser)
        print(f"walk {number + 1} of {WALKS} passed", flush=True)
