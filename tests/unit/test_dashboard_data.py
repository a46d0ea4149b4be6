"""What pages read is opened once a generation, goes on from the one before, and is freed when nobody shows it."""

from __future__ import annotations

import gc

import pytest
import streamlit as st
from cache_factory import publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.orders import Orders
from cache.settings import Settings
from cache.storage.documents import SETUP
from cache.storage.store import Cache
from cache.table_setup import OPEN, Setup
from dashboard import data
from dashboard.auth.source import Source, use


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def tables(orders: Orders) -> int:
    return int(orders.facts.query("SELECT count(*) FROM duckdb_tables()")[0][0])


def test_an_old_generation_is_freed_when_no_page_shows_it_any_more(cache: Cache) -> None:
    use(Source(cache, Settings.load(), secret="", passwords=None))
    publish(cache, shop(40), columns=SHOP_COLUMNS)
    first = data.newest(1)
    assert data.newest(1) is first
    one = tables(first)
    publish(cache, shop(60), columns=SHOP_COLUMNS)
    second = data.newest(2)
    assert first.figures(None).orders < second.figures(None).orders  # a page that still shows the old one
    assert tables(second) == 2 * one
    del first
    gc.collect()
    assert tables(second) == one


def test_a_new_set_up_counts_at_once_and_old_results_are_not_reused(cache: Cache) -> None:
    use(Source(cache, Settings.load(), secret="", passwords=None))
    publish(cache, shop(40), columns=SHOP_COLUMNS)
    before = data.figures(data.newest(1), None, ())
    cache.documents.change(SETUP, lambda _: Setup(columns={"total": "total_tax"}))
    after = data.figures(data.newest(1), None, ())
    assert before.total_sales != after.total_sales
    cache.documents.change(SETUP, lambda _: OPEN)
    assert data.figures(data.newest(1), None, ()) == before
