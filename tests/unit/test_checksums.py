"""The server's checksums of key ranges: SQL that means the ranges exactly, and answers that cannot be cut unnoticed.

The statements run in SQLite, whose table holds each row's key and checksum. INTERVAL, ROLLUP and sums beyond 64 bits,
which it lacks, are added here.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.schema import Column
from cache.storage.source import StatementDialect
from scraper.client.exporter import Exporter
from scraper.errors import AnswerCut
from scraper.table.checksums import NO_ROWS, RangeChecksum, range_condition, server_checksums
from scraper.table.key_ranges import WHOLE, Range
from scraper.table.table import Table

ROLLUP = " GROUP BY c0 WITH ROLLUP"
Rows = list[tuple[Any, ...]]


def a_table(grouped: bool = True, key: int = 1) -> Table:
    column = Column(name="id", type="bigint(20)", kind="integer", nullable=False, key=key)
    return Table("shop", "orders", (column,), "10.11", charsets=(None,), dialect=StatementDialect(grouped=grouped))


class ExactSum:
    """SUM of MySQL: exact beyond 64 bits, NULL of no rows."""

    def __init__(self) -> None:
        self.total: int | None = None

    def step(self, value: str | int) -> None:
        self.total = (self.total or 0) + int(value)

    def finalize(self) -> str | None:
        return None if self.total is None else str(self.total)


class Database:
    """A table of keys and row checksums that answers as an Exporter does; `change` may alter each answer."""

    def __init__(self, rows: dict[int, int], change: Callable[[Rows], Rows] = lambda rows: rows) -> None:
        self.statements: list[str] = []
        self._change = change
        self._connection = sqlite3.connect(":memory:")
        self._connection.create_function("interval_of", -1, lambda key, *bounds: bisect_right(bounds, key))
        self._connection.create_aggregate("exact_sum", 1, ExactSum)  # type: ignore[arg-type]
        self._connection.execute("ATTACH ':memory:' AS shop")
        self._connection.execute("CREATE TABLE shop.orders (id INTEGER, checksum TEXT)")
        self._connection.executemany("INSERT INTO shop.orders VALUES (?, ?)", [(k, str(c)) for k, c in rows.items()])

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def exporter(self) -> Exporter:
        return cast(Exporter, self)

    def select(self, sql: str, columns: int, most_rows: int, alias: str = "c") -> pa.Table:
        self.statements.append(sql)
        own_sum = a_table().server_sum
        translated = sql.replace(own_sum, "exact_sum(t.checksum)").replace("SUM(c", "exact_sum(c")
        translated = translated.replace("INTERVAL(", "interval_of(")
        rows = self.execute(translated.replace(" WITH ROLLUP", ""))
        if sql.endswith(ROLLUP) and rows:
            rows += self.execute(translated.replace("SELECT c0, ", "SELECT NULL, ", 1).removesuffix(ROLLUP))
        assert len(rows) <= most_rows
        texts = [[value if value is None else str(value) for value in row] for row in self._change(rows)]
        values = list(zip(*texts, strict=True)) or [()] * columns
        assert len(values) == columns
        return pa.table({f"{alias}{i}": pa.array(column, pa.string()) for i, column in enumerate(values)})

    def execute(self, sql: str) -> Rows:
        return self._connection.execute(sql).fetchall()


def by_hand(rows: dict[int, int], part: Range) -> RangeChecksum:
    low, high = part
    chosen = [c for k, c in rows.items() if (low is None or k >= low) and (high is None or k < high)]
    return RangeChecksum(len(chosen), sum(chosen))


keys = st.integers(-(2**63), 2**63 - 1) | st.integers(-4, 20)
tables_of_rows = st.dictionaries(keys, st.integers(0, 2**64 - 1), max_size=12)


@st.composite
def some_ranges(draw: st.DrawFn) -> list[Range]:
    """Ranges in key order that do not overlap, some left out; at least one."""
    cuts = sorted(draw(st.sets(keys, max_size=8)))
    parts = [Range(*pair) for pair in zip([None, *cuts], [*cuts, None], strict=True)]
    return [part for part in parts if draw(st.booleans())] or parts[-1:]


@pytest.mark.parametrize(
    ("ranges", "where"),
    [
        ([WHOLE], ""),
        ([Range(None, 5), Range(5, None)], ""),
        ([Range(1, 5)], " WHERE (t.`id` >= 1 AND t.`id` < 5)"),
        ([Range(1, 5), Range(5, 9)], " WHERE (t.`id` >= 1 AND t.`id` < 9)"),
        ([Range(None, 5), Range(9, None)], " WHERE (t.`id` < 5) OR (t.`id` >= 9)"),
        ([Range(-3, -1), Range(0, None)], " WHERE (t.`id` >= -3 AND t.`id` < -1) OR (t.`id` >= 0)"),
    ],
)
def test_neighbours_become_one_condition(ranges: list[Range], where: str) -> None:
    assert range_condition(a_table(), ranges) == where


@given(tables_of_rows, some_ranges())
def test_a_condition_selects_the_keys_of_its_ranges(rows: dict[int, int], ranges: list[Range]) -> None:
    with Database(rows) as database:
        where = range_condition(a_table(), ranges)
        selected = {key for (key,) in database.execute(f"SELECT id FROM shop.orders AS t{where}")}
    assert selected == {key for key in rows for part in ranges if by_hand({key: 1}, part).rows}


@given(tables_of_rows, some_ranges(), st.booleans(), st.booleans())
def test_each_range_has_the_checksum_of_its_rows(
    rows: dict[int, int], ranges: list[Range], grouped: bool, with_expected: bool
) -> None:
    correct = [by_hand(rows, part) for part in ranges]
    with Database(rows) as database:
        expected = correct if with_expected else None
        assert server_checksums(database.exporter, a_table(grouped), ranges, expected) == correct


@pytest.mark.slow
@given(tables_of_rows, some_ranges(), st.data())
def test_ranges_that_differ_from_what_is_expected_are_found(
    rows: dict[int, int], ranges: list[Range], data: st.DataObject
) -> None:
    correct = [by_hand(rows, part) for part in ranges]
    outdated = [c if data.draw(st.booleans()) else RangeChecksum(c.rows + 1, c.checksum + 2**64) for c in correct]
    for grouped in (True, False):
        with Database(rows) as database:
            assert server_checksums(database.exporter, a_table(grouped), ranges, outdated) == correct


ROWS = {key: 2**64 - 1 - key for key in range(1, 9)}
RANGES = [Range(None, 3), Range(3, 5), Range(5, 7), Range(7, None)]
CHECKSUMS = [by_hand(ROWS, part) for part in RANGES]


def test_one_statement_asks_for_all_ranges() -> None:
    with Database(ROWS) as database:
        server_checksums(database.exporter, a_table(), RANGES)
        assert len(database.statements) == 1


@pytest.mark.parametrize(
    ("differing", "statements"),
    # the sum, then of each half that differs its sum and its ranges; the last range of a pair needs no sum of its own
    [([], 1), ([0], 5), ([3], 5), ([0, 1], 5), ([0, 2], 7)],
)
def test_without_grouping_only_halves_that_differ_are_asked_for(differing: list[int], statements: int) -> None:
    expected = [RangeChecksum(c.rows, c.checksum + (i in differing)) for i, c in enumerate(CHECKSUMS)]
    with Database(ROWS) as database:
        assert server_checksums(database.exporter, a_table(grouped=False), RANGES, expected) == CHECKSUMS
        assert len(database.statements) == statements


def test_without_grouping_and_expectation_each_range_is_asked_for() -> None:
    with Database(ROWS) as database:
        assert server_checksums(database.exporter, a_table(grouped=False), RANGES) == CHECKSUMS
        assert len(database.statements) == len(RANGES)


@pytest.mark.parametrize(
    ("table", "ranges"), [(a_table(key=0), [WHOLE]), (a_table(), [Range(3, 5)]), (a_table(), [WHOLE])]
)
def test_a_single_range_is_a_bare_sum(table: Table, ranges: list[Range]) -> None:
    with Database(ROWS) as database:
        assert server_checksums(database.exporter, table, ranges) == [by_hand(ROWS, *ranges)]
        assert "GROUP BY" not in database.statements[0]


def test_an_empty_table_is_confirmed_by_a_bare_sum() -> None:
    with Database({}) as database:
        assert server_checksums(database.exporter, a_table(), RANGES) == [NO_ROWS] * len(RANGES)
        assert len(database.statements) == 2


# -- answers that are cut or wrong


def grouped_answer(change: Callable[[Rows], Rows]) -> Callable[[Rows], Rows]:
    """Changes the answer of the grouped statement alone: it has three columns."""
    return lambda rows: change(rows) if not rows or len(rows[0]) == 3 else rows


@pytest.mark.parametrize("kept", range(len(RANGES) + 1))
def test_a_grouped_answer_cut_after_any_row_is_noticed(kept: int) -> None:
    with (
        Database(ROWS, grouped_answer(lambda rows: rows[:kept])) as database,
        pytest.raises(AnswerCut, match="without a row" if not kept else "incomplete"),
    ):
        server_checksums(database.exporter, a_table(), RANGES)


@pytest.mark.parametrize("lost", range(len(RANGES)))
def test_a_grouped_answer_that_lacks_a_row_is_noticed(lost: int) -> None:
    with (
        Database(ROWS, grouped_answer(lambda rows: rows[:lost] + rows[lost + 1 :])) as database,
        pytest.raises(AnswerCut, match="incomplete"),
    ):
        server_checksums(database.exporter, a_table(), RANGES)


def test_a_total_row_without_any_group_is_noticed() -> None:
    with (
        Database(ROWS, grouped_answer(lambda rows: rows[-1:])) as database,
        pytest.raises(AnswerCut, match="incomplete"),
    ):
        server_checksums(database.exporter, a_table(), RANGES)


@pytest.mark.parametrize("column", [1, 2])
@pytest.mark.parametrize("row", [0, -1])
def test_a_total_that_does_not_add_up_is_noticed(row: int, column: int) -> None:
    def change(rows: Rows) -> Rows:
        values = list(rows[row])
        values[column] = int(values[column]) + 1
        rows[row] = tuple(values)
        return rows

    with Database(ROWS, grouped_answer(change)) as database, pytest.raises(AnswerCut, match="incomplete"):
        server_checksums(database.exporter, a_table(), RANGES)


def test_a_second_row_without_a_place_is_noticed() -> None:
    def change(rows: Rows) -> Rows:
        return [(None, *rows[0][1:]), *rows[1:]]

    with Database(ROWS, grouped_answer(change)) as database, pytest.raises(AnswerCut, match="incomplete"):
        server_checksums(database.exporter, a_table(), RANGES)


def test_a_place_that_comes_twice_is_noticed() -> None:
    def change(rows: Rows) -> Rows:
        *groups, (_, count, total) = rows
        return [*groups, groups[0], (None, count, total)]

    with Database(ROWS, grouped_answer(change)) as database, pytest.raises(AnswerCut, match="incomplete"):
        server_checksums(database.exporter, a_table(), RANGES)


def test_rows_of_a_range_that_was_not_asked_for_are_noticed() -> None:
    def change(rows: Rows) -> Rows:
        *groups, (_, count, total) = rows
        return [*groups, (1, 1, 5), (None, int(count) + 1, int(total) + 5)]  # place 1: the gap from 3 to 5

    with (
        Database(ROWS, grouped_answer(change)) as database,
        pytest.raises(AnswerCut, match="hold a range that was not requested"),
    ):
        server_checksums(database.exporter, a_table(), [RANGES[0], RANGES[2]])


@pytest.mark.parametrize("times", [0, 2])
def test_a_bare_sum_must_be_one_row(times: int) -> None:
    with (
        Database(ROWS, lambda rows: rows * times) as database,
        pytest.raises(AnswerCut, match="without its row"),
    ):
        server_checksums(database.exporter, a_table(), [WHOLE])
