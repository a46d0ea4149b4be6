"""Answers to open questions, and requests of the API page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_page import visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from schema_corpus import FOLDER, load
from schema_orders import as_copied, columns_of, in_key_order
from shop_factory import SHOP_COLUMNS, shop

from cache.storage.documents import SETUP
from cache.table_setup import NO_SETUP

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("pages")) as started:
        yield started


def test_the_api_page_gives_the_view_as_requests_and_never_a_key(browser: Browser, tmp_path: Path) -> None:
    with dashboard(tmp_path, SHOPIFY_API_KEY="a-key-that-nobody-may-see") as own:
        publish(own.cache, shop(50), columns=SHOP_COLUMNS)
        page = visit(browser, f"{own.url}/api?period=all&currency=USD&status=paid&country=DE")
        code = page.get_by_test_id("stCode").first
        expect(code).to_contain_text("--data-urlencode 'financial_status__in=paid'")
        expect(page.get_by_text("The API cannot filter by country")).to_be_visible()
        expect(page.get_by_role("table", name="Keys")).to_contain_text("set in SHOPIFY_API_KEY")
        assert "nobody-may-see" not in page.content()


def test_an_answer_is_picked_beside_its_figures_and_saved(browser: Browser, running: Dashboard) -> None:
    schema = load(FOLDER / "ambiguous_dates")
    columns = columns_of(schema)
    publish(running.cache, as_copied(in_key_order(schema), columns), columns=columns, segments=1)
    page = visit(browser, f"{running.url}/?period=all")
    expect(page.get_by_text("Day before month: 60 orders, £2,094.00, 2 Jan 2025 – 10 Dec 2025")).to_be_visible()
    page.get_by_role("link", name="Answer in Settings").click()
    answers = page.get_by_role("table", name="Day and month of the dates can be read in two ways.")
    answer = answers.get_by_role("button", name="Day before month")
    answer.click()
    expect(answer).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Orders from 2 Jan 2025, 10:15 to 10 Dec 2025, 10:15")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(answers).to_have_count(0)
    assert running.cache.documents.read(SETUP).instants == {"created_at": "day_first"}
    running.cache.documents.change(SETUP, lambda _: NO_SETUP)
