"""Rows that are no orders are named at the foot of pages, and each kind can be counted in Settings."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from page_run import backend_of, captions, cards, run
from schema_corpus import FOLDER, load
from schema_orders import as_copied, columns_of, schema_orders

from cache.storage.documents import SETUP
from cache.table_setup import NoOrder, Setup

SCHEMA = load(FOLDER / "drafts_and_tests")
ORDERS = 60
NO_ORDERS = {"test": 4, "deleted": 3, "draft": 5}


@pytest.mark.parametrize("why", get_args(NoOrder))
def test_each_kind_of_rows_can_be_counted(why: NoOrder) -> None:
    with schema_orders(SCHEMA, setup=Setup(counted=(why,))) as orders:
        assert orders.figures(None).orders == ORDERS + NO_ORDERS[why]
        assert orders.left_out == {name: count for name, count in NO_ORDERS.items() if name != why}


def test_counted_rows_of_every_kind_are_orders() -> None:
    with schema_orders(SCHEMA, setup=Setup(counted=get_args(NoOrder))) as orders:
        assert orders.page(None, limit=100).count == orders.rows == ORDERS + sum(NO_ORDERS.values())
        assert orders.left_out == {}


@pytest.mark.slow
def test_the_foot_names_what_is_excluded_until_settings_count_it(tmp_path: Path) -> None:
    columns = columns_of(SCHEMA)
    with backend_of(tmp_path, as_copied(SCHEMA.rows, columns), columns) as backend:
        before = run(backend, "overview", {"period": "all"})
        settings = run(backend, "set-up", {})
        settings.checkbox(key="set_up counted deleted").check().run()
        settings.button(key="save_set_up").click().run()
        assert backend.cache.documents.read(SETUP).counted == ("deleted",)
        after = run(backend, "overview", {"period": "all"})
        settings.button(key="forget_set_up").click().run()
        assert not settings.checkbox(key="set_up counted deleted").value
    assert cards(before)["orders"]["value"] == "60"
    assert "4 test orders are excluded. " in captions(before)
    assert "3 deleted orders are excluded. " in captions(before)
    assert "5 draft orders are excluded. " in captions(before)
    assert cards(after)["orders"]["value"] == "63"
    assert "deleted orders" not in captions(after)
    assert "4 test orders are excluded. " in captions(after)
