"""CANCELLED_ORDERS: cancelled orders are reversed on the day of the cancellation, or in no figure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from cache_factory import Row, cache_in, publish
from schema_corpus import FOLDER, load
from schema_orders import schema_orders
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.dimensions.catalogue import DIMENSIONS
from cache.analytics.order_lookup import ROW_KEY
from cache.analytics.orders import Orders
from cache.analytics.products import product_page, sold_products
from cache.analytics.rankings import cohorts, customers
from cache.export.order_selection import OrderSelection
from cache.storage.snapshot import Snapshot
from cache.table_setup import NO_SETUP
from lab.data.table import ZERO_DATE

pytestmark = pytest.mark.slow

ROWS = shop(300)
KEPT = [row for row in ROWS if row["cancelled_at"] in (None, ZERO_DATE)]
NEWEST_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
CANCELLED_AND_REAL = sum(row not in KEPT and row["test"] == "0" for row in ROWS)


def published(folder: Path, rows: list[Row]) -> Iterator[Snapshot]:
    cache = cache_in(folder)
    publish(cache, rows, columns=SHOP_COLUMNS, segments=3)
    yield cache.snapshots.open()
    cache.close()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Snapshot]:
    yield from published(tmp_path / "whole", ROWS)


@pytest.fixture
def without(tmp_path: Path) -> Iterator[Snapshot]:
    yield from published(tmp_path / "without", KEPT)


def test_an_excluded_order_counts_nowhere(whole: Snapshot, without: Snapshot) -> None:
    excluded, never_placed = Orders(whole, "UTC", cancelled_orders="excluded"), Orders(without, "UTC")
    for by in DIMENSIONS:
        for returns in ("returned", "ordered"):
            assert excluded.groups([by], "month", returns=returns, customers=True, units=True) == never_placed.groups(
                [by], "month", returns=returns, customers=True, units=True
            )
    assert excluded.page(None, limit=300) == never_placed.page(None, limit=300)
    assert product_page(excluded, sold_products(excluded, None)) == product_page(
        never_placed, sold_products(never_placed, None)
    )
    assert customers(excluded, None) == customers(never_placed, None)
    assert cohorts(excluded, NEWEST_MONTH) == cohorts(never_placed, NEWEST_MONTH)


def test_excluded_orders_are_counted_as_left_out(whole: Snapshot) -> None:
    reversed_, excluded = (Orders(whole, "UTC", cancelled_orders=each) for each in ("reversed", "excluded"))
    assert CANCELLED_AND_REAL > 0
    assert "cancelled" not in reversed_.left_out
    assert excluded.left_out == {**reversed_.left_out, "cancelled": CANCELLED_AND_REAL}
    assert reversed_.figures(None).orders - excluded.figures(None).orders == CANCELLED_AND_REAL


def test_a_file_of_orders_leaves_them_out_too(whole: Snapshot) -> None:
    selection = OrderSelection(timezone="UTC", cancelled_orders="excluded")
    excluded = Orders(whole, "UTC", cancelled_orders="excluded")
    with duckdb.connect() as database:
        numbers = selection.row_numbers(database, whole, NO_SETUP, excluded.reading)
    listed = {row[ROW_KEY] for row in excluded.page(None, limit=300).rows}
    assert {ROWS[number]["id"] for number in numbers} == listed


def test_tables_that_were_read_otherwise_are_not_taken_over(whole: Snapshot) -> None:
    before = Orders(whole, "UTC")
    after = Orders(whole, "UTC", before=before, cancelled_orders="excluded")
    assert after.left_out["cancelled"] == CANCELLED_AND_REAL


def test_figures_of_the_cancelled_schema_without_its_six_orders() -> None:
    """The sums of tests/schemas/cancelled/truth.json without the orders that it names as cancelled."""
    with schema_orders(load(FOLDER / "cancelled"), cancelled_orders="excluded") as orders:
        figures = orders.figures(None)
    assert (figures.orders, figures.gross_sales, figures.discounts) == (54, 5400, 110)
    assert (figures.returns, figures.cancellations, figures.net_sales) == (0, 0, 5290)
    assert (figures.shipping, figures.taxes, figures.total_sales) == (432, 529, 6251)
    assert figures.average_order_value == Decimal(5290) / 54
