"""The filter language: conditions on columns and an order, compiled to SQL of DuckDB or to predicates of the index.

A condition is a column, an operator and a text, as in a query string. Conditions are ANDed. In an order NULL counts as
greater than every value, as in PostgreSQL: last when ascending, first when descending. Texts are compared by their
bytes. Equal rows are in key order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cache.errors import BadFilter
from cache.query.operators import OPERATORS, Op, Operator
from cache.query.predicates import Predicate
from cache.query.values import Value
from cache.schema import EMPTY_JSON, JSON_SPACE, Column, Kind
from cache.sql import literal, quoted

UNSORTED: tuple[Kind, ...] = ("json", "bytes")


class Condition(NamedTuple):
    """Compares a column with a value.

    Attributes:
        column: Name of the column.
        op: Name of the operator.
        value: A text in the form that the column's kind and the operator require; for `in`, one or more texts.
    """

    column: str
    op: Op
    value: str | tuple[str, ...]


class Sort(NamedTuple):
    """A column to sort by, and the direction."""

    column: str
    descending: bool = False


class Query(NamedTuple):
    """Selects and sorts rows. The default is all rows in key order.

    Attributes:
        conditions: Conditions that must all be true.
        sort: Columns to sort by, the most significant first.
    """

    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()


def where(conditions: Sequence[Condition], columns: Sequence[Column]) -> tuple[str, list[Value]]:
    """Compiles conditions to the SQL of a WHERE clause.

    Args:
        conditions: Conditions that must all be true. Without conditions, every row passes.
        columns: The columns of the table.

    Returns:
        The SQL, and its parameters in the order of the question marks.

    Raises:
        BadFilter: A condition names an unknown column, or does not fit its column. The message lists valid input.
    """
    clauses: list[str] = []
    parameters: list[Value] = []
    for condition in conditions:
        column, operator = _parts(condition, columns)
        clause, values = operator.compile(value_sql(column), operator.operands(condition.value, column))
        clauses.append(clause)
        parameters += values
    return " AND ".join(clauses) or "true", parameters


def condition_sql(condition: Condition, column: Column, value: str) -> tuple[str, list[Value]]:
    """Compiles one condition on a computed value.

    Args:
        condition: The condition.
        column: The value as a column: its name and kind.
        value: SQL of the value.

    Returns:
        The SQL, and its parameters in the order of the question marks.

    Raises:
        BadFilter: The condition does not fit.
    """
    column, operator = _parts(condition, [column])
    return operator.compile(value, operator.operands(condition.value, column))


def compile_predicate(condition: Condition, columns: Sequence[Column]) -> Predicate | None:
    """Compiles a condition to a predicate over dictionary codes.

    Args:
        condition: The condition.
        columns: The columns of the table.

    Returns:
        The predicate; None if codes cannot answer the condition, and DuckDB has to scan.

    Raises:
        BadFilter: The condition names an unknown column, or does not fit its column.
    """
    column, operator = _parts(condition, columns)
    return operator.predicate(operator.operands(condition.value, column), column)


def order_by(sort: Sequence[Sort], columns: Sequence[Column]) -> str:
    """Compiles an order to the terms of an ORDER BY clause.

    Args:
        sort: Columns to sort by, the most significant first.
        columns: The columns of the table.

    Returns:
        The terms, without the term that puts equal rows in key order; empty if `sort` is empty.

    Raises:
        BadFilter: A column is unknown or cannot be sorted by.
    """
    terms = (
        f"{quoted(sortable_column(column, columns).name)} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}"
        for column, descending in sort
    )
    return ", ".join(terms)


def value_sql(column: Column) -> str:
    """Compiles a column to the SQL of its values. An empty value of a JSON column is NULL, as in the rows."""
    name = quoted(column.name)
    if column.kind != "json":
        return name
    empty = ", ".join(map(literal, EMPTY_JSON))
    return f"CASE WHEN trim({name}, {literal(JSON_SPACE)}) NOT IN ({empty}) THEN {name} END"


def find_column(name: str, columns: Sequence[Column]) -> Column:
    """Returns the column with this name.

    Raises:
        BadFilter: There is no such column. The message lists the columns.
    """
    for column in columns:
        if column.name == name:
            return column
    raise BadFilter(f"There is no column {name!r}.", f"Columns: {', '.join(column.name for column in columns)}.")


def sortable_column(name: str, columns: Sequence[Column]) -> Column:
    """Returns the column with this name.

    Raises:
        BadFilter: There is no such column, or rows cannot be sorted by it.
    """
    column = find_column(name, columns)
    if column.kind in UNSORTED:
        raise BadFilter(f"{column.name} has no order, so rows cannot be sorted by it.", "Sort by another column.")
    return column


def _parts(condition: Condition, columns: Sequence[Column]) -> tuple[Column, Operator]:
    column = find_column(condition.column, columns)
    operator = OPERATORS.get(condition.op)
    if operator is None:
        raise BadFilter(
            f"There is no operator {condition.op!r} for {column.name}.", f"Operators: {', '.join(OPERATORS)}."
        )
    return column, operator
