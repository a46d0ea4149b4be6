"""The filter operators: one object each, in one list.

To add an operator, add it to `OPERATORS`: the filter language, the column index, the description of the API and the
tests read it there. docs/api.md has a row for each operator, and a test compares that row with `description`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cache.errors import BadFilter
from cache.query.predicates import Intervals, KeyInterval, Predicate, PrefixMatch, key_interval
from cache.query.values import FLAGS, Value, parse_value
from cache.schema import Column, Kind
from cache.storage.column_arrays import Key

Op = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "startswith", "isnull"]
Takes = Literal["value", "list", "text", "flag"]

ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
TEXT_KINDS: tuple[Kind, ...] = ("text", "json")
ORDERED_KINDS = tuple(kind for kind in ALL_KINDS if kind not in ("boolean", "json", "bytes"))

_Operands = Sequence[Value]


@dataclass(frozen=True)
class Operator:
    """A filter operator.

    Both `sql` and `predicate` must let NULL pass, or neither.

    Attributes:
        name: Its name in `COLUMN__name=…`.
        description: Which values pass, in words that follow "the value". OpenAPI and docs/api.md show it.
        kinds: The kinds of columns that it applies to.
        takes: What a condition compares the column with: a `value` of the column's kind, a `list` of such values, a
            `text`, or a `flag` (true or false).
        sql: Returns a condition in DuckDB's SQL for the quoted name of the column and the operands. It has one question
            mark for each operand, in their order; for a flag, it has none.
        predicate: Returns a predicate on dictionary codes for the operands and the column; None if codes cannot answer
            the condition, and a scan is needed.
    """

    name: Op
    description: str
    kinds: tuple[Kind, ...]
    takes: Takes
    sql: Callable[[str, _Operands], str]
    predicate: Callable[[_Operands, Column], Predicate | None]

    def operands(self, value: str | Sequence[str], column: Column) -> list[Value]:
        """Reads the texts of a condition.

        Args:
            value: A text; for a list, one or more texts.
            column: The column of the condition.

        Returns:
            The operands, in the type of the column. A flag is 0 or 1.

        Raises:
            BadFilter: The column's kind does not fit, or a text does not parse.
        """
        if column.kind not in self.kinds:
            fitting = ", ".join(operators_for(column.kind))
            raise BadFilter(f"{column.name} does not support {self.name}.", f"It supports {fitting}.")
        if self.takes == "list":
            return [parse_value(text, column) for text in ((value,) if isinstance(value, str) else value)]
        if not isinstance(value, str):
            raise BadFilter(f"{column.name}__{self.name} takes one value.")
        if self.takes == "value":
            return [parse_value(value, column)]
        if self.takes == "text":
            return [value]
        if value.lower() not in FLAGS:
            raise BadFilter.value(f"{column.name}__{self.name}", value, "true or false")
        return [int(FLAGS[value.lower()])]

    def compile(self, name: str, operands: _Operands) -> tuple[str, list[Value]]:
        """Compiles a condition to SQL.

        Args:
            name: The column's name as an SQL identifier.
            operands: As `operands` returns them.

        Returns:
            The SQL, and its parameters in the order of the question marks.
        """
        return self.sql(name, operands), [] if self.takes == "flag" else list(operands)


def _compared(sign: str) -> Callable[[str, _Operands], str]:
    return lambda name, _: f"{name} {sign} ?"


def _searched(function: str) -> Callable[[str, _Operands], str]:
    return lambda name, _: f"{function}(lower({name}), lower(?))"


def _keys(
    intervals: Callable[[Key, Key], tuple[KeyInterval, ...]], nulls: bool = False
) -> Callable[[_Operands, Column], Intervals]:
    """Returns a predicate on keys. `intervals` gets, for each operand, the two results of `key_interval`."""

    def predicate(operands: _Operands, column: Column) -> Intervals:
        matching: list[KeyInterval] = []
        for operand in operands:
            matching += intervals(*key_interval(operand, column))
        return Intervals(tuple(matching), nulls)

    return predicate


def _one_of(name: str, operands: _Operands) -> str:
    return f"{name} IN ({', '.join('?' * len(operands))})" if operands else "false"


def _is_null(name: str, operands: _Operands) -> str:
    return f"{name} IS {'' if operands[0] else 'NOT '}NULL"


def _null_codes(operands: _Operands, _: Column) -> Intervals:
    return Intervals((), nulls=True) if operands[0] else Intervals(((None, None),))


def _prefix_codes(operands: _Operands, _: Column) -> PrefixMatch | None:
    """Returns None if the prefix is not ASCII: PrefixMatch knows only the forms of ASCII letters."""
    prefix = str(operands[0])
    return PrefixMatch(prefix.lower()) if prefix.isascii() else None


def _scan_only(_: _Operands, __: Column) -> None:
    """For operators that codes cannot answer."""


OPERATORS: Mapping[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator(
            name="eq",
            description="equals the given value",
            kinds=ALL_KINDS,
            takes="value",
            sql=_compared("="),
            predicate=_keys(lambda low, high: ((low, high),)),
        ),
        Operator(
            name="ne",
            description="differs from the given value, or is NULL",
            kinds=ALL_KINDS,
            takes="value",
            sql=_compared("IS DISTINCT FROM"),
            predicate=_keys(lambda low, high: ((None, low), (high, None)), nulls=True),
        ),
        Operator(
            name="gt",
            description="is greater than the given value",
            kinds=ORDERED_KINDS,
            takes="value",
            sql=_compared(">"),
            predicate=_keys(lambda _, high: ((high, None),)),
        ),
        Operator(
            name="gte",
            description="is greater than or equal to the given value",
            kinds=ORDERED_KINDS,
            takes="value",
            sql=_compared(">="),
            predicate=_keys(lambda low, _: ((low, None),)),
        ),
        Operator(
            name="lt",
            description="is less than the given value",
            kinds=ORDERED_KINDS,
            takes="value",
            sql=_compared("<"),
            predicate=_keys(lambda low, _: ((None, low),)),
        ),
        Operator(
            name="lte",
            description="is less than or equal to the given value",
            kinds=ORDERED_KINDS,
            takes="value",
            sql=_compared("<="),
            predicate=_keys(lambda _, high: ((None, high),)),
        ),
        Operator(
            name="in",
            description=(
                "equals one of the given values, which are separated by commas; a value with a comma goes in double "
                "quotes, in which a double quote is doubled"
            ),
            kinds=ALL_KINDS,
            takes="list",
            sql=_one_of,
            predicate=_keys(lambda low, high: ((low, high),)),
        ),
        Operator(
            name="contains",
            description="contains the given text, in upper or lower case",
            kinds=TEXT_KINDS,
            takes="text",
            sql=_searched("contains"),
            predicate=_scan_only,
        ),
        Operator(
            name="startswith",
            description="starts with the given text, in upper or lower case",
            kinds=TEXT_KINDS,
            takes="text",
            sql=_searched("starts_with"),
            predicate=_prefix_codes,
        ),
        Operator(
            name="isnull",
            description="is NULL (`true`), or is not NULL (`false`)",
            kinds=ALL_KINDS,
            takes="flag",
            sql=_is_null,
            predicate=_null_codes,
        ),
    )
}


def operators_for(kind: Kind) -> list[str]:
    """Names of the operators that apply to columns of a kind."""
    return [name for name, operator in OPERATORS.items() if kind in operator.kinds]
