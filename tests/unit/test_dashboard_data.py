"""Orders are loaded once a generation, grow from the one before, and are freed when no page shows them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import streamlit as st
from cache_factory import publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.orders import Orders
from cache.storage.documents import SETUP
from cache.storage.store import Cache
from cache.table_setup import NO_SETUP, Setup
from dashboard import data
from dashboard.orders_loader import OrdersLoader


@pytest.fixture
def loader(cache: Cache) -> Iterator[OrdersLoader]:
    st.cache_data.clear()
    return OrdersLoader(cache, "UTC")


def tables(orders: Orders) -> int:
    return int(orders.facts.query("SELECT count(*) FROM duckdb_tables()")[0][0])


def set_up(cache: Cache, setup: Setup) -> None:
    cache.documents.change(SETUP, lambda _: setup)


@pytest.mark.slow
def test_an_old_generation_is_freed_when_no_page_shows_it(cache: Cache, loader: OrdersLoader) -> None:
    publish(cache, shop(40), columns=SHOP_COLUMNS)
    first = loader.newest(1)
    assert loader.newest(1) is first
    one = tables(first)
    publish(cache, shop(60), columns=SHOP_COLUMNS)
    second = loader.newest(2)
    assert first.figures(None).orders < second.figures(None).orders  # a page that still shows the old one
    assert tables(second) == 2 * one
    del first
    gc.collect()
    assert tables(second) == one


@pytest.mark.slow
def test_other_settings_apply_at_once_and_do_not_mix_with_old_figures(cache: Cache, loader: OrdersLoader) -> None:
    publish(cache, shop(40), columns=SHOP_COLUMNS)
    before = data.figures(loader.newest(1), None, ())
    set_up(cache, Setup(columns={"shipping": "total_tax"}))
    after = data.figures(loader.newest(1), None, ())
    assert before.total_sales != after.total_sales
    set_up(cache, NO_SETUP)
    assert data.figures(loader.newest(1), None, ()) == before


@pytest.mark.slow
def test_a_sample_has_the_newest_rows_read_by_other_settings(
    cache: Cache, loader: OrdersLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.orders_loader.SAMPLE_ROWS", 15)
    publish(cache, shop(40), columns=SHOP_COLUMNS, segments=4)
    sample = loader.sample(1, Setup(columns={"total": "total_tax"}))
    assert sample.rows == 20  # two segments of ten
    assert sample.figures(None).charged != loader.sample(1, NO_SETUP).figures(None).charged
    assert loader.sample(1, NO_SETUP) is loader.sample(1, NO_SETUP)
