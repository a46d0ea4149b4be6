"""The dashboard on the port that it shares with the API, in a real browser, while clients use the API beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from dashboard_page import at_rest, new_tab, open_every_page, sign_in
from long_cases import every_second
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, sidecar

ROWS = shop(60)
NEWEST = max(f"#{1000 + i}" for i, row in enumerate(ROWS, 1) if row["test"] == "0")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("one"), "one_port", DASHBOARD_PASSWORD="one") as running:
        publish(running.cache, ROWS[:40], columns=SHOP_COLUMNS)
        yield running


def signed_in(browser: Browser, one: Sidecar, path: str) -> Page:
    page = new_tab(browser)
    sign_in(page, one.url + path, "one")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)
    return page


def test_every_page_opens_and_follows_a_sync_beside_a_stream_of_events(browser: Browser, one: Sidecar) -> None:
    faults: list[str] = []
    page = new_tab(browser)
    page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    with one.client.stream("GET", "/v1/events") as answer:
        lines = answer.iter_lines()
        assert next(lines)
        sign_in(page, f"{one.url}/?period=all", "one")
        open_every_page(page, step=3)
        generation = publish(one.cache, ROWS, columns=SHOP_COLUMNS).generation
        page.goto(f"{one.url}/orders?period=all")
        expect(page.get_by_role("table", name="Orders", exact=True)).to_contain_text(NEWEST)
        assert any(f'"generation": {generation}' in line for line in lines)
    assert faults == []
    assert "Traceback" not in one.log()


@pytest.mark.parametrize(("path", "title"), every_second([("/api", "API"), ("/data", "Data")]))
def test_the_address_of_a_page_opens_it_and_not_the_api(browser: Browser, one: Sidecar, path: str, title: str) -> None:
    page = signed_in(browser, one, path)
    expect(page).to_have_title(f"{title} · Orders")


@pytest.mark.soak
def test_a_download_comes_by_the_same_port(browser: Browser, one: Sidecar) -> None:
    publish(one.cache, ROWS, columns=SHOP_COLUMNS)
    page = signed_in(browser, one, "/orders?period=all&status=paid")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="CSV", exact=True).click()
    loaded = list(csv.DictReader(io.StringIO(Path(begun.value.path()).read_text(encoding="utf-8-sig"))))
    paid = [row["id"] for row in ROWS if (row["test"], row["financial_status"]) == ("0", "paid")]
    assert sorted(row["id"] for row in loaded) == sorted(map(str, paid))


def test_the_page_of_the_api_leads_to_the_api_on_the_same_port(browser: Browser, one: Sidecar) -> None:
    page = signed_in(browser, one, "/api?period=all")
    expect(page.get_by_text("The API shares the address of the dashboard.")).to_be_visible()
    address = page.get_by_role("link", name="Try it").get_attribute("href")
    assert address == f"{one.url}/demo"
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert httpx2.get(address).status_code == 200
