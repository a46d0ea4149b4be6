"""Figures as rows of columns, so that they are written in the same formats as rows of the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

import pyarrow as pa

from cache.analytics.figure_table import FigureRow, FigureTable
from cache.analytics.metrics import Metric, Unit
from cache.analytics.values import Absent, Value
from cache.schema import Column, Kind
from cache.storage.row_encoding import arrow_schema

COMPARED = "compared"
"""The key of the figures of the compared period, and the prefix of their columns where values cannot be nested."""

_DIGITS = 38
# Decimals at least, and at most: a quotient is rounded there.
_DECIMALS: dict[Unit, tuple[int, int]] = {"money": (2, 4), "rate": (0, 6), "duration": (0, 3)}


class FigureColumns(NamedTuple):
    """Rows of figures, as columns.

    Attributes:
        columns: The columns.
        values: An array for each of them.
    """

    columns: list[Column]
    values: list[pa.Array]

    def add(self, name: str, kind: Kind, values: Sequence[object], decimals: int = 0) -> None:
        """Adds a column. `decimals` are those of its numbers, or of its seconds."""
        digits = _DIGITS if kind == "decimal" else 0
        column = Column(name=name, type="", kind=kind, nullable=True, digits=digits, decimals=decimals)
        self.columns.append(column)
        self.values.append(pa.array(values, arrow_schema([column]).field(0).type))

    def add_numbers(self, name: str, unit: Unit, numbers: Sequence[Decimal | int | None]) -> None:
        """Adds a column of rounded values in a unit."""
        if unit == "count":
            self.add(name, "integer", numbers)
            return
        exact = [None if number is None else Decimal(number) for number in numbers]
        used = (-int(number.as_tuple().exponent) for number in exact if number is not None)
        self.add(name, "decimal", exact, max([_DECIMALS[unit][0], *used]))


def rounded(metric: Metric, value: Value) -> Decimal | int | None:
    """A value as it is written: money has at least two decimals, a quotient a bounded number of them."""
    if isinstance(value, Absent):
        return None
    if metric.unit == "count" or isinstance(value, int):
        return int(value)
    least, most = _DECIMALS[metric.unit]
    number = value.quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP).normalize()
    decimals = max(least, -int(number.as_tuple().exponent))
    return number.quantize(Decimal(1).scaleb(-decimals))


def json_value(number: Decimal | int | None) -> str | int | None:
    """A rounded value in JSON: decimals are strings."""
    return f"{number:f}" if isinstance(number, Decimal) else number


def figure_columns(table: FigureTable, rows: Sequence[FigureRow], hourly: bool, nested: bool) -> FigureColumns:
    """Turns rows of figures into columns.

    Args:
        table: The figures.
        rows: Some of its rows.
        hourly: Whether buckets are hours; then they are texts, since the shop's clock has no time zone in any format.
        nested: Whether a cell may hold the figures of the compared period as JSON. Otherwise each has a column.
    """
    made = FigureColumns([], [])
    for i, name in enumerate(table.by):
        made.add(name, "text", [row.values[i] for row in rows])
    if any(row.at for row in rows):
        starts = [row.at for row in rows if row.at]
        if hourly:
            made.add("step", "text", [start.isoformat() for start in starts])
        else:
            made.add("step", "date", [start.date() for start in starts])
        made.add("partial", "boolean", [int(row.partial) for row in rows])
    for metric in table.metrics:
        numbers = [rounded(metric, table.value(metric, row.figures)) for row in rows]
        made.add_numbers(metric.id, metric.unit, numbers)
    if table.compared_span:
        _add_compared(made, table, rows, nested)
    return made


def _add_compared(made: FigureColumns, table: FigureTable, rows: Sequence[FigureRow], nested: bool) -> None:
    compared = [
        {metric.id: rounded(metric, table.value(metric, row.compared)) for metric in table.metrics}
        for row in rows
        if row.compared
    ]
    if nested:
        texts = [json.dumps({name: json_value(number) for name, number in each.items()}) for each in compared]
        made.add(COMPARED, "json", texts)
        return
    for metric in table.metrics:
        made.add_numbers(f"{COMPARED}_{metric.id}", metric.unit, [each[metric.id] for each in compared])
