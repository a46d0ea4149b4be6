"""Blocks merged into one hold the values of all, under one dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from column_blocks import make_blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.query import merged_blocks
from cache.query.merged_blocks import MergedBlocks, merge_columns
from cache.query.predicates import json_value
from cache.schema import Column, Kind

INTEGER = Column(name="value", type="bigint", kind="integer", nullable=True)
TEXT = Column(name="value", type="text", kind="text", nullable=True)
INSTANT = Column(name="value", type="datetime", kind="datetime", nullable=True)


def merge(column: Column, values: list[Any], *cuts: int) -> MergedBlocks:
    return MergedBlocks(make_blocks([column], {"value": values}, *cuts))


def read_back(merged: MergedBlocks, column: Column) -> list[Any]:
    """The values, by code and by key."""
    values = merged["value"]
    by_code = [None if code == values.top else json_value(values.key(code), column) for code in values.codes.tolist()]
    assert [key == values.null for key in values.keys(values.codes).tolist()] == [value is None for value in by_code]
    return by_code


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(st.integers(-(2**31), 2**31 - 9) | st.integers(-2, 2) | st.none(), min_size=2, max_size=30), st.data())
def test_merged_numbers_are_those_of_the_blocks(values: list[int | None], data: st.DataObject) -> None:
    merged = merge(INTEGER, values, data.draw(st.integers(1, len(values) - 1)))
    assert read_back(merged, INTEGER) == values
    column = merged["value"]
    present = sorted({value for value in values if value is not None})
    assert column.nulls == (None in values)
    assert (column.least, column.greatest) == (
        present[0] if present else column.null,
        column.null if None in values else present[-1],
    )
    assert [column.bound(key) for key in present] == sorted({*column.codes.tolist()} - {column.top})


@given(st.lists(st.text("abÄ\U0001f382", max_size=3) | st.none(), min_size=2, max_size=30), st.data())
def test_merged_texts_are_those_of_the_blocks(values: list[str | None], data: st.DataObject) -> None:
    merged = merge(TEXT, values, data.draw(st.integers(1, len(values) - 1)))
    assert read_back(merged, TEXT) == values
    column = merged["value"]
    present = sorted({value.encode() for value in values if value is not None})
    assert (column.top, column.nulls) == (len(present), None in values)
    assert [column.key(code) for code in range(column.top)] == present


@pytest.mark.parametrize(
    ("values", "top", "type"),
    [
        ([0, 254], 255, np.uint8),
        ([0, 1, 255], 256, np.uint16),
        ([0, 1, 65_534], 65_535, np.uint16),
        ([0, 1, 65_535], 65_536, np.uint32),
        ([0, 1, 2**32 - 2], 2**32 - 1, np.uint32),
        ([5, 5, 5], 1, np.uint8),
        ([None, 7, 7], 1, np.uint8),
        ([None, None, None], 0, np.uint8),
        ([10, 20, 40], 4, np.uint8),
    ],
)
def test_codes_are_as_narrow_as_they_can_be(values: list[int | None], top: int, type: np.dtype[Any]) -> None:
    if top == 255:
        values = [0, 1, 254]
    column = merge(INTEGER, values, 1)["value"]
    assert (column.top, column.codes.dtype) == (top, type)


def test_instants_keep_their_unit() -> None:
    column = merge(INSTANT, [0, 3_000_000, 9_000_000], 1)["value"]
    assert column.codes.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("values", "merged"),
    [
        ([0, 1, 2**32 - 2], True),
        ([0, 1, 2**32 - 1], False),  # 33 bits
        ([0, 2, 2**33 - 4], True),  # in steps of two
        ([-(2**62), 2**62 - 1], False),
        ([-(2**63) + 1, 2**63 - 2], False),
        ([-(2**62) + 1, 2**62 - 1], True),  # in one step
        ([None, 5], True),
        ([None, None], True),
    ],
)
def test_columns_of_long_codes_are_not_merged(values: list[int | None], merged: bool) -> None:
    blocks = make_blocks([INTEGER], {"value": values}, 1)
    table = MergedBlocks(blocks)
    assert table.has_columns(["value"]) == merged
    assert (merge_columns([block["value"] for block in blocks]) is not None) == merged
    if not merged:
        with pytest.raises(KeyError, match="value"):
            table["value"]


@pytest.mark.parametrize(("limit", "merged"), [(4, True), (3, False)])
def test_columns_of_many_texts_are_not_merged(limit: int, merged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged_blocks, "MAX_TEXTS", limit)
    assert merge(TEXT, ["a", "b", "a", "c"], 2).has_columns(["value"]) == merged


def test_merged_blocks_are_one_block_from_row_0_on() -> None:
    kinds: tuple[Kind, ...] = ("integer", "text", "integer")
    columns = [Column(name=f"c{i}", type=kind, kind=kind, nullable=True) for i, kind in enumerate(kinds)]
    table = MergedBlocks(make_blocks(columns, {"c0": [1, 2, 3], "c1": ["a", None, "b"], "c2": [0, 1, 2**40]}, 1, 2))
    assert (table.start, table.rows) == (0, 3)
    assert table.has_columns([])
    assert table.has_columns(["c0", "c1"])
    assert not table.has_columns(["c0", "c2"])
    assert table["c0"] is table["c0"]
