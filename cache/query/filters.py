"""The filter language: conditions on columns and an order, compiled to SQL of DuckDB with typed parameters.

A condition is a column, an operator and a text, as a query string carries them; conditions are ANDed. What a text may
say depends on the column's kind. NULL matches nothing but `ne` (the complement of `eq`) and `isnull=true`. In an order
NULL counts as greater than every value, as in PostgreSQL: last when ascending, first when descending; texts are
compared by their bytes, and rows that are equal stand in key order.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple, get_args

from cache.errors import BadFilter
from cache.schema import Column, Kind
from cache.sql import quoted

Op = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "startswith", "isnull"]
Value = str | int | float | Decimal | date | datetime | bytes

_COMPARISONS: Mapping[str, str] = {
    "eq": "=", "ne": "IS DISTINCT FROM", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=",
}  # fmt: skip
_SEARCHES: Mapping[str, str] = {"contains": "contains", "startswith": "starts_with"}
SEARCHED: tuple[Kind, ...] = ("text", "json")
UNORDERED: tuple[Kind, ...] = ("boolean", "json", "bytes")
UNSORTED: tuple[Kind, ...] = ("json", "bytes")
_DIGITS = 38  # what DuckDB's widest DECIMAL holds


class Condition(NamedTuple):
    """`column` compared by `op` with `value`: a text, or several for `in`.

    `contains` and `startswith` take texts and disregard case, as MySQL's usual collations do. `isnull` takes true or
    false. A date stands for its midnight in UTC where the column holds instants; an instant without a zone is UTC.
    """

    column: str
    op: Op
    value: str | tuple[str, ...]


class Sort(NamedTuple):
    """Order by a column."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """Which rows, in which order: all of them in key order, unless it says otherwise."""

    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()


def order_by(sort: Sequence[Sort], columns: Sequence[Column]) -> str:
    """The terms of an ORDER BY, without what puts equal rows in key order; empty where there is no sort.

    Raises BadFilter.
    """
    terms = (
        f"{quoted(sortable_column(column, columns).name)} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}"
        for column, descending in sort
    )
    return ", ".join(terms)


def where(conditions: Sequence[Condition], columns: Sequence[Column]) -> tuple[str, list[Value]]:
    """The conditions as SQL over `columns`, and its parameters, in order of their question marks.

    Raises BadFilter: it names the column and what it takes.
    """
    clauses: list[str] = []
    values: list[Value] = []
    for condition in conditions:
        column = find_column(condition.column, columns)
        found = operands(condition, column)
        clauses.append(_sql(condition, column, len(found)))
        values += found
    return " AND ".join(clauses) or "true", values


def find_column(name: str, columns: Sequence[Column]) -> Column:
    """The column of that name. Raises BadFilter."""
    for column in columns:
        if column.name == name:
            return column
    raise BadFilter(f"There is no column {name!r}.", f"Columns: {', '.join(column.name for column in columns)}.")


def sortable_column(name: str, columns: Sequence[Column]) -> Column:
    """The column of that name. Raises BadFilter where rows cannot be sorted by it."""
    column = find_column(name, columns)
    if column.kind in UNSORTED:
        raise BadFilter(f"{column.name} has no order, so rows cannot be sorted by it.", "Sort by another column.")
    return column


def operands(condition: Condition, column: Column) -> list[Value]:
    """What a condition compares the column with; of `isnull`, nothing. Raises BadFilter."""
    op, texts = condition.op, condition.value
    if op == "in":
        return [parsed(text, column) for text in ((texts,) if isinstance(texts, str) else texts)]
    if not isinstance(texts, str):
        raise BadFilter(f"{column.name}__{op} takes one value.")
    if op == "isnull":
        if texts not in ("true", "false"):
            raise BadFilter(f"{column.name}__isnull does not take {texts!r}.", "It takes true or false.")
        return []
    if op in _SEARCHES:
        if column.kind not in SEARCHED:
            raise BadFilter(
                f"{column.name} holds no text, so {op} cannot search it.", "Use eq, gt, gte, lt, lte or in."
            )
        return [texts]
    if op not in _COMPARISONS:
        raise BadFilter(f"There is no operator {op!r} for {column.name}.", f"Operators: {', '.join(get_args(Op))}.")
    if op not in ("eq", "ne") and column.kind in UNORDERED:
        raise BadFilter(f"{column.name} has no order, so {op} cannot compare it.", "Use eq, ne, in or isnull.")
    return [parsed(texts, column)]


def _sql(condition: Condition, column: Column, count: int) -> str:
    """A condition's SQL, with a question mark for each of its operands."""
    name, op = quoted(column.name), condition.op
    if op == "in":
        return f"{name} IN ({', '.join('?' * count)})" if count else "false"
    if op == "isnull":
        return f"{name} IS {'' if condition.value == 'true' else 'NOT '}NULL"
    if op in _SEARCHES:
        return f"{_SEARCHES[op]}(lower({name}), lower(?))"
    return f"{name} {_COMPARISONS[op]} ?"


def parsed(text: str, column: Column) -> Value:
    """A text as a value of the column's kind. Raises BadFilter."""
    read, takes = _KINDS[column.kind]
    try:
        value = read(text)
        if isinstance(value, Decimal):
            _compared(value, column)
        return value
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise BadFilter(f"{column.name} does not take {text[:80]!r}.", f"It takes {takes}.") from error


def _signed(text: str) -> int:
    return _integer(text, -(2**63), 2**63 - 1)


def _unsigned(text: str) -> int:
    return _integer(text, 0, 2**64 - 1)


def _integer(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
        raise ValueError
    number = int(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _boolean(text: str) -> int:
    if text.lower() not in ("true", "1", "false", "0"):
        raise ValueError
    return int(text.lower() in ("true", "1"))


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or max(number.adjusted() + 1, 1) + max(-exponent, 0) > _DIGITS:
        raise ValueError
    return number


def _compared(number: Decimal, column: Column) -> None:
    """Raises ValueError where no DECIMAL holds both the number and the column's values: DuckDB compares in one type."""
    whole = max(number.adjusted() + 1, column.digits - column.decimals)
    if whole + max(-int(number.as_tuple().exponent), column.decimals) > _DIGITS:
        raise ValueError


def _single(text: str) -> float:
    """A FLOAT's value, which is what the rows' JSON writes in short."""
    return float(struct.unpack("<f", struct.pack("<f", _float(text)))[0])


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_INSTANT = (_instant, "an ISO 8601 date or instant, such as 2025-12-29 or 2025-12-29T10:25:00Z")
_TEXT = (str, "a text")
_KINDS: Mapping[Kind, tuple[Callable[[str], Value], str]] = {
    "integer": (_signed, "a whole number of up to 64 bits"),
    "unsigned": (_unsigned, "a whole number from 0 to 2^64 - 1"),
    "boolean": (_boolean, "true or false"),
    "decimal": (_decimal, f"a decimal number of up to {_DIGITS} digits, such as 598.94"),
    "float": (_single, "a number"),
    "double": (_float, "a number"),
    "date": (date.fromisoformat, "an ISO 8601 date, such as 2025-12-29"),
    "datetime": _INSTANT,
    "timestamp": _INSTANT,
    "text": _TEXT,
    "json": _TEXT,
    "bytes": (_bytes, "bytes in base64"),
}
