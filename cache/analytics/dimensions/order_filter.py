"""SQL that selects orders by conditions on dimensions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cache.analytics.dimensions.catalogue import DIMENSIONS, FILTER_ONLY, Dimension, find_filter
from cache.calendar.periods import Span
from cache.errors import BadFilter
from cache.interpretation.order_rows import KEY
from cache.interpretation.source_rows import SourceColumns, json_value
from cache.query.filters import Condition, condition_sql
from cache.schema import Kind
from cache.sql import literal

GROUPED_KINDS: tuple[Kind, ...] = ("text", "boolean", "integer", "unsigned", "date")
"""Kinds of columns whose values orders can be grouped by."""
ORDER_VALUES = "created_at AS placed_at, charged + gift_cards AS total"
"""SQL of what conditions need beside the columns of the facts of orders. A reversal has them of its order, while its
`created_at` and its amounts are its own."""

_NUMBER = "0|[1-9][0-9]{0,19}"  # as DuckDB writes numbers of up to 64 bits


@dataclass(frozen=True)
class FilteredTables:
    """What conditions look into, beside the facts `o` of orders.

    Attributes:
        lines: SQL of the line items, each with the `key` of its order.
        reversals: SQL of the refunds and cancellations, as of `money_sql.reversals`.
        rows: SQL of the rows of the source, with KEY.
        source: The columns of these rows.
        taxes: SQL of the taxes by rate, each with the `key` of its order.
    """

    lines: str
    reversals: str
    rows: str
    source: SourceColumns
    taxes: str

    def row_values(self, dimensions: Mapping[str, Dimension]) -> str:
        """SQL of the values of dimensions of rows, by the key `of_row` of the order; '' where a row has none.

        Args:
            dimensions: Name of a column of the result -> the dimension.

        Raises:
            BadFilter: The table has no such column, or orders are not grouped by it.
        """
        values = ", ".join(f"coalesce({self.row_value(each)}, '') AS {name}" for name, each in dimensions.items())
        return f"SELECT {KEY} AS of_row, {values} FROM {self.rows}"

    def row_value(self, dimension: Dimension) -> str:
        """SQL of the value of a dimension in a row of the source; NULL where it has none.

        Raises:
            BadFilter: The table has no such column, or orders are not grouped by it.
        """
        column = next((each for each in self.source.columns if each.name == dimension.column), None)
        if column is None:
            raise BadFilter(f"There is no column {dimension.column!r}.", "GET /figures/metrics lists the dimensions.")
        name = self.source.sql(column.name)
        if dimension.path:
            if column.kind not in ("json", "text"):
                raise BadFilter(f"{column.name} holds no JSON.", "GET /figures/metrics lists the dimensions.")
            return json_value(name, dimension.path)
        if column.kind not in GROUPED_KINDS:
            raise BadFilter(
                f"Orders cannot be grouped or filtered by {column.name}: its values are {column.kind}.",
                "GET /figures/metrics lists the dimensions.",
            )
        return f"{name}::VARCHAR"


def order_filter(
    span: Span | None, conditions: Sequence[Condition], tables: FilteredTables
) -> tuple[str, list[object]]:
    """SQL that selects orders.

    Args:
        span: The period; None for all time.
        conditions: Conditions on dimensions.
        tables: What they look into.

    Returns:
        A condition on a table of facts `o`, and its parameters.

    Raises:
        BadFilter: A condition does not fit.
    """
    clauses: list[str] = []
    parameters: list[object] = []
    for condition in conditions:
        dimension = find_filter(condition.column)
        if dimension is None:
            known = ", ".join((*DIMENSIONS, *FILTER_ONLY))
            raise BadFilter(f"There is no dimension {condition.column!r}.", f"Dimensions: {known}.")
        clause, operands = _clause(condition, dimension, tables)
        clauses.append(f"({clause})")
        parameters += operands
    if span:
        clauses.append("o.local >= ? AND o.local < ?")
        parameters += span
    return " AND ".join(clauses) or "true", parameters


def _clause(condition: Condition, dimension: Dimension, tables: FilteredTables) -> tuple[str, list[object]]:
    column = dimension.as_column
    match dimension.level:
        case "order":
            is_text = not (dimension.ordered or dimension.is_number)
            value = dimension.sql if is_text else f"coalesce(({dimension.sql})::VARCHAR, '')"
            clause, operands = condition_sql(condition, column, value)
            if dimension.is_number and condition.op in ("eq", "in"):
                clause, operands = among_numbers(dimension.sql, list(map(str, operands))), []
        case "line":
            clause, operands = condition_sql(condition, column, dimension.sql)
            clause = f"o.key IN (SELECT l.key FROM {tables.lines} AS l WHERE {clause})"
        case "tax":
            clause, operands = condition_sql(condition, column, dimension.sql)
            clause = f"o.key IN (SELECT t.key FROM {tables.taxes} AS t WHERE {clause})"
        case "list":
            clause, operands = condition_sql(condition, column, "x.value")
            # A list in an EXISTS would be a join of each order with itself.
            clause = f"list_bool_or(list_transform({list_sql(dimension)}, lambda v: {clause.replace('x.value', 'v')}))"
        case "row":
            clause, operands = condition_sql(condition, column, "value")
            values = tables.row_values({"value": dimension})
            clause = f"o.key IN (SELECT of_row FROM ({values}) WHERE {clause})"
        case "return":
            # Where a cancellation gave money back, the refunds from then on are part of it.
            clause, operands = condition_sql(condition, column, dimension.sql)
            returned, cancelled = (
                f"o.key IN (SELECT r.key FROM {tables.reversals} AS r WHERE r.kind = '{kind}' AND {clause})"
                for kind in ("return", "cancellation")
            )
            clause = f"{returned} OR (lower(o.status) IN ('refunded', 'partially_refunded') AND {cancelled})"
            operands = [*operands, *operands]
    return clause, list(operands)


def list_sql(dimension: Dimension) -> str:
    """SQL of the values of an order, as a list with at least one element: '' where it has none."""
    trimmed = f"list_transform(string_split({dimension.sql}, ','), lambda t: trim(t))"
    parts = f"list_distinct(list_filter({trimmed}, lambda t: t <> ''))"
    return f"CASE WHEN {dimension.sql} = '' THEN [''] ELSE {parts} END"


def among(value: str, texts: Sequence[str]) -> str:
    """SQL: a value is one of some texts."""
    return f"{value} IN ({', '.join(map(literal, texts))})" if texts else "false"


def among_numbers(value: str, texts: Sequence[str]) -> str:
    """SQL: a whole number, as decimal text, is one of some texts; NULL is ''. No number is turned into text."""
    numbers = [text for text in texts if re.fullmatch(_NUMBER, text)]
    clauses = [f"{value} IN ({', '.join(numbers)})"] if numbers else []
    clauses += [f"{value} IS NULL"] if "" in texts else []
    return f"({' OR '.join(clauses)})" if clauses else "false"
