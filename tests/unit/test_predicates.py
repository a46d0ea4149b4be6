"""Predicates over dictionary codes: what they match is what Python's comparisons say of the values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from column_blocks import make_blocks

from cache.query.predicates import Intervals, JsonScalar, PrefixMatch, json_value, key_interval, merge_ranges
from cache.query.values import Value
from cache.schema import Column, Kind
from cache.storage.column_arrays import Key, Texts, Values


def column(kind: Kind, decimals: int = 0) -> Column:
    return Column(name="value", type=kind, kind=kind, nullable=True, digits=12, decimals=decimals)


def array(described: Column, values: list[Any]) -> Values:
    (block,) = make_blocks([described], {"value": values})
    return block["value"]


def matched(predicate: Intervals | PrefixMatch, values: Values) -> list[int]:
    """The rows whose code is in a range; the ranges have to be as promised."""
    ranges = predicate.code_ranges(values)
    if len(ranges) > 1:
        assert all(start < stop for start, stop in ranges)
        assert all(before[1] < after[0] for before, after in pairwise(ranges))
    codes = values.codes.tolist()
    return [row for row, code in enumerate(codes) if any(start <= code < stop for start, stop in ranges)]


INTEGERS = [5, None, -3, 5, 0, 7, None, 100, -3]
STRINGS = ["b", None, "a", "", "ab", "b", "ä"]


@pytest.mark.parametrize("seed", range(20))
def test_intervals_match_the_keys_between_their_bounds(seed: int) -> None:
    lot = Random(seed)
    values = array(column("integer"), INTEGERS)

    def bound() -> int | None:
        return lot.choice([None, -4, -3, -2, 0, 1, 5, 6, 7, 8, 100, 101])

    intervals = tuple((bound(), bound()) for _ in range(lot.randrange(5)))
    intervals = tuple((low, high) for low, high in intervals if low is None or high is None or low <= high)
    nulls = lot.random() < 0.5
    expected = [
        row
        for row, value in enumerate(INTEGERS)
        if (nulls if value is None else any(contains(interval, value) for interval in intervals))
    ]
    assert matched(Intervals(intervals, nulls), values) == expected


def contains(interval: tuple[Any, Any], value: Any) -> bool:
    low, high = interval
    return (low is None or low <= value) and (high is None or value < high)


@pytest.mark.parametrize(
    ("intervals", "nulls", "rows"),
    [
        ((), False, []),
        ((), True, [1]),
        (((None, None),), False, [0, 2, 3, 4, 5, 6]),
        (((None, None),), True, [0, 1, 2, 3, 4, 5, 6]),
        (((b"a", b"a\0"),), False, [2]),
        (((b"a", b"b"), (b"", b"\0")), False, [2, 3, 4]),
        (((None, b"b"), (b"b\0", None)), True, [1, 2, 3, 4, 6]),
    ],
)
def test_intervals_of_texts_are_by_their_bytes(
    intervals: tuple[tuple[Key | None, Key | None], ...], nulls: bool, rows: list[int]
) -> None:
    assert matched(Intervals(intervals, nulls), array(column("text"), STRINGS)) == rows


def test_nulls_of_a_column_without_nulls_match_nothing() -> None:
    assert Intervals((), nulls=True).code_ranges(array(column("integer"), [1, 2])) == []


LOWER = {"\u0130": "i", "\u212a": "k"}  # what DuckDB's lower() makes of them, and of no other sign beyond ASCII


def lower(text: str) -> str:
    return "".join(LOWER.get(letter, letter.lower() if letter.isascii() else letter) for letter in text)


@pytest.mark.parametrize("seed", range(20))
def test_prefixes_match_in_upper_and_lower_case(seed: int) -> None:
    lot = Random(seed)
    letters = "aAbBiIkKzZ\u0130\u212aäÄ9_\U0001f382"
    texts = ["".join(lot.choices(letters, k=lot.randrange(5))) if lot.random() < 0.9 else None for _ in range(300)]
    values = array(column("text"), texts)
    for _ in range(40):
        prefix = "".join(lot.choices("abikz9_", k=lot.randrange(4)))
        expected = [row for row, text in enumerate(texts) if text is not None and lower(text).startswith(prefix)]
        assert matched(PrefixMatch(prefix), values) == expected, prefix


def test_an_empty_prefix_matches_every_text_and_no_null() -> None:
    assert matched(PrefixMatch(""), array(column("text"), STRINGS)) == [0, 2, 3, 4, 5, 6]


EXACT = [
    # kind, decimals, value, the keys from the first that equals it to before the first that is greater
    ("integer", 0, 5, (5, 6)),
    ("integer", 0, -(2**63), (-(2**63), -(2**63) + 1)),
    ("unsigned", 0, 0, (-(2**63), -(2**63) + 1)),
    ("unsigned", 0, 2**64 - 1, (2**63 - 1, 2**63)),
    ("boolean", 0, 1, (1, 2)),
    ("decimal", 2, Decimal("5.98"), (598, 599)),
    ("decimal", 2, Decimal("5.985"), (599, 599)),
    ("decimal", 2, Decimal("-5.985"), (-598, -598)),
    ("decimal", 2, Decimal("0.1234567890123456789012345678901234567"), (13, 13)),
    ("decimal", 0, Decimal("1e19"), (10**19, 10**19 + 1)),
    ("date", 0, date(1970, 1, 2), (1, 2)),
    ("date", 0, date(1969, 12, 31), (-1, 0)),
    ("datetime", 0, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), (1_000_000, 1_000_001)),
    ("timestamp", 3, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), (-1, 0)),
    ("double", 0, 0.0, (0, 1)),
    ("double", 0, -0.0, (0, 1)),
    ("text", 0, "ab", (b"ab", b"ab\0")),
    ("text", 0, "", (b"", b"\0")),
    ("text", 0, "\ud800", (b"\xed\xa0\x80", b"\xed\xa0\x80\0")),
    ("bytes", 0, b"\xff", (b"\xff", b"\xff\0")),
]


@pytest.mark.parametrize(("kind", "decimals", "value", "interval"), EXACT)
def test_the_keys_that_equal_a_value(kind: Kind, decimals: int, value: Value, interval: tuple[Key, Key]) -> None:
    assert key_interval(value, column(kind, decimals)) == interval


def test_keys_of_doubles_are_in_the_order_of_the_numbers() -> None:
    numbers = [-1.7976931348623157e308, -2.5, -1.0, -5e-324, 0.0, 5e-324, 1.0, 2.5, 1.7976931348623157e308]
    keys = [key_interval(number, column("double"))[0] for number in numbers]
    assert keys == sorted(keys)
    assert len({*keys}) == len(numbers)


JSON = [
    # kind, decimals, a value of the column, and as JSON has it
    ("text", 0, "Müller \U0001f382", "Müller \U0001f382"),
    ("bytes", 0, b"\xde\xad\xbe\xef", "3q2+7w=="),
    ("integer", 0, -(2**63), -(2**63)),
    ("unsigned", 0, 2**64 - 1, 2**64 - 1),
    ("boolean", 0, 0, False),
    ("boolean", 0, 1, True),
    ("boolean", 0, 2, 2),
    ("boolean", 0, -1, -1),
    ("decimal", 2, Decimal("598.94"), "598.94"),
    ("decimal", 2, Decimal("-0.05"), "-0.05"),
    ("decimal", 2, Decimal("0.00"), "0.00"),
    ("decimal", 0, Decimal("1000000"), "1000000"),
    ("date", 0, date(2025, 12, 29), "2025-12-29"),
    ("date", 0, date(1969, 1, 2), "1969-01-02"),
    ("date", 0, date(1, 1, 1), "0001-01-01"),
    ("datetime", 0, datetime(2025, 12, 29, 10, 25, tzinfo=UTC), "2025-12-29T10:25:00Z"),
    ("timestamp", 3, datetime(1969, 12, 31, 23, 59, 59, 42_000, tzinfo=UTC), "1969-12-31T23:59:59.042Z"),
    ("timestamp", 6, datetime(2025, 12, 29, 10, 25, tzinfo=UTC), "2025-12-29T10:25:00.000000Z"),
    ("float", 0, 0.1, 0.1),
    ("float", 0, -3.5, -3.5),
    ("double", 0, 0.1, 0.1),
    ("double", 0, -0.1, -0.1),
    ("double", 0, 5e-324, 5e-324),
]


@pytest.mark.parametrize(("kind", "decimals", "value", "json"), JSON)
def test_keys_read_back_as_json_has_them(kind: Kind, decimals: int, value: Any, json: JsonScalar) -> None:
    described = column(kind, decimals)
    values = array(described, [value])
    read_back = json_value(values.key(0), described)
    assert (read_back, type(read_back)) == (json, type(json))
    assert json_value(None, described) is None


def test_keys_of_values_are_those_of_the_column_arrays() -> None:
    lot = Random(1)
    moment = datetime(2025, 12, 29, tzinfo=UTC)
    samples: dict[Kind, list[Any]] = {
        "integer": [lot.randrange(-(2**63), 2**63) for _ in range(50)],
        "unsigned": [lot.randrange(2**64) for _ in range(50)],
        "decimal": [Decimal(lot.randrange(-(10**12), 10**12)).scaleb(-2) for _ in range(50)],
        "double": [lot.gauss(0, 1e9) for _ in range(50)],
        "date": [date(2025, 1, 1) + timedelta(days=lot.randrange(-9999, 9999)) for _ in range(50)],
        "datetime": [moment + timedelta(microseconds=lot.randrange(10**15)) for _ in range(50)],
        "text": ["".join(lot.choices("abä\U0001f382", k=3)) for _ in range(50)],
    }
    for kind, sample in samples.items():
        described = column(kind, 2)
        values = array(described, sample)
        keys = [key_interval(value, described)[0] for value in sample]
        assert [values.key(code) for code in values.codes.tolist()] == keys
        assert isinstance(values, Texts) == (kind == "text")


@pytest.mark.parametrize("seed", range(20))
def test_merged_ranges_hold_the_same_codes(seed: int) -> None:
    lot = Random(seed)
    bounds = [sorted(lot.choices(range(12), k=2)) for _ in range(lot.randrange(8))]
    ranges = [(low, high) for low, high in bounds]
    merged = merge_ranges(ranges)
    assert {code for low, high in merged for code in range(low, high)} == {
        code for low, high in ranges for code in range(low, high)
    }
    assert all(low < high for low, high in merged)
    assert all(before[1] < after[0] for before, after in pairwise(merged))
