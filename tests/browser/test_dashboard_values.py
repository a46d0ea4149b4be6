"""Values are shown as they are, whatever somebody has entered: no link, icon, formula or tag comes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from cache_factory import publish
from dashboard_page import at_rest
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.schema import Column

MARKDOWN = (
    "https://evil.example www.evil.example a@evil.example :smile: :material/home: :material_home: :streamlit: -> -- "
    "$x^2$ &lt;b&gt; <i>x</i> **b** ~~s~~ `c` `d` [l](https://evil.example) ![i](https://evil.example) :red[r] \\$"
)
ODD_COLUMN = "a:material/home: &lt;$x$ :red[r]"
CURRENCY = ":A:$X$"  # in capitals, as codes are
MADE_OF_VALUES = """() => {
  const found = [];
  const look = (root) => root.querySelectorAll("*").forEach((each) => {
    if (each.shadowRoot) look(each.shadowRoot);
    const marked = each.matches("strong, del, i, code") && each.textContent.length === 1;  // longer ones are ours
    if (marked || each.matches("a[href^='http'], a[href^='mailto'], img, .katex, [aria-label='home icon']"))
      found.push(each.outerHTML);
  });
  document.querySelectorAll(".stMain, [role=dialog]").forEach(look);
  return found;
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    names = ("name", "customer_name", "email", "financial_status", "fulfillment_status", "source_name", "discount_code")
    row = {**shop(1)[0], **dict.fromkeys((*names, "note", "tags", ODD_COLUMN), MARKDOWN), "currency": CURRENCY}
    row["line_items"] = json.dumps([{"title": MARKDOWN, "sku": MARKDOWN, "quantity": 1, "price": row["total_price"]}])
    row["destination"] = json.dumps(dict.fromkeys(("name", "city", "country", "country_code"), MARKDOWN))
    row |= {"id": "1", "test": "0", "cancelled_at": None}
    column = Column(name=ODD_COLUMN, type="text", kind="text", nullable=True, key=0)
    with dashboard(tmp_path_factory.mktemp("values")) as started:
        publish(started.cache, [row, {**row, "id": "2", "currency": "USD"}], columns=(*SHOP_COLUMNS, column))
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        yield context.new_page()


def opened(page: Page, running: Dashboard, path: str, **parameters: str) -> None:
    page.goto(f"{running.url}/{path}?{urlencode({'period': 'all', **parameters})}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)


def shows(page: Page, *texts: str) -> None:
    """Asserts that the page shows these texts, and nothing that Markdown makes of values."""
    for text in texts:
        expect(page.get_by_text(text).first).to_be_attached()
    at_rest(page)
    assert page.evaluate(MADE_OF_VALUES) == []


@pytest.mark.soak
def test_filters_and_the_drawer_show_values_as_they_are(page: Page, running: Dashboard) -> None:
    filters = ("status", "fulfilment", "channel", "country", "discount", "product")
    opened(page, running, "orders", **dict.fromkeys(filters, MARKDOWN))
    labels = ("Payment", "Fulfilment", "Channel", "Country", "Discount", "Product")
    shows(page, *(f"{label}: {MARKDOWN}" for label in labels))
    page.get_by_role("table", name="Orders", exact=True).locator("tbody").get_by_role("button").first.click()
    expect(page.get_by_role("dialog").get_by_role("table", name="Details")).to_be_visible()
    shows(page, f"Order {MARKDOWN}")
    badges = page.get_by_role("dialog").locator(".stMarkdownBadge")
    assert badges.all_inner_texts() == [MARKDOWN, MARKDOWN]


@pytest.mark.soak
def test_a_search_that_finds_nothing_shows_its_words_as_they_are(page: Page, running: Dashboard) -> None:
    for path, what in (("orders", "order"), ("products", "product")):
        opened(page, running, path, q=f"{MARKDOWN} no")
        shows(page, f"No {what} matches “{MARKDOWN} no”.")


@pytest.mark.soak
def test_currencies_are_shown_as_they_are(page: Page, running: Dashboard) -> None:
    opened(page, running, "", currency="USD")
    shows(page, f"Orders in other currencies are excluded, of all time 1 in {CURRENCY}.")
    opened(page, running, "", currency=CURRENCY)
    page.get_by_role("button", name=CURRENCY, exact=True).click()
    shows(page, f"{CURRENCY} · 1 order")


@pytest.mark.soak
def test_charts_and_names_of_columns_are_shown_as_they_are(page: Page, running: Dashboard) -> None:
    for path, text in (("explore", MARKDOWN), ("data", ODD_COLUMN), ("set-up", ODD_COLUMN)):
        opened(page, running, path, metric="orders", by="status")
        shows(page, text)
