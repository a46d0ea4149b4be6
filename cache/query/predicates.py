"""What conditions mean for the codes of a column (cache/storage/column_arrays.py), and what keys mean as JSON."""

from __future__ import annotations

import base64
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal

import numpy as np

from cache.query.filters import Condition, Value, operands
from cache.schema import Column
from cache.storage.column_arrays import Key, Texts, Values, float_keys

Range = tuple[int, int]  # codes from the first to before the second
Scalar = str | int | float | bool | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGN = 1 << 63
_EXACT = Context(prec=100)  # more digits than any value has
# Signs beyond ASCII that DuckDB's lower() makes ASCII letters: of all there are, these two.
_LOWERED = {"i": "iI\u0130", "k": "kK\u212a"}


@dataclass(frozen=True)
class Between:
    """Rows whose key is in one of the intervals (from the first to before the second; None: open), or is NULL."""

    intervals: tuple[tuple[Key | None, Key | None], ...]
    nulls: bool = False

    def ranges(self, column: Values) -> list[Range]:
        found = [
            (0 if low is None else column.bound(low), column.top if high is None else column.bound(high))
            for low, high in self.intervals
        ]
        if self.nulls and column.nulls:
            found.append((column.top, column.top + 1))
        return found if len(found) == 1 else _joined(found)


@dataclass(frozen=True)
class Prefix:
    """Rows whose text begins so, in capital or small letters. Parameters: `text` is ASCII and small."""

    text: str

    def ranges(self, column: Values) -> list[Range]:
        """Texts that begin with the same bytes stand together; each letter of the prefix narrows such ranges."""
        assert isinstance(column, Texts)
        heads = {b"": (0, column.top)}
        for letter in self.text:
            heads = {
                longer: (start, stop)
                for head, (low, high) in heads.items()
                for form in _LOWERED.get(letter, {letter, letter.upper()})
                for longer in [head + form.encode()]
                for start in [bisect_left(column.texts, longer, low, high)]
                for stop in [bisect_left(column.texts, _after_all(longer), start, high)]
                if start < stop
            }
        return _joined(list(heads.values()))


Wanted = Between | Prefix


def wanted(condition: Condition, column: Column) -> Wanted | None:
    """What a condition asks of a column's keys; None where codes cannot tell. Raises BadFilter."""
    values = operands(condition, column)
    match condition.op:
        case "isnull":
            return Between((), nulls=True) if condition.value == "true" else Between(((None, None),))
        case "in":
            return Between(tuple(_interval(value, column) for value in values))
        case "contains":
            return None
        case "startswith":
            text = values[0]
            assert isinstance(text, str)
            return Prefix(text.lower()) if text.isascii() else None
    low, high = _interval(values[0], column)
    match condition.op:
        case "eq":
            return Between(((low, high),))
        case "ne":
            return Between(((None, low), (high, None)), nulls=True)
        case "gt":
            return Between(((high, None),))
        case "gte":
            return Between(((low, None),))
        case "lt":
            return Between(((None, low),))
        case _:
            return Between(((None, high),))


def _interval(value: Value, column: Column) -> tuple[Key, Key]:
    """The keys that equal a value: from the first to before the second, which is where greater ones begin."""
    match value:
        case bytes():
            return value, value + b"\0"
        case str():
            text = value.encode("utf-8", "surrogatepass")
            return text, text + b"\0"
        case Decimal():  # one of more decimals than the column has equals no key
            scaled = value.scaleb(column.decimals, _EXACT)
            return math.ceil(scaled), math.floor(scaled) + 1
        case datetime():
            key = (value - _EPOCH) // timedelta(microseconds=1)
        case date():
            key = value.toordinal() - _EPOCH.toordinal()
        case float():
            key = int(float_keys(np.array([value]))[0])
        case _:
            key = value - _SIGN if column.kind == "unsigned" else value
    return key, key + 1


def json_value(key: Key | None, column: Column) -> Scalar:
    """A key as the rows' JSON writes its value (docs/api.md)."""
    match column.kind, key:
        case _, None:
            return None
        case "text", bytes():
            return key.decode()
        case "bytes", bytes():
            return base64.b64encode(key).decode()
        case "unsigned", int():
            return key + _SIGN
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


def _after_all(head: bytes) -> bytes:
    """What sorts behind every UTF-8 text that begins so: no text holds this byte."""
    return head + b"\xff"


def _joined(ranges: Sequence[Range]) -> list[Range]:
    """In order and without empty ones; those that touch made one."""
    found: list[Range] = []
    for start, stop in sorted(ranges):
        if start == stop:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found
