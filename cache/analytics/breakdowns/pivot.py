"""A pivot table: figures by rows and columns, the largest rows first, with totals that are computed from the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figures import Figures, Returns
from cache.analytics.grouped_figures import Grouping, KeyPart, Part, grouped_sums
from cache.analytics.metrics import Metric
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Value
from cache.calendar.periods import Span, Unit
from cache.query.filters import Condition

MAX_ORDERED = 60  # values of a dimension with an order of its own, which are all shown
BY_NAME, BY_TOTAL, BY_COLUMN = "name", "total", "@"
"""What rows are sorted by; the last one stands before the value of a column."""


@dataclass(frozen=True)
class PivotQuery:
    """What a table shows.

    Attributes:
        metrics: The figures of each cell; rows are sorted by the first.
        rows: The dimension of the rows; "" for the total alone.
        columns: The dimension of the columns; "" for none.
        step: The step of time of the columns, where they are no dimension.
        top: How many rows are told apart. The others are one row.
        top_columns: The same for columns.
        sort: BY_NAME, BY_TOTAL, or BY_COLUMN and a value; "" for the total, but the order of time for hours and such.
        descending: Whether the largest comes first.
        within: A dimension and a value of it: only what has that value. Of line items, only these lines count.
    """

    metrics: tuple[Metric, ...]
    rows: DimensionId
    columns: DimensionId = ""
    step: Unit | None = None
    top: int = 10
    top_columns: int = 6
    sort: str = ""
    descending: bool = True
    within: tuple[DimensionId, str] | None = None


@dataclass(frozen=True)
class PivotLine:
    """A row of a table.

    Attributes:
        value: The value of its dimension, or a Part.
        cells: Column -> figures.
        total: Figures of the row as a whole.
        compared: The same of the compared period; None where nothing is compared.
    """

    value: KeyPart
    cells: Mapping[KeyPart, Figures]
    total: Figures
    compared: Figures | None = None


@dataclass(frozen=True)
class Pivot:
    """A table.

    Attributes:
        columns: The columns in their order: values, starts of buckets, `Part.OTHERS`. Empty where there are none.
        lines: The rows in their order; the one of the others is the last.
        total: All together, computed from the whole.
        unattributed: What belongs to no row, where rows are line items; else None. Lines and this add up to the total.
        row_count: How many rows there are, with those that are not told apart.
        is_overlapping: Whether an order may count in several rows or columns.
    """

    columns: Sequence[KeyPart]
    lines: Sequence[PivotLine]
    total: PivotLine
    unattributed: PivotLine | None
    row_count: int
    is_overlapping: bool


def pivot(
    orders: Orders,
    query: PivotQuery,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    returns: Returns = "returned",
    compared_span: Span | None = None,
) -> Pivot:
    """Computes a table.

    Args:
        orders: The orders.
        query: What the table shows.
        span: The period; None for all time.
        conditions: Conditions on dimensions.
        returns: The date that refunds count on.
        compared_span: What the total of each row is compared with; None where nothing is compared.

    Raises:
        BadFilter: A condition, or a dimension, does not fit the table.
        ColumnMasked: A mask hides a dimension.
    """
    return _Computation(orders, query, tuple(conditions), returns).table(span, compared_span)


@dataclass(frozen=True)
class _Computation:
    orders: Orders
    query: PivotQuery
    conditions: tuple[Condition, ...]
    returns: Returns

    def table(self, span: Span | None, compared_span: Span | None) -> Pivot:
        query = self.query
        rows, row_count = self._ranked(query.rows, query.top, span, query.sort)
        columns, _ = self._ranked(query.columns, query.top_columns, span, "") if query.columns else ([], 0)
        rows_kept, columns_kept = [v for v in rows if isinstance(v, str)], [v for v in columns if isinstance(v, str)]
        cells = self._figures(span, rows_kept, columns_kept, bool(query.rows), bool(query.columns or query.step))
        compared = self._figures(compared_span, rows_kept, [], bool(query.rows), False) if compared_span else None
        if query.step:
            columns = sorted({column for _, column in cells if isinstance(column, datetime)})

        def line(value: KeyPart) -> PivotLine:
            found = {column: cells[value, column] for column in columns if (value, column) in cells}
            then = compared.get((value, Part.TOTAL), self.orders.no_figures) if compared is not None else None
            return PivotLine(value, found, cells.get((value, Part.TOTAL), self.orders.no_figures), then)

        total = line(Part.TOTAL)
        lines = [line(value) for value in rows] if query.rows else []
        levels = {self.orders.dimension(name).level for name in (query.rows, query.columns) if name}
        rest = None
        if query.rows and self.orders.dimension(query.rows).level == "line" and "list" not in levels:
            rest = _unattributed(total, lines)
        return Pivot(columns, lines, total, rest, row_count, bool(levels & {"line", "list"}))

    # -- which rows and columns

    def _ranked(self, name: DimensionId, top: int, span: Span | None, sort: str) -> tuple[list[KeyPart], int]:
        """The values that are told apart, in their order, and how many there are. `sort` is a column."""
        if not name:
            return [], 0
        dimension = self.orders.dimension(name)
        named = sort == BY_NAME or (dimension.ordered and not sort)
        of_column = None
        if sort.startswith(BY_COLUMN) and self.query.columns:
            of_column = self.query.columns, sort.removeprefix(BY_COLUMN)
        sums = self._sums(
            span, [name, *([of_column[0]] if of_column else [])], {1: (of_column[1],)} if of_column else {}
        )
        metric = self.query.metrics[0]
        numbers = {key[0]: metric.value(figures) for key, figures in sums.items() if figures.found}
        if named:
            most = MAX_ORDERED if dimension.ordered else top
            values = sorted(numbers, key=_natural, reverse=sort == BY_NAME and self.query.descending)
        else:
            most, values = (
                top,
                sorted(numbers, key=lambda value: (_missing_last(numbers[value], self.query.descending), value)),
            )
        kept: list[KeyPart] = values[:most]
        return kept + [Part.OTHERS] * (len(values) > most), len(values)

    # -- figures

    def _figures(
        self, span: Span | None, rows: Sequence[str], columns: Sequence[str], by_row: bool, by_column: bool
    ) -> dict[tuple[KeyPart, KeyPart], Figures]:
        """Figures by row and column, each with `Part.TOTAL` among its values."""
        found: dict[tuple[KeyPart, KeyPart], Figures] = {}
        for row in (True, False) if by_row else (False,):
            for column in (True, False) if by_column else (False,):
                names: list[DimensionId] = []
                kept: dict[int, Sequence[str]] = {}
                if row:
                    kept[len(names)] = rows
                    names.append(self.query.rows)
                if column and self.query.columns:
                    kept[len(names)] = columns
                    names.append(self.query.columns)
                step = self.query.step if column and not self.query.columns else None
                for key, figures in self._sums(span, names, {}, kept, step).items():
                    first = key[0] if row else Part.TOTAL
                    second = (key[-1] if step else key[int(row)]) if column else Part.TOTAL
                    found[first, second] = figures
        return found

    def _sums(
        self,
        span: Span | None,
        names: Sequence[DimensionId],
        only: Mapping[int, Sequence[str]],
        kept: Mapping[int, Sequence[str]] | None = None,
        step: Unit | None = None,
    ) -> dict[tuple[Any, ...], Figures]:
        """Figures by dimensions."""
        orders, within = self.orders, self.query.within
        if within:
            only = {**only, len(names): (within[1],)}
            names = [*names, within[0]]
        orders.check_shown(names)
        sources = orders.sources(
            any(metric.customers for metric in self.query.metrics), any(metric.units for metric in self.query.metrics)
        )
        grouping = Grouping(
            tuple(map(orders.dimension, names)), orders.bucket_sql(step) if step else "", kept or {}, only
        )
        selected = orders.order_filter(span, self.conditions)
        sums = grouped_sums(orders.facts, grouping, sources, self.returns, selected)
        return {key: orders.figures_of(values, sources) for key, values in sums.items()}


def _missing_last(value: Value, descending: bool) -> tuple[bool, Any]:
    """What to sort by. What has no value comes last in any case."""
    if isinstance(value, Absent):
        return True, 0
    return False, -value if descending else value


def _natural(value: str) -> tuple[bool, int, str]:
    """What to sort names by: numbers by size, texts behind them, '' last."""
    return not value, int(value) if value.isdecimal() and len(value) < 18 else 0, value.casefold()


def _unattributed(total: PivotLine, lines: Sequence[PivotLine]) -> PivotLine:
    """What belongs to no line: the total without them."""

    def rest(whole: Figures, parts: Sequence[Figures]) -> Figures:
        return whole.plus(parts, -1)

    cells = {
        column: rest(figures, [line.cells[column] for line in lines if column in line.cells])
        for column, figures in total.cells.items()
    }
    then = [line.compared for line in lines if line.compared]
    compared = rest(total.compared, then) if total.compared else None
    return replace(total, cells=cells, total=rest(total.total, [line.total for line in lines]), compared=compared)
