"""The filter language: what each operator lets through, and what each column refuses."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.errors import BadFilter
from cache.query.filters import Condition, Query, Sort, compile_predicate, find_column, order_by, where
from cache.query.operators import OPERATORS, Op
from cache.query.predicates import Intervals, PrefixMatch
from cache.schema import Column, Kind
from cache.sql import quoted


def column(name: str, kind: Kind) -> Column:
    return Column(name=name, type=kind, kind=kind, nullable=True, digits=12, decimals=2)


COLUMNS = (
    column("id", "unsigned"),
    column("total", "decimal"),
    column('odd "name"', "text"),
    column("at", "datetime"),
    column("day", "date"),
    column("test", "boolean"),
    column("weight", "double"),
    column("height", "float"),
    column("items", "json"),
    column("picture", "bytes"),
)
TYPES = ("UBIGINT", "DECIMAL(12,2)", "VARCHAR", "TIMESTAMPTZ", "DATE", "TINYINT", "DOUBLE", "FLOAT", "VARCHAR", "BLOB")

MONEY = st.decimals(-10_000, 10_000, places=2)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
INSTANT = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def rows(name: str, values: list[Any], condition: Condition) -> list[Any]:
    """The values of one column that pass a condition, by DuckDB."""
    kinds = {c.name: type for c, type in zip(COLUMNS, TYPES, strict=True)}
    clause, parameters = where([condition], COLUMNS)
    database().execute(f"CREATE OR REPLACE TABLE t (n INTEGER, {quoted(name)} {kinds[name]})")
    database().executemany("INSERT INTO t VALUES (?, ?)", [[n, value] for n, value in enumerate(values)])
    numbers = database().execute(f"SELECT n FROM t WHERE {clause} ORDER BY n", parameters).fetchall()
    return [values[n] for (n,) in numbers]


@cache
def database() -> duckdb.DuckDBPyConnection:
    """One database in memory for all tests: to make one takes longer than most of them."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", st.integers(0, 2**64 - 1)),
        ("total", MONEY),
        ("at", INSTANT),
        ("day", st.dates()),
        ('odd "name"', TEXT),
        ("weight", st.floats(allow_nan=False, allow_infinity=False)),
    ],
)
def test_comparisons_are_those_of_the_values(name: str, values: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=25)
    @given(st.lists(values | st.none(), min_size=1, max_size=6), values, st.sampled_from(sorted(COMPARE)))
    def check(held: list[Any], wanted: Any, op: Op) -> None:
        pool = [value for value in held if value is not None] + [wanted]
        for value in {pool[0], wanted}:
            text = value.isoformat() if isinstance(value, date) else str(value)
            expected = [v for v in held if (op == "ne" if v is None else COMPARE[op](v, value))]
            assert rows(name, held, Condition(name, op, text)) == expected

    check()


@settings(max_examples=25)
@given(st.lists(TEXT | st.none(), min_size=1, max_size=6), st.lists(TEXT, max_size=3))
def test_in_lets_through_what_is_listed(held: list[str | None], listed: list[str]) -> None:
    found = rows('odd "name"', held, Condition('odd "name"', "in", tuple(listed)))
    assert found == [value for value in held if value in listed]


def test_searching_disregards_case_and_takes_signs_as_they_are() -> None:
    held = ["50% off", "500 OFF", "Müller", None, "_"]
    assert rows('odd "name"', held, Condition('odd "name"', "contains", "0% O")) == ["50% off"]
    assert rows('odd "name"', held, Condition('odd "name"', "startswith", "MÜ")) == ["Müller"]
    assert rows('odd "name"', held, Condition('odd "name"', "contains", "_")) == ["_"]


def test_null_matches_only_ne_and_isnull() -> None:
    held = [Decimal("1.00"), None]
    assert rows("total", held, Condition("total", "isnull", "true")) == [None]
    assert rows("total", held, Condition("total", "isnull", "false")) == [Decimal("1.00")]
    assert rows("total", held, Condition("total", "ne", "1")) == [None]


def test_a_date_is_its_midnight_and_an_instant_without_zone_is_utc() -> None:
    held = [datetime(2025, 12, 29, tzinfo=UTC), datetime(2025, 12, 29, 10, tzinfo=UTC)]
    assert rows("at", held, Condition("at", "eq", "2025-12-29")) == held[:1]
    assert rows("at", held, Condition("at", "eq", "2025-12-29T10:00:00")) == held[1:]
    assert rows("at", held, Condition("at", "eq", "2025-12-29T11:00:00+01:00")) == held[1:]


def test_flags_are_read_as_those_of_parameters_are() -> None:
    for text in ("true", "1", "yes", "ON"):
        assert rows("test", [0, 1, None], Condition("test", "eq", text)) == [1]
        assert rows("total", [None, Decimal("1.00")], Condition("total", "isnull", text)) == [None]
    for text in ("false", "0", "No", "off"):
        assert rows("test", [0, 1, None], Condition("test", "eq", text)) == [0]
        assert rows("total", [None, Decimal("1.00")], Condition("total", "isnull", text)) == [Decimal("1.00")]


def test_booleans_and_bytes_compare_by_their_written_forms() -> None:
    assert rows("test", [0, 1, None], Condition("test", "eq", "true")) == [1]
    assert rows("picture", [b"\0\xff", b""], Condition("picture", "eq", "AP8=")) == [b"\0\xff"]


@pytest.mark.parametrize("written", ["0.1", "0.25", "3.4e38", "-1.5e-7"])
def test_a_float_is_found_by_what_its_json_says(written: str) -> None:
    assert len(rows("height", [float(written), 7.0], Condition("height", "eq", written))) == 1


def test_conditions_are_anded_and_none_lets_everything_through() -> None:
    assert where([], COLUMNS) == ("true", [])
    clause, values = where([Condition("id", "gt", "1"), Condition("test", "eq", "false")], COLUMNS)
    assert clause == '"id" > ? AND "test" = ?'
    assert values == [1, 0]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (Condition("nope", "eq", "1"), "There is no column 'nope'"),
        (Condition("id", "eq", "-1"), "id does not take '-1'. It takes a whole number from 0"),
        (Condition("id", "eq", "1.5"), "id does not take '1.5'"),
        (Condition("id", "eq", "18446744073709551616"), "id does not take"),
        (Condition("total", "eq", "NaN"), "total does not take 'NaN'. It takes a decimal number"),
        (Condition("total", "gt", "1e40"), "total does not take"),
        (Condition("total", "gt", f"1.{'0' * 28}1"), "total does not take"),
        (Condition("height", "gt", "1e39"), "height does not take"),
        (Condition("at", "lt", "yesterday"), "at does not take 'yesterday'. It takes an ISO 8601 date"),
        (Condition("day", "lt", "2025-13-01"), "day does not take"),
        (Condition("test", "eq", "maybe"), "test does not take 'maybe'. It takes true or false"),
        (Condition("test", "gt", "1"), "test does not support gt. It supports eq, ne, in, isnull"),
        (Condition("weight", "eq", "inf"), "weight does not take"),
        (Condition("picture", "eq", "%%"), "picture does not take"),
        (Condition("total", "contains", "9"), "total does not support contains. It supports eq"),
        (Condition("total", "isnull", "perhaps"), "total__isnull does not take 'perhaps'"),
        (Condition("total", "eq", ("1", "2")), "total__eq takes one value"),
        (Condition("total", "like", "1"), "There is no operator 'like'"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_refused_by_column_and_what_it_takes(condition: Condition, says: str) -> None:
    with pytest.raises(BadFilter) as error:
        where([condition], COLUMNS)
    assert says in str(error.value)


COMPILED = [
    # operator, value, SQL, parameters, intervals of keys, whether NULL passes
    ("eq", "5", '"n" = ?', [5], ((5, 6),), False),
    ("ne", "5", '"n" IS DISTINCT FROM ?', [5], ((None, 5), (6, None)), True),
    ("gt", "5", '"n" > ?', [5], ((6, None),), False),
    ("gte", "5", '"n" >= ?', [5], ((5, None),), False),
    ("lt", "5", '"n" < ?', [5], ((None, 5),), False),
    ("lte", "5", '"n" <= ?', [5], ((None, 6),), False),
    ("in", ("5", "7"), '"n" IN (?, ?)', [5, 7], ((5, 6), (7, 8)), False),
    ("in", "5", '"n" IN (?)', [5], ((5, 6),), False),
    ("in", (), "false", [], (), False),
    ("isnull", "true", '"n" IS NULL', [], (), True),
    ("isnull", "false", '"n" IS NOT NULL', [], ((None, None),), False),
]


@pytest.mark.parametrize(("op", "value", "sql", "parameters", "intervals", "nulls"), COMPILED)
def test_conditions_compile_to_sql_and_to_intervals(
    op: Op, value: str | tuple[str, ...], sql: str, parameters: list[Any], intervals: tuple[Any, ...], nulls: bool
) -> None:
    condition, columns = Condition("n", op, value), [column("n", "integer")]
    assert where([condition], columns) == (sql, parameters)
    assert compile_predicate(condition, columns) == Intervals(intervals, nulls)


def test_searches_compile_to_sql_and_prefixes_of_ascii_to_codes() -> None:
    columns = [column("t", "text")]
    starts, contains = Condition("t", "startswith", "Pa"), Condition("t", "contains", "Pa")
    assert where([starts], columns) == ('starts_with(lower("t"), lower(?))', ["Pa"])
    assert where([contains], columns) == ('contains(lower("t"), lower(?))', ["Pa"])
    assert compile_predicate(starts, columns) == PrefixMatch("pa")
    assert compile_predicate(Condition("t", "startswith", "Ä"), columns) is None
    assert compile_predicate(contains, columns) is None


REFUSED = [
    (Condition("no", "eq", "1"), "There is no column 'no'.", "Columns: n, t."),
    (Condition("n", "like", "1"), "There is no operator 'like' for n.", f"Operators: {', '.join(OPERATORS)}."),  # type: ignore[arg-type]
    (
        Condition("n", "contains", "1"),
        "n does not support contains.",
        "It supports eq, ne, gt, gte, lt, lte, in, isnull.",
    ),
    (Condition("n", "isnull", ""), "n__isnull does not take ''.", "It takes true or false."),
    (Condition("n", "eq", ("1", "2")), "n__eq takes one value.", BadFilter.advice),
    (Condition("t", "contains", ("1", "2")), "t__contains takes one value.", BadFilter.advice),
]


@pytest.mark.parametrize(("condition", "message", "advice"), REFUSED)
def test_what_does_not_fit_is_refused_with_what_does(condition: Condition, message: str, advice: str) -> None:
    columns = [column("n", "integer"), column("t", "text")]
    for compile_condition in (lambda: where([condition], columns), lambda: compile_predicate(condition, columns)):
        with pytest.raises(BadFilter) as error:
            compile_condition()
        assert (error.value.message, error.value.advice) == (message, advice)


def test_a_query_asks_for_all_rows_in_key_order_by_default() -> None:
    assert Query() == Query((), ())
    assert Sort("n") == ("n", False)
    assert find_column("n", [column("t", "text"), column("n", "integer")]).kind == "integer"


def test_null_is_greater_than_every_value_in_an_order() -> None:
    assert order_by((), COLUMNS) == ""
    terms = order_by([Sort("total"), Sort('odd "name"', descending=True)], COLUMNS)
    assert terms == '"total" ASC NULLS LAST, "odd ""name""" DESC NULLS FIRST'


@pytest.mark.parametrize(
    ("name", "message", "advice"),
    [
        ("no", "There is no column 'no'.", "Columns: n, j, b."),
        ("j", "j has no order, so rows cannot be sorted by it.", "Sort by another column."),
        ("b", "b has no order, so rows cannot be sorted by it.", "Sort by another column."),
    ],
)
def test_a_column_without_order_sorts_nothing(name: str, message: str, advice: str) -> None:
    columns = [column("n", "boolean"), column("j", "json"), column("b", "bytes")]
    assert order_by([Sort("n")], columns) == '"n" ASC NULLS LAST'
    with pytest.raises(BadFilter) as error:
        order_by([Sort(name)], columns)
    assert (error.value.message, error.value.advice) == (message, advice)
