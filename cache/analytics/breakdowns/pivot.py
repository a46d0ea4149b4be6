"""A pivot table: figures by rows and columns, the largest rows first, with totals that are computed from the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figures import SUMS, Figures, Returns
from cache.analytics.grouped_figures import Grouping, KeyPart, Part, Summed, grouped_sums, ranked_values, surely_exceeds
from cache.analytics.metrics import Metric
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Value
from cache.calendar.periods import Span, Unit
from cache.query.filters import Condition

MAX_GROUPS = 2_000  # of a dimension, that are read at once; of more, SQL finds the largest
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
    table, rows = _Computation(orders, query, conditions, returns, span).table()
    if compared_span is None:
        return table
    whole = replace(query, columns="", step=None)
    then, _ = _Computation(orders, whole, conditions, returns, compared_span).table(rows)
    before = {line.value: line.total for line in then.lines}
    lines = [replace(line, compared=before.get(line.value, orders.no_figures)) for line in table.lines]
    rest = table.unattributed and then.unattributed
    return replace(
        table,
        lines=lines,
        total=replace(table.total, compared=then.total.total),
        unattributed=table.unattributed and replace(table.unattributed, compared=rest.total if rest else None),
    )


@dataclass(frozen=True)
class _Ranked:
    """The values of a dimension in a table.

    Attributes:
        values: Those that are told apart, in their order.
        count: How many there are in all.
        figures: Figures by value, of all of them; None where there are too many.
    """

    values: Sequence[str] = ()
    count: int = 0
    figures: Mapping[str, Figures] | None = None

    @property
    def parts(self) -> list[KeyPart]:
        """The rows or columns."""
        others: list[KeyPart] = [Part.OTHERS] if self.count > len(self.values) else []
        return [*self.values, *others]


class _Computation:
    def __init__(
        self, orders: Orders, query: PivotQuery, conditions: Sequence[Condition], returns: Returns, span: Span | None
    ) -> None:
        self._orders = orders
        self._query = query
        metrics = query.metrics
        sources = orders.sources(any(each.customers for each in metrics), any(each.units for each in metrics))
        compositions = [orders.no_figures.composition(each.id) for each in metrics]
        names = {name for each in compositions for name in (*each.parts, *filter(None, [each.divisor]))}
        self._summed = Summed(sources, returns, orders.order_filter(span, conditions), frozenset(names))
        self._dimensions = [orders.dimension(name) for name in (query.rows, query.columns) if name]
        overlapping = any(each.is_overlapping for each in self._dimensions)
        self._only_sums = all(
            each.is_sum and (each.unit == "money" or each.units or not overlapping) for each in metrics
        )

    def table(self, rows: _Ranked | None = None) -> tuple[Pivot, _Ranked]:
        """The table, and its rows. `rows` are those of another period, whose values are shown."""
        query, orders = self._query, self._orders
        found = self._ranked(query.rows, query.top, query.sort)
        rows = found if rows is None else replace(found, values=rows.values, count=max(rows.count, found.count))
        columns = self._ranked(query.columns, query.top_columns, "")
        row_totals = self._totals(query.rows, rows)
        column_totals: Mapping[KeyPart, Figures]
        if query.step:
            column_totals = {key[-1]: figures for key, figures in self._sums([], {}, query.step).items()}
            shown: list[KeyPart] = sorted(column for column in column_totals if isinstance(column, datetime))
        else:
            column_totals, shown = self._totals(query.columns, columns), columns.parts
        cells = self._cells(rows, columns) if query.rows and (query.columns or query.step) else {}

        def line(value: KeyPart) -> PivotLine:
            inside = {column: cells[value, column] for column in shown if (value, column) in cells}
            return PivotLine(value, inside, row_totals.get(value, self._nothing))

        total = PivotLine(Part.TOTAL, column_totals, self._sums([], {}).get((None,), self._nothing))
        lines = [line(value) for value in rows.parts]
        levels = {each.level for each in self._dimensions}
        by_line = bool(query.rows) and orders.dimension(query.rows).level == "line"
        rest = _unattributed(total, lines) if by_line and not levels & {"list", "tax"} else None
        overlapping = any(each.is_overlapping for each in self._dimensions)
        return Pivot(shown, lines, total, rest, rows.count, overlapping), rows

    @property
    def _nothing(self) -> Figures:
        return self._orders.figures_of({}, self._summed.sources, self._summed.names)

    # -- which rows and columns

    def _ranked(self, name: DimensionId, top: int, sort: str) -> _Ranked:
        """The values that are told apart, in their order. `sort` is that of the query."""
        if not name:
            return _Ranked()
        dimension, descending = self._orders.dimension(name), self._query.descending
        of_column = sort.startswith(BY_COLUMN) and self._query.columns
        counts_all = dimension.level == "order" and not (of_column or self._query.within)
        if counts_all and surely_exceeds(self._orders.facts, dimension, self._summed.selected, MAX_GROUPS):
            return self._ranked_by_sql(name, top)  # all groups would be added up, only to be too many
        only = {1: (sort.removeprefix(BY_COLUMN),)} if of_column else {}
        groups = self._grouped([name, *([self._query.columns] if of_column else [])], {}, None, only, MAX_GROUPS)
        metric = self._query.metrics[0]
        if groups is None:
            return self._ranked_by_sql(name, top)
        figures = {key[0]: each for key, each in groups.items()}
        numbers = {value: metric.value(each) for value, each in figures.items()}
        if sort == BY_NAME or (dimension.ordered and not sort):
            values = sorted(numbers, key=_natural, reverse=sort == BY_NAME and descending)
        else:
            values = sorted(numbers, key=lambda value: (_missing_last(numbers[value], descending), value))
        most = MAX_ORDERED if dimension.ordered else top
        return _Ranked(values[:most], len(values), None if of_column else figures)

    def _ranked_by_sql(self, name: DimensionId, top: int) -> _Ranked:
        orders, composition = self._orders, self._orders.no_figures.composition(self._query.metrics[0].id)
        grouping, descending = self._grouping([name], {}, None, {}), self._query.descending
        return _Ranked(*ranked_values(orders.facts, grouping, self._summed, composition, descending, top))

    # -- figures

    def _totals(self, name: DimensionId, ranked: _Ranked) -> dict[KeyPart, Figures]:
        """Figures by value of a dimension, and of the others."""
        if not name:
            return {}
        if ranked.figures is not None and (self._only_sums or ranked.count <= len(ranked.values)):
            found: dict[KeyPart, Figures] = {value: ranked.figures.get(value, self._nothing) for value in ranked.values}
            others = [figures for value, figures in ranked.figures.items() if value not in found]
            return found | ({Part.OTHERS: _added(self._nothing, others)} if others else {})
        return {key[0]: figures for key, figures in self._sums([name], {0: ranked.values}).items()}

    def _cells(self, rows: _Ranked, columns: _Ranked) -> dict[tuple[KeyPart, KeyPart], Figures]:
        query = self._query
        if query.step:
            sums = self._sums([query.rows], {0: rows.values}, query.step)
            return {(key[0], key[-1]): figures for key, figures in sums.items()}
        sums = self._sums([query.rows, query.columns], {0: rows.values, 1: columns.values})
        return {(key[0], key[1]): figures for key, figures in sums.items()}

    def _sums(
        self, names: Sequence[DimensionId], kept: Mapping[int, Sequence[str]], step: Unit | None = None
    ) -> dict[tuple[Any, ...], Figures]:
        found = self._grouped(names, kept, step, {}, None)
        assert found is not None
        if not self._query.within:
            return found
        return {(*key[: len(names)], key[-1]): figures for key, figures in found.items()}

    def _grouped(
        self,
        names: Sequence[DimensionId],
        kept: Mapping[int, Sequence[str]],
        step: Unit | None,
        only: Mapping[int, Sequence[str]],
        most: int | None,
    ) -> dict[tuple[Any, ...], Figures] | None:
        """Figures by dimensions; None where there are more groups than `most`."""
        orders, summed = self._orders, self._summed
        sums = grouped_sums(orders.facts, self._grouping(names, kept, step, only), summed, most)
        if sums is None:
            return None
        return {key: orders.figures_of(values, summed.sources, summed.names) for key, values in sums.items()}

    def _grouping(
        self,
        names: Sequence[DimensionId],
        kept: Mapping[int, Sequence[str]],
        step: Unit | None,
        only: Mapping[int, Sequence[str]],
    ) -> Grouping:
        orders, within = self._orders, self._query.within
        if within:
            only = {**only, len(names): (within[1],)}
            names = [*names, within[0]]
        orders.check_shown(names)
        dimensions = tuple(map(orders.dimension, names))
        return Grouping(dimensions, orders.bucket_sql(step) if step else "", kept, only)


def _missing_last(value: Value, descending: bool) -> tuple[bool, Any]:
    """What to sort by. What has no value comes last in any case."""
    if isinstance(value, Absent):
        return True, 0
    return False, -value if descending else value


def _natural(value: str) -> tuple[bool, int, str]:
    """What to sort names by: numbers by size, texts behind them, '' last."""
    return not value, int(value) if value.isdecimal() and len(value) < 18 else 0, value.casefold()


def _added(nothing: Figures, parts: Sequence[Figures]) -> Figures:
    """Sums added up, also numbers of orders: no order counts in two of the parts."""
    values = {name: getattr(nothing, name) for name in SUMS}
    known = [name for name, value in values.items() if not isinstance(value, Absent)]
    return replace(nothing, **{name: sum((getattr(each, name) for each in parts), values[name]) for name in known})


def _unattributed(total: PivotLine, lines: Sequence[PivotLine]) -> PivotLine:
    """What belongs to no line: the total without them."""
    cells = {
        column: figures.plus([line.cells[column] for line in lines if column in line.cells], -1)
        for column, figures in total.cells.items()
    }
    return replace(total, cells=cells, total=total.total.plus([line.total for line in lines], -1))
