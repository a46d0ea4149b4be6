"""Row fingerprints: blocks of them against plain sums over rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.schema import Column
from scraper.sync import row_fingerprints
from scraper.sync.row_fingerprints import RowFingerprints, keys_of, rows_below
from scraper.table.checksums import RangeChecksum
from scraper.table.key_ranges import WHOLE, Range
from scraper.table.table import Table

signed = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 30)
unsigned = st.integers(0, 2**64 - 1) | st.integers(0, 30)
rows_of_keys = st.tuples(st.just(np.int64), st.lists(signed, max_size=40)) | st.tuples(
    st.just(np.uint64), st.lists(unsigned, max_size=40)
)
bounds = st.none() | st.integers(-(2**63) - 1, 2**64 + 1) | st.integers(-6, 31)


def table(kind: str = "integer", key: int = 1) -> Table:
    return Table(
        "shop",
        "t",
        (Column(name="id", type="bigint(20)", kind=kind, nullable=False, key=key),),
        "",  # type: ignore[arg-type]
    )


def fingerprints(kind: type, keys: Sequence[int]) -> RowFingerprints:
    """Rows with these keys, whose checksums are large."""
    return RowFingerprints(np.array(sorted(keys), kind), np.array([2**64 - 1 - i for i in range(len(keys))], np.uint64))


def inside(part: Range, key: int) -> bool:
    return (part.low is None or key >= part.low) and (part.high is None or key < part.high)


@given(rows_of_keys, st.integers(-(2**63) - 1, 2**64 + 1) | st.integers(-6, 31))
def test_rows_below_a_key_are_counted_whatever_its_size(rows: tuple[type, list[int]], key: int) -> None:
    kind, keys = rows
    assert rows_below(fingerprints(kind, keys).keys, key) == sum(each < key for each in keys)


@given(rows_of_keys, bounds, bounds)
def test_the_rows_of_a_range_are_those_with_keys_in_it(
    rows: tuple[type, list[int]], low: int | None, high: int | None
) -> None:
    kind, keys = rows
    if low is not None and high is not None and low > high:
        low, high = high, low
    start, stop = fingerprints(kind, keys).rows_of(Range(low, high))
    assert sorted(keys)[start:stop] == [key for key in sorted(keys) if inside(Range(low, high), key)]


@given(rows_of_keys, st.integers(1, 7), bounds, bounds)
@settings(max_examples=200)
def test_blocks_fill_a_range_and_sum_its_rows(
    rows: tuple[type, list[int]], size: int, low: int | None, high: int | None
) -> None:
    kind, keys = rows
    if low is not None and high is not None and low >= high:
        return
    all_rows = fingerprints(kind, keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_fingerprints, "BLOCK_ROWS", size)
        blocks = all_rows.blocks(Range(low, high))
    parts = [part for part, _ in blocks]
    assert (parts[0].low, parts[-1].high) == (low, high)
    assert all(left.high == right.low for left, right in itertools.pairwise(parts))
    for part, checksum in blocks:
        chosen = [int(c) for key, c in zip(sorted(keys), all_rows.checksums, strict=True) if inside(part, key)]
        assert checksum == RangeChecksum(len(chosen), sum(chosen))
        distinct = {key for key in keys if inside(part, key)}
        assert checksum.rows <= size or len(distinct) <= size  # rows of one key stay together


def test_a_table_without_an_integer_key_is_one_block() -> None:
    rows = RowFingerprints(np.empty(0, np.uint64), np.array([2**64 - 1, 2], np.uint64))
    assert rows.rows_of(WHOLE) == (0, 2)
    assert rows.blocks(WHOLE) == [(WHOLE, RangeChecksum(2, 2**64 + 1))]


def test_fingerprints_of_segments_are_concatenated_in_order() -> None:
    parts = [fingerprints(np.int64, [1, 2]), fingerprints(np.int64, []), fingerprints(np.int64, [5])]
    joined = RowFingerprints.concatenated(parts)
    assert joined.keys.tolist() == [1, 2, 5]
    assert joined.checksums.tolist() == [2**64 - 1, 2**64 - 2, 2**64 - 1]
    empty = RowFingerprints.concatenated([])
    assert (len(empty.keys), len(empty.checksums)) == (0, 0)


@pytest.mark.parametrize(
    ("of", "keys"),
    [
        (table(), [str(-(2**63)), "7", str(2**63 - 1)]),
        (table("unsigned"), ["0", "7", str(2**64 - 1)]),
    ],
)
def test_keys_are_read_from_texts_exactly(of: Table, keys: list[str]) -> None:
    assert [str(key) for key in keys_of(pa.table({"c0": keys}), of)] == keys


def test_a_table_without_a_key_has_no_keys() -> None:
    assert len(keys_of(pa.table({"c0": ["1"]}), table(key=0))) == 0
