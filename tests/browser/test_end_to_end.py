"""All processes together: the first sync, and a refresh in every tab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_page import new_tab
from everything import KEY, Everything, started
from playwright.sync_api import Browser, Page, expect

from lab import Lab


@pytest.fixture(scope="module")
def everything(lab: Lab, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with started(lab, tmp_path_factory.mktemp("everything")) as running:
        yield running


def opened(browser: Browser, address: str) -> Page:
    """A tab; `window.kept` is gone if the page is ever loaded again."""
    page = new_tab(browser)
    page.set_viewport_size({"width": 1440, "height": 2400})
    page.goto(f"{address}/orders")
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Refresh", exact=False)).to_be_enabled(timeout=60_000)
    page.evaluate("window.kept = true")
    return page


def newest_order(lab: Lab) -> str:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM orders WHERE test = 0 ORDER BY created_at DESC, id DESC LIMIT 1")
        return str(cursor.fetchone()[0])


@pytest.mark.soak
def test_the_first_sync_comes_by_itself_and_is_verified(everything: Everything) -> None:
    body = everything.api.get("/fetch-data").json()
    assert body["verified"] is True
    assert body["count"] == everything.lab.rows()
    assert everything.cache.runs.recent(1)[-1].versions["phpmyadmin"].startswith("5.")


def test_refresh_shows_progress_and_brings_the_new_order_into_every_tab(
    everything: Everything, browser: Browser
) -> None:
    pages = [opened(browser, everything.dashboard) for _ in range(2)]
    everything.lab.mutate(seed=7)
    order = newest_order(everything.lab)
    for page in pages:
        expect(page.get_by_text(order, exact=True)).to_have_count(0)
    pages[0].get_by_role("button", name="Refresh", exact=False).click()
    expect(pages[0].get_by_role("progressbar")).to_be_visible(timeout=20_000)
    expect(pages[0].get_by_text("Signing in to phpMyAdmin")).to_be_visible(timeout=20_000)
    for page in pages:
        expect(page.get_by_text(order, exact=True)).to_be_visible(timeout=60_000)
        assert page.evaluate("window.kept") is True


def test_no_secret_reached_a_log_or_the_cache(everything: Everything) -> None:
    secret = everything.lab.settings()["PHPMYADMIN_PASSWORD"]
    assert secret not in everything.log()
    assert KEY not in everything.log()
    for path in everything.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
