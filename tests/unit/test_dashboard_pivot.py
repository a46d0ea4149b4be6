"""Explore and What changed show what the analytics compute, in the order of the address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, captions, messages, run, table
from shop_factory import SHOP_COLUMNS, shop

from dashboard.backend import Backend

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder: Path = tmp_path_factory.mktemp("pivot")
    with backend_of(folder, shop(300, datetime.now(UTC)), SHOP_COLUMNS) as opened:
        yield opened


def number(text: str) -> float:
    return float(text.replace("$", "").replace(",", "").replace("+", "").replace("–", "0") or 0)


def test_rows_columns_and_figures_have_totals(backend: Backend) -> None:
    address = {"period": "all", "by": "country", "columns": "customer_type", "metric": ["orders", "units"], "top": "10"}
    header, *rows, total = table(run(backend, "explore", address), "As a table")
    assert header[0] == "Country"
    assert header[-3:] == ["Total · Orders", "Total · Units sold", "Share"]
    assert total[0] == "Total"
    for i in range(1, len(header) - 1):
        assert sum(number(row[i]) for row in rows) == number(total[i]), header[i]


def test_a_row_opens_into_another_dimension(backend: Backend) -> None:
    address = {"period": "all", "by": ["country", "city"], "metric": "orders", "open": "US"}
    _, *rows = table(run(backend, "explore", address), "As a table")
    names = [row[0] for row in rows]
    first = names.index("▾ United States")
    inside = [row for row in rows[first + 1 :] if row[0].startswith("\u2003")]
    assert sum(number(row[1]) for row in inside) == number(rows[first][1])


def test_what_belongs_to_no_product_has_a_row(backend: Backend) -> None:
    address = {"period": "all", "by": "product", "metric": "total_sales", "top": "10"}
    _, *rows = table(run(backend, "explore", address), "As a table")
    assert [row[0] for row in rows[-3:]][1:] == ["No product", "Total"]
    assert rows[-3][0].endswith(" others")
    assert abs(sum(number(row[1]) for row in rows[:-1]) - number(rows[-1][1])) <= len(rows) * 0.5


@pytest.mark.parametrize(
    "rows", ["tag", "weekday", "month", "customer", "column:taxes_included", "json:destination.zip"]
)
def test_every_kind_of_dimension_has_rows(backend: Backend, rows: str) -> None:
    shown = run(backend, "explore", {"period": "all", "by": rows, "metric": "orders"})
    assert not shown.exception
    assert len(table(shown, "As a table")) > 2


def test_rows_of_what_changed_add_up(backend: Backend) -> None:
    address = {"period": "12m", "metric": "gross_sales", "by": "product", "all": "true"}
    shown = run(backend, "what-changed", address)
    header, *rows, total = table(shown, "By product")
    assert header == ["Product", "Before", "Now", "Change", "Volume", "Price", "Mix"]
    for i in range(1, len(header)):
        assert abs(sum(number(row[i]) for row in rows) - number(total[i])) <= len(rows) * 0.5, header[i]


def test_what_changed_asks_for_a_period_to_compare_with(backend: Backend) -> None:
    shown = run(backend, "what-changed", {"period": "all"})
    assert "Choose a period, and what it is compared with" in messages(shown, "note")[0]


def test_what_no_product_has_is_told_apart_from_volume_price_and_mix(tmp_path: Path) -> None:
    def order(number: int, days_ago: int, pieces: int) -> Row:
        at = f"{datetime.now(UTC) - timedelta(days_ago):%Y-%m-%d %H:%M:%S}"
        items = [{"sku": "A", "title": "A", "quantity": pieces, "price": "10.00"}] if pieces else []
        amounts = {"subtotal_price": str(10 * pieces or 50), "total_price": str(10 * pieces or 50)}
        none = dict.fromkeys(("cancelled_at", "refunds", "total_tax", "total_shipping", "total_discounts"))
        lists = {"line_items": json.dumps(items), "currency": "USD", "test": "0", "taxes_included": "0"}
        dates = dict.fromkeys(("created_at", "processed_at"), at)
        return {**shop(1)[0], "id": str(number), **dates, **none, **lists, **amounts}

    with backend_of(tmp_path, [order(1, 40, 1), order(2, 5, 2), order(3, 5, 0)], SHOP_COLUMNS) as backend:
        address = {"period": "30d", "metric": "gross_sales", "by": "product"}
        shown = run(backend, "what-changed", address)
    rows = {row[0].split("\n")[0]: row[3:] for row in table(shown, "By product")[1:]}
    assert rows["No product"] == ["+$50.00", "–", "–", "–"]
    assert rows["Total"] == ["+$60.00", "+$10.00", "$0.00", "$0.00"]
    assert "The three add up to the change of each product." in captions(shown)
