"""Key ranges become SQL that means them exactly, and the server's totals of them add up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from copies import Copies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scraper.client.exporter import Exporter
from scraper.table.checksums import RangeChecksum, server_checksums
from scraper.table.describe import read_table
from scraper.table.key_ranges import WHOLE, Range
from scraper.table.table import Table

KEYS = [-(2**63), -100, -1, 0, 1, 2, 50, 99, 2**53, 2**53 + 1, 2**63 - 1]


@pytest.fixture
def export(copies: Copies) -> Iterator[Exporter]:
    with Exporter(copies.session, copies.settings) as export:
        yield export


@pytest.fixture
def table(copies: Copies, export: Exporter) -> Table:
    return read_table(export, "shop", copies.table("id BIGINT PRIMARY KEY, note TEXT", [(k, f"n{k}") for k in KEYS]))


@st.composite
def some_ranges(draw: st.DrawFn) -> list[Range]:
    """Ranges that do not overlap, in key order, some left out."""
    near = st.sampled_from(KEYS) | st.integers(-(2**63), 2**63 - 1)
    bounds: list[int | None] = [*sorted(draw(st.sets(near, max_size=8)))]
    parts = [Range(*pair) for pair in zip([None, *bounds], [*bounds, None], strict=True)]
    chosen = [part for part in parts if draw(st.booleans())]
    return chosen or parts


@given(ranges=some_ranges())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_total_of_each_range_is_that_of_its_rows(export: Exporter, table: Table, ranges: list[Range]) -> None:
    single = {key: server_checksums(export, table, [Range(key, key + 1)])[0] for key in KEYS[1:4]}
    found = server_checksums(export, table, ranges)
    for (low, high), total in zip(ranges, found, strict=True):
        keys = [key for key in KEYS if (low is None or key >= low) and (high is None or key < high)]
        assert total.rows == len(keys)
        if set(keys) <= set(single):
            assert total.checksum == sum(single[key].checksum for key in keys)
    assert sum(total.rows for total in found) <= len(KEYS)


def test_ranges_together_are_the_whole(export: Exporter, table: Table) -> None:
    whole = server_checksums(export, table, [WHOLE])[0]
    bounds = [None, *KEYS, None]
    parts = server_checksums(export, table, [Range(*pair) for pair in itertools.pairwise(bounds)])
    assert RangeChecksum(sum(part.rows for part in parts), sum(part.checksum for part in parts)) == whole
    assert whole.rows == len(KEYS)


def test_keys_beyond_63_bits_are_cut_exactly(copies: Copies, export: Exporter) -> None:
    keys = [0, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
    name = copies.table("id BIGINT UNSIGNED PRIMARY KEY, note TEXT", [(key, "") for key in keys])
    bounds = [None, *keys, None]
    ranges = [Range(*pair) for pair in itertools.pairwise(bounds)]
    found = server_checksums(export, read_table(export, "shop", name), ranges)
    assert [total.rows for total in found] == [0, 1, 1, 1, 1, 1]


def test_a_table_without_rows_has_totals_of_nothing(copies: Copies, export: Exporter) -> None:
    table = read_table(export, "shop", copies.table("id INT PRIMARY KEY, note TEXT"))
    assert server_checksums(export, table, [WHOLE]) == [RangeChecksum(0, 0)]
    assert server_checksums(export, table, [Range(None, 5), Range(5, None)]) == [RangeChecksum(0, 0)] * 2


def test_thousands_of_ranges_are_asked_in_one_statement(copies: Copies, export: Exporter) -> None:
    name = copies.table("id INT PRIMARY KEY, note TEXT")
    copies.execute(f"INSERT INTO {name} SELECT seq, 'x' FROM seq_0_to_29999")
    bounds = [None, *range(10, 30_000, 10), None]
    ranges = [Range(*pair) for pair in itertools.pairwise(bounds)]
    found = server_checksums(export, read_table(export, "shop", name), ranges)
    assert {total.rows for total in found} == {10}
    assert len(found) == 3000
