"""Statements of a table: names and texts are quoted, and different rows never hash alike."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_checksums import AWKWARD, Row, by_definition, cells

from cache.schema import Column
from cache.storage.row_encoding import engine
from scraper.table.table import Table, literal, quoted


def a_table(columns: int, type: str = "varchar(255)") -> Table:
    made = tuple(Column(name=f"a{i}", type=type, kind="text", nullable=True) for i in range(columns))
    return Table("shop", "t", made, "10.11", charsets=("utf8mb4",) * columns)


def checksums(table: Table, rows: Sequence[Row]) -> list[int]:
    text = pa.table({f"c{i}": pa.array(values, pa.string()) for i, values in enumerate(zip(*rows, strict=True))})
    duck = engine()
    try:
        return [int(number) for number in table.checksums(duck, text)]
    finally:
        duck.close()


def test_the_awkward_rows_all_differ() -> None:
    assert len(set(checksums(a_table(2), AWKWARD))) == len(set(AWKWARD)) == len(AWKWARD)


@pytest.mark.slow
@given(st.lists(st.tuples(cells, cells, cells), min_size=2, max_size=12, unique=True))
@settings(max_examples=150)
def test_different_rows_never_hash_alike_because_of_how_they_are_joined(rows: list[Row]) -> None:
    found = checksums(a_table(3), rows)
    assert found == [by_definition(row) for row in rows]
    assert len(set(found)) == len(rows)


@pytest.mark.slow
@given(cells, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=50)
def test_equal_rows_never_cancel(cell: str | None, some: int, more: int) -> None:
    one = checksums(a_table(1), [(cell,)])[0]
    assert sum(checksums(a_table(1), [(cell,)] * some)) != sum(checksums(a_table(1), [(cell,)] * (some + more)))
    assert one > 0


def test_names_and_texts_cannot_become_sql() -> None:
    assert quoted("a`b") == "`a``b`"
    assert literal("a'; DROP TABLE orders; --\\") == "_utf8mb4 X'61273b2044524f50205441424c45206f72646572733b202d2d5c'"
