"""Predicates over dictionary codes, and what the codes mean as JSON. See cache/storage/column_arrays.py.

Codes are in the order of the values, so that a predicate is a list of ranges of codes.
"""

from __future__ import annotations

import base64
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal

import numpy as np

from cache.query.values import Value
from cache.schema import Column
from cache.storage.column_arrays import Key, Texts, Values, float_keys

CodeRange = tuple[int, int]  # from the first code to before the second
KeyInterval = tuple[Key | None, Key | None]  # from the first key to before the second; None: no bound
JsonScalar = str | int | float | bool | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSIGNED_OFFSET = 1 << 63
_EXACT = Context(prec=100)  # more digits than any value has
# DuckDB's lower() turns two characters beyond ASCII into ASCII letters, and no others.
_UPPER_FORMS = {"i": "iI\u0130", "k": "kK\u212a"}


@dataclass(frozen=True)
class Intervals:
    """Matches keys in any of the intervals.

    Attributes:
        intervals: Intervals of keys, in any order.
        nulls: Whether NULL matches too.
    """

    intervals: tuple[KeyInterval, ...]
    nulls: bool = False

    def code_ranges(self, column: Values) -> list[CodeRange]:
        """Translates the keys into codes of one block.

        Args:
            column: The column's array in that block.

        Returns:
            Ranges that neither touch nor overlap, rising, none empty (a single one may be).
        """
        ranges = [
            (0 if low is None else column.bound(low), column.top if high is None else column.bound(high))
            for low, high in self.intervals
        ]
        if self.nulls and column.nulls:
            ranges.append((column.top, column.top + 1))
        return ranges if len(ranges) == 1 else merge_ranges(ranges)


@dataclass(frozen=True)
class PrefixMatch:
    """Matches texts that begin with `prefix`, in upper or lower case.

    Attributes:
        prefix: ASCII text in lower case.
    """

    prefix: str

    def code_ranges(self, column: Values) -> list[CodeRange]:
        """Finds the texts with this prefix in one block.

        Texts with a common prefix stand together. Each letter of the prefix narrows the ranges found so far, one for
        each way to write it.

        Args:
            column: The column's array in that block, of texts.

        Returns:
            Ranges that neither touch nor overlap, rising, none empty.
        """
        assert isinstance(column, Texts)
        ranges = {b"": (0, column.top)}  # by the bytes that the texts of the range begin with
        for letter in self.prefix:
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
    """The interval of keys that equal a value.

    Args:
        value: A value of the column's kind, as `parse_value` returns it.
        column: The column it is compared with.

    Returns:
        The first key that is not less than the value, and the first that is greater. They are the same where no key
        equals the value, such as a DECIMAL with more decimals than the column has.
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


def json_value(key: Key | None, column: Column) -> JsonScalar:
    """A key as the rows' JSON has its value (docs/api.md).

    Args:
        key: A key of the column; None for NULL.
        column: The column, of any kind but `json`.
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
            return (_EPOCH + timedelta(days=key)).strftime("%Y-%m-%d")
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
    """Sorts behind every UTF-8 text with this prefix: no text holds the byte 0xFF."""
    return prefix + b"\xff"
