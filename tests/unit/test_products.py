"""A shop with 3,000 products: shares are of all of them, and each is found by search, order and pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from page_run import backend_of, captions, run, table
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.products import SORTS, ProductSort, product_page, sold_products
from cache.query.filters import Condition
from dashboard.backend import Backend

COUNT = 3_000
USD = [Condition("currency", "eq", "USD")]
SALES = sum(i + 1 for i in range(COUNT))


def product(i: int, quantity: int = 1) -> dict[str, object]:
    return {"sku": f"SKU-{i:04}", "title": f"Product {COUNT - i:04}", "quantity": quantity, "price": f"{i + 1}.00"}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Each product was sold once in the last 7 days, the i-th for i + 1 dollars, and the last one twice before."""

    def order(number: int, days_ago: int, items: list[dict[str, object]]) -> dict[str, str | None]:
        at = f"{datetime.now(UTC) - timedelta(days_ago):%Y-%m-%d %H:%M:%S}"
        fields = {"id": str(number), "created_at": at, "processed_at": at, "line_items": json.dumps(items)}
        return {**shop(1)[0], "currency": "USD", "test": "0", "taxes_included": "0", "cancelled_at": None, **fields}

    rows = [order(i, 1, [product(each) for each in range(i, COUNT, 30)]) for i in range(30)]
    rows.append(order(30, 9, [product(COUNT - 1, 2)]))
    with backend_of(tmp_path_factory.mktemp("products"), rows, SHOP_COLUMNS) as opened:
        yield opened


def shown(backend: Backend, **query: str) -> tuple[list[list[str]], str]:
    """The products of the page, without the total, which is that of all of them on each page; and the notes."""
    page = run(backend, "products", {"period": "7d", **query})
    *lines, total = table(page, "Top products")[1:] or [[]]
    assert total in ([], ["All products", "", f"{COUNT:,}", "", f"${SALES:,}", "100.0%", ""])
    return lines, captions(page)


@pytest.mark.slow
def test_shares_are_of_the_sales_of_all_products(backend: Backend) -> None:
    lines, notes = shown(backend)
    assert f"1–50 of 3,000 products. Shares are of the gross sales of all products, ${SALES:,}." in notes
    assert [line[5] for line in lines] == [f"{100 * Decimal(COUNT - i) / SALES:.1f}%" for i in range(50)]
    assert lines[0][:5] == ["Product 0001", "SKU-2999", "1", "1", "$3,000.00"]
    assert [line[6] for line in lines[:2]] == ["-50.0%", "new"]


def test_the_last_page_has_the_last_product(backend: Backend) -> None:
    lines, notes = shown(backend, page="60")
    assert "2,951–3,000 of 3,000 products" in notes
    assert lines[-1][:2] == ["Product 3000", "SKU-0000"]


@pytest.mark.slow
def test_a_search_finds_every_product_with_its_share_of_all(backend: Backend) -> None:
    lines, notes = shown(backend, q=" sku-0299 ")
    assert "1 product." in notes
    assert [line[1:6] for line in lines] == [["SKU-0299", "1", "1", "$300.00", "0.0%"]]
    assert [line[1] for line in shown(backend, q="product 2701")[0]] == ["SKU-0299"]
    assert "No product matches “socks”" in shown(backend, q="socks")[1]


@pytest.mark.slow
@pytest.mark.parametrize("query", ["sort=price", "page=0", "page=none", "sort=-"])
def test_an_address_that_means_nothing_shows_the_usual_page(backend: Backend, query: str) -> None:
    name, _, value = query.partition("=")
    assert shown(backend, **{name: value}) == shown(backend)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_in_any_order_join_to_all_products(backend: Backend, sort: ProductSort, descending: bool) -> None:
    orders = backend.orders.newest(1)
    sold = sold_products(orders, None, USD)
    pages = [product_page(orders, sold, "", sort, descending, 700, offset).products for offset in range(0, COUNT, 700)]
    joined = [each for page in pages for each in page]
    assert {each.sku for each in joined} == {f"SKU-{i:04}" for i in range(COUNT)}
    if sort != "change":
        values = [getattr(each, sort) for each in joined]
        assert values == sorted(values, reverse=descending)


def test_a_product_that_the_filter_does_not_offer_has_its_title(backend: Backend) -> None:
    page = run(backend, "orders", {"period": "all", "product": "SKU-0007"})
    assert "Product 2993" in page.multiselect(key="product_filter").options
