"""Predicates on dictionary codes (cache/storage/column_arrays.py), and conversion of keys from and to values.

Codes are in the order of their values. A predicate therefore translates into ranges of codes.
"""

from __future__ import annotations

import base64
import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple

import numpy as np

from cache.query.values import Value
from cache.schema import Column
from cache.storage.column_arrays import Key, Numbers, Texts, Values, float_keys

CodeRange = tuple[int, int]  # first code, and the code after the last one
KeyInterval = tuple[Key | None, Key | None]  # lower bound (included), upper bound (excluded); None: no bound
JsonScalar = str | int | float | bool | None

_LONG_PREFIX = 16  # few texts share a longer one
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSIGNED_OFFSET = 1 << 63
_EXACT = Context(prec=100)  # more digits than any value has
# DuckDB's lower() maps only two non-ASCII characters to ASCII letters: U+0130 to i, U+212A to k.
_UPPER_FORMS = {"i": "iI\u0130", "k": "kK\u212a"}


class Intervals(NamedTuple):
    """Matches keys that are in at least one of the intervals.

    Attributes:
        intervals: Intervals of keys, in any order.
        nulls: Whether NULL matches too.
    """

    intervals: tuple[KeyInterval, ...]
    nulls: bool = False

    @property
    def lookups(self) -> int:
        """The number of values that are looked up in the dictionary of a block."""
        return 2 * len(self.intervals)

    def code_ranges(self, column: Values) -> list[CodeRange]:
        """Translates the intervals of keys into ranges of codes of one block.

        Args:
            column: The array of the column in that block.

        Returns:
            Ranges in ascending order that neither touch nor overlap. None is empty, except that the range of a single
            interval may be.
        """
        ranges = [
            (0 if low is None else column.bound(low), column.top if high is None else column.bound(high))
            for low, high in self.intervals
        ]
        if self.nulls and column.nulls:
            ranges.append((column.top, column.top + 1))
        return ranges if len(ranges) == 1 else merge_ranges(ranges)


class PrefixMatch(NamedTuple):
    """Matches texts that begin with `prefix`, in upper or lower case.

    Attributes:
        prefix: ASCII text in lower case.
    """

    prefix: str

    @property
    def lookups(self) -> int:
        """The number of values that are looked up in the dictionary of a block, about."""
        return 4 * min(len(self.prefix), _LONG_PREFIX)

    def code_ranges(self, column: Values) -> list[CodeRange]:
        """Finds the codes of the texts with this prefix in one block.

        Texts with a common prefix have consecutive codes. Each letter of the prefix narrows the ranges. Each form of
        the letter (lower case, upper case) has its own range.

        Args:
            column: The array of the text column in that block.

        Returns:
            Ranges in ascending order that neither touch nor overlap. None is empty.
        """
        assert isinstance(column, Texts)
        ranges = {b"": (0, column.top)}  # prefix in UTF-8 -> codes of the texts with this prefix
        for letter in self.prefix:
            if not ranges:
                break
            ranges = {
                longer: (start, stop)
                for head, (low, high) in ranges.items()
                for form in _UPPER_FORMS.get(letter, {letter, letter.upper()})
                for longer in [head + form.encode()]
                for start in [bisect_left(column.texts, longer, low, high)]
                for stop in [bisect_left(column.texts, _after_prefix(longer), start, high)]
                if start < stop
            }
        return merge_ranges(list(ranges.values()))


Predicate = Intervals | PrefixMatch


def key_interval(value: Value, column: Column) -> tuple[Key, Key]:
    """Returns the interval of the keys that equal a value.

    Args:
        value: A value of the column's kind, as `parse_value` returns it.
        column: The column that the value is compared with.

    Returns:
        The first key that is not less than the value, and the first key that is greater than the value. Both keys are
        equal if no key can equal the value, such as a DECIMAL with more decimals than the column has.
    """
    match value:
        case bytes():
            return value, value + b"\0"
        case str():
            text = value.encode("utf-8", "surrogatepass")
            return text, text + b"\0"
        case Decimal():
            scaled = value.scaleb(column.decimals, _EXACT)
            return math.ceil(scaled), math.floor(scaled) + 1
        case datetime():
            key = (value - _EPOCH) // timedelta(microseconds=1)
        case date():
            key = value.toordinal() - _EPOCH.toordinal()
        case float():
            key = int(float_keys(np.array([value]))[0])
        case _:
            key = value - _UNSIGNED_OFFSET if column.kind == "unsigned" else value
    return key, key + 1


def key_range(low: int | None, high: int | None, column: Column) -> Numbers:
    """Returns a column of all integers in a range, without rows. Its codes tell whether a predicate may match.

    Args:
        low: The lowest value; None: no bound.
        high: The value after the highest one; None: no bound.
        column: The column, of kind `integer` or `unsigned`.
    """
    offset = _UNSIGNED_OFFSET if column.kind == "unsigned" else 0
    first = -_UNSIGNED_OFFSET if low is None else low - offset
    end = _UNSIGNED_OFFSET if high is None else high - offset
    return Numbers(np.empty(0, np.uint32), end - first, False, first, 1, None)


def json_value(key: Key | None, column: Column) -> JsonScalar:
    """Converts a key to its value in the JSON of the rows (docs/api.md).

    Args:
        key: A key of the column; None for NULL.
        column: The column, of any kind except `json`.
    """
    match column.kind, key:
        case _, None:
            return None
        case "text", bytes():
            return key.decode()
        case "bytes", bytes():
            return base64.b64encode(key).decode()
        case "unsigned", int():
            return key + _UNSIGNED_OFFSET
        case "boolean", 0 | 1:
            return key == 1
        case "decimal", int():
            return f"{Decimal(key).scaleb(-column.decimals):f}"
        case "date", int():
            return (_EPOCH + timedelta(days=key)).date().isoformat()
        case "datetime" | "timestamp", int():
            moment = _EPOCH + timedelta(microseconds=key)
            fraction = f".{moment.microsecond:06d}"[: column.decimals + 1] if column.decimals else ""
            return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}{fraction}Z"
        case (("float" | "double"), int()):
            number = float(np.array([key if key >= 0 else key ^ 0x7FFFFFFFFFFFFFFF]).view(np.float64)[0])
            return float(str(np.float32(number))) if column.kind == "float" else number
        case _:
            assert isinstance(key, int)
            return key


def merge_ranges(ranges: Sequence[CodeRange]) -> list[CodeRange]:
    """Sorts ranges, drops empty ones, and merges those that touch or overlap."""
    merged: list[CodeRange] = []
    for start, stop in sorted(ranges):
        if start == stop:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _after_prefix(prefix: bytes) -> bytes:
    """Returns a key that sorts after every UTF-8 text with this prefix: UTF-8 does not use the byte 0xFF."""
    return prefix + b"\xff"
