"""Every page over odd tables: without columns, without orders, with the largest numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from cache_factory import Row, publish
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.schema import Column

pytestmark = pytest.mark.soak


PAGES = {
    "": "Orders overview",
    "explore": "Explore",
    "what-changed": "What changed",
    "orders": "Orders",
    "products": "Products",
    "customers": "Customers",
    "taxes": "Taxes",
    "views": "Saved views",
    "data": "Data",
    "api": "API",
    "set-up": "Settings",
}


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


def walk(browser: Browser, running: Dashboard) -> Page:
    """Visits every page by the navigation, with all of time."""
    page = visit(browser, f"{running.url}/?period=all")
    for path, title in PAGES.items():
        if path:
            page.get_by_role("navigation").or_(page.get_by_test_id("stSidebarNav")).get_by_role(
                "link", name={"orders": "Orders", "views": "Views"}.get(path, title), exact=True
            ).click()
        expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=20_000)
        shown(page)
    assert "Traceback" not in running.log()
    return page


def rows_of(columns: Sequence[Column], rows: list[dict[str, str | None]]) -> list[Row]:
    return [{column.name: row.get(column.name) for column in columns} for row in rows]


def odd_shops() -> dict[str, tuple[Sequence[Column], list[Row]]]:
    half = SHOP_COLUMNS[::2]
    other_half = (SHOP_COLUMNS[0], *SHOP_COLUMNS[1::2])
    foreign = (ID, text("species"), Column(name="weight", type="double", kind="double", nullable=True))
    one = dict(
        shop(1)[0],
        currency="JPY",
        total_price="9999999999.00",
        subtotal_price="9999999999.00",
        customer_name="محمد بن سلمان",
        test="0",
        created_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    )
    return {
        "half of the columns": (half, rows_of(half, shop(40))),
        "the other half": (other_half, rows_of(other_half, shop(40))),
        "no orders at all": (foreign, [{"id": "1", "species": "*otter*", "weight": "7.5"}]),
        "no rows": (SHOP_COLUMNS, []),
        "one row of ten digits": (SHOP_COLUMNS, [one]),
    }


@pytest.mark.parametrize("name", odd_shops())
def test_no_table_brings_an_exception_to_a_page(browser: Browser, running: Dashboard, name: str) -> None:
    columns, rows = odd_shops()[name]
    publish(running.cache, rows, columns=columns, segments=1)
    page = walk(browser, running)
    page.close()
