"""Saved views in a browser: saved on one page, listed, pinned, opened, and the one that opens first."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cache_factory import publish
from dashboard_axe import settled, violations
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.saved.views import SavedViews
from cache.storage.documents import VIEWS

NAME = "Paid <i>only</i> & *now*"


@pytest.fixture
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("views")) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


def save_view(page: Page, name: str) -> None:
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name of the view").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    page.keyboard.press("Escape")


@pytest.mark.soak
def test_a_view_is_saved_pinned_opened_and_opens_first(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all&status=paid&metric=orders&compare=none")
    save_view(page, NAME)
    page.get_by_role("link", name="Views", exact=True).click()
    views = page.get_by_role("table", name="Saved views")
    expect(views.get_by_role("button", name=NAME)).to_be_visible()
    expect(views).to_contain_text("Overview · All time · Payment: Paid")
    views.get_by_role("button", name="Edit").click()
    expect(page).to_have_url(re.compile("view="))
    settled(page)
    assert violations(page) == []
    page.get_by_text("Pin to the overview of everyone").click()
    page.get_by_text("Opens first").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(views).to_contain_text("Pinned, Opens first")
    (saved,) = filled.cache.documents.read(VIEWS).views
    assert saved.pinned

    fresh = visit(browser, filled.url)  # another visitor
    expect(fresh).to_have_url(re.compile("status=paid"))
    expect(fresh.get_by_role("button", name=re.compile("Payment: Paid"))).to_be_visible()
    fresh.get_by_role("button", name="Clear filters").click()
    expect(fresh.get_by_role("button", name=re.compile("Payment: Paid"))).to_have_count(0)
    at_rest(fresh)
    pin = fresh.get_by_role("link", name=NAME)
    expect(pin).to_have_text(re.compile(r"\d+$"))
    pin.click()
    expect(fresh.get_by_role("button", name=re.compile("Payment: Paid"))).to_be_visible()
    expect(fresh).to_have_url(re.compile("status=paid"))
    fresh.go_back()
    expect(fresh.get_by_role("button", name=re.compile("Payment: Paid"))).to_have_count(0)
    expect(fresh).not_to_have_url(re.compile("status=paid"))

    page.get_by_role("table", name="Saved views").get_by_role("button", name=NAME).click()
    expect(page.get_by_role("heading", level=1, name="Orders overview")).to_be_visible()
    expect(page).to_have_url(re.compile("status=paid"))
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Saved views")).to_be_visible()
    page.get_by_role("table", name="Saved views").get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove the view").click()
    expect(page.get_by_text("No views are saved yet.")).to_be_visible()
    assert filled.cache.documents.read(VIEWS) == SavedViews()
