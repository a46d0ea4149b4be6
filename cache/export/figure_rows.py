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
        _add(made, _column(name, "text"), [row.values[i] for row in rows])
    if any(row.at for row in rows):
        starts = [row.at for row in rows if row.at]
        if hourly:
            _add(made, _column("step", "text"), [start.isoformat() for start in starts])
        else:
            _add(made, _column("step", "date"), [start.date() for start in starts])
        _add(made, _column("partial", "boolean"), [int(row.partial) for row in rows])
    for metric in table.metrics:
        _add_metric(made, metric, metric.id, [rounded(metric, table.value(metric, row.figures)) for row in rows])
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
        _add(made, _column(COMPARED, "json"), texts)
        return
    for metric in table.metrics:
        _add_metric(made, metric, f"{COMPARED}_{metric.id}", [each[metric.id] for each in compared])


def _add_metric(made: FigureColumns, metric: Metric, name: str, numbers: Sequence[Decimal | int | None]) -> None:
    if metric.unit == "count":
        _add(made, _column(name, "integer"), numbers)
        return
    exact = [None if number is None else Decimal(number) for number in numbers]
    used = (-int(number.as_tuple().exponent) for number in exact if number is not None)
    decimals = max([_DECIMALS[metric.unit][0], *used])
    _add(made, _column(name, "decimal", decimals), exact)


def _column(name: str, kind: Kind, decimals: int = 0) -> Column:
    digits = _DIGITS if kind == "decimal" else 0
    return Column(name=name, type="", kind=kind, nullable=True, digits=digits, decimals=decimals)


def _add(made: FigureColumns, column: Column, values: Sequence[object]) -> None:
    made.columns.append(column)
    made.values.append(pa.array(values, arrow_schema([column]).field(0).type))
