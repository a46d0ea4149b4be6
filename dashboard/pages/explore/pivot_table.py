"""The table of Explore: rows by columns, with totals, shares and changes. Each number leads to its orders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn

from cache.analytics.breakdowns.pivot import BY_COLUMN, BY_NAME, Pivot, PivotLine
from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figures import Figures
from cache.analytics.grouped_figures import KeyPart, Part
from cache.analytics.metrics import Metric
from cache.analytics.values import Absent, or_zero, ratio
from cache.calendar.steps import STEPS, Bucket, buckets
from dashboard.address import change_parameters
from dashboard.components.table import Cell, Column, Line, table
from dashboard.pages.explore.question import OPEN, SORT, Question
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import LARGE, change, write
from dashboard.text.periods import bucket_text
from dashboard.view import custom_period

_OPENS, _GOES = "open", "go"  # what a pick does


def pivot_table(session: Session, question: Question, pivot: Pivot) -> None:
    """Draws the table for a period as a whole."""
    by_column = [Column(_column_name(question, column), True) for column in pivot.columns]
    lines = [line for each in pivot.lines for line in _lines(question, pivot, each)]
    if pivot.unattributed and _shows(question, pivot.unattributed):
        lines.append(_line(question, pivot, pivot.unattributed, _unattributed_name(question), "quiet"))
    lines.append(_line(question, pivot, pivot.total, "Total", "strong"))
    picked = table(
        "As a table",
        list(_columns(question, pivot, by_column)),
        lines,
        key="explored_table",
        on_pick=lambda pick: _open(question, pick),
        on_sort=lambda column: _sort(question, column),
        sorted_by=_sorted_by(question),
        exported=True,
    )
    if picked:
        _go(session, question, picked)


def time_table(session: Session, question: Question, pivot: Pivot) -> None:
    """Draws the table over time: a row for each step, the newest first."""
    step, span = question.step, question.selection.span
    assert step and span
    rest = [pivot.unattributed] if pivot.unattributed else []
    series = [*pivot.lines, *rest, *([pivot.total] if question.rows else [])] or [pivot.total]
    names = [*series_names(question, pivot), *(_unattributed_name(question) for _ in rest)]
    names += ["Total"] * bool(question.rows)
    columns = [Column(STEPS[step].label), *(Column(name, True) for name in names)]
    lines = []
    for bucket in reversed(buckets(step, span, question.selection.calendar)):
        texts = [_number(question, line.cells.get(bucket.start)) for line in series]
        lines.append(Line([bucket_text(step, bucket), *texts], id=_bucket_id(bucket)))
    lines.append(Line(["Total", *(_number(question, line.total) for line in series)], look="strong"))
    if picked := table("As a table", columns, lines, key="explored_table", on_pick=lambda _: None, exported=True):
        _go(session, question, picked)


def _columns(question: Question, pivot: Pivot, by_column: Sequence[Column]) -> Iterator[Column]:
    orders = question.selection.orders
    yield Column(orders.dimension(question.rows).label if question.rows else "", sort=BY_NAME if question.rows else "")
    several = len(question.metrics) > 1
    for column, shown in zip(pivot.columns, by_column, strict=True):
        sort = f"{BY_COLUMN}{column}" if isinstance(column, str) and question.rows else ""
        for i, metric in enumerate(question.metrics):
            label = f"{shown.label} · {metric.label}" if several else shown.label
            yield Column(label, True, sort="" if i else sort)
    for metric in question.metrics:
        label = f"Total · {metric.label}" if several and pivot.columns else "Total" if pivot.columns else metric.label
        yield Column(label, True, sort=metric.id if question.rows else "")
    if _has_share(question):
        yield Column("Share", True, wide=True)
    if _has_change(question, pivot):
        yield Column("Change", True)


def _has_share(question: Question) -> bool:
    return bool(question.rows) and question.metric.is_sum


def _has_change(question: Question, pivot: Pivot) -> bool:
    return pivot.total.compared is not None


def _lines(question: Question, pivot: Pivot, line: PivotLine) -> Iterator[Line]:
    """A row, and what it opens into."""
    name = _line_name(question, pivot, line, False)
    is_value = isinstance(line.value, str)
    if not (question.inner and is_value):
        yield _line(question, pivot, line, name, "" if is_value else "quiet")
        return
    is_open = line.value in question.opened
    own = _line(question, pivot, line, f"{'▾' if is_open else '▸'} {name}", "")
    yield Line(own.cells, json.dumps([_OPENS, line.value]), look=own.look)
    if is_open:
        inside = question.inner_table(str(line.value))
        for each in inside.lines:
            label = question.name(question.inner, each.value) if isinstance(each.value, str) else _others(inside)
            yield _line(question, pivot, each, f"\u2003\u2002{label}", "quiet", outer=str(line.value))


def _line(question: Question, pivot: Pivot, line: PivotLine, name: str, look: str, outer: str | None = None) -> Line:
    rows = _place(question, line, outer)
    cells: list[str | Cell] = [name]
    for column in pivot.columns:
        place = None if rows is None else _with_column(question, rows, column)
        figures = line.cells.get(column)
        of_row = _share_of_row(question, figures, line.total)
        cells += [
            _cell(question, metric, figures, pivot, place, of_row if metric is question.metric else "")
            for metric in question.metrics
        ]
    cells += [_cell(question, metric, line.total, pivot, rows) for metric in question.metrics]
    if _has_share(question):
        whole, part = question.metric.value(pivot.total.total), question.metric.value(line.total)
        share = ratio(part, whole)
        text = "–" if isinstance(share, Absent) or isinstance(whole, Absent) or whole < 0 else formatting.percent(share)
        cells.append(text)
    if _has_change(question, pivot):
        before = question.metric.value(line.compared) if line.compared else Absent.NOT_REQUESTED
        now = question.metric.value(line.total)
        text, _ = change(now, before, question.metric.unit == "rate")
        gained = not isinstance(now, Absent) and not isinstance(before, Absent) and now and not before
        cells.append(text or ("new" if gained else "–"))
    goes = isinstance(line.value, str) and rows is not None
    return Line(cells, json.dumps([_GOES, rows]) if goes else None, look=look)


def _cell(
    question: Question,
    metric: Metric,
    figures: Figures | None,
    pivot: Pivot,
    place: dict[str, str] | None,
    under: str = "",
) -> str | Cell:
    text = _written(question, metric, figures, _is_large(metric, pivot))
    pick = json.dumps([_GOES, place]) if place is not None and figures is not None else ""
    value = metric.value(figures) if figures else metric.empty
    exact = None if isinstance(value, Absent) else Decimal(value)
    return Cell(text, value=exact, under=under, pick=pick)


def _share_of_row(question: Question, figures: Figures | None, whole: Figures) -> str:
    """The share of a cell of its row, such as that of returning customers; "" where it has none."""
    metric = question.metric
    if question.selection.orders.dimension(question.columns).ordered:  # 24 hours of 7 days are enough to read
        return ""
    if figures is None or not metric.is_sum or or_zero(metric.value(whole)) <= 0:
        return ""
    of_row = ratio(metric.value(figures), metric.value(whole))
    return "" if isinstance(of_row, Absent) else formatting.percent(of_row)


def _is_large(metric: Metric, pivot: Pivot) -> bool:
    return abs(Decimal(or_zero(metric.value(pivot.total.total)))) >= LARGE


def _number(question: Question, figures: Figures | None) -> str:
    return _written(question, question.metric, figures, False)


def _written(question: Question, metric: Metric, figures: Figures | None, whole: bool) -> str:
    value = metric.value(figures) if figures else metric.empty
    return write(metric, value, question.selection.currency, whole)


# -- names


def series_names(question: Question, pivot: Pivot) -> list[str]:
    """What the rows are called; the figure, where there are none."""
    if not question.rows:
        return [question.metric.label]
    return [_line_name(question, pivot, line, False) for line in pivot.lines]


def _line_name(question: Question, pivot: Pivot, line: PivotLine, is_rest: bool) -> str:
    if is_rest:
        return _unattributed_name(question)
    if line.value is Part.TOTAL:
        return "Total"
    return _others(pivot) if line.value is Part.OTHERS else question.name(question.rows, line.value)


def _others(pivot: Pivot) -> str:
    count = pivot.row_count - sum(isinstance(line.value, str) for line in pivot.lines)
    return f"{count:,} other{'' if count == 1 else 's'}"


def _unattributed_name(question: Question) -> str:
    return f"No {question.selection.orders.dimension(question.rows).noun}"


def _shows(question: Question, rest: PivotLine) -> bool:
    """Whether something belongs to no row."""
    values = [metric.value(rest.total) for metric in question.metrics]
    return any(not isinstance(value, Absent) and value for value in values)


def _column_name(question: Question, column: KeyPart) -> str:
    return "Others" if column is Part.OTHERS else question.name(question.columns, column)


# -- picks


def _place(question: Question, line: PivotLine, outer: str | None) -> dict[str, str] | None:
    """The filters that select the orders of a row; None for a row without orders of its own."""
    if line.value is Part.OTHERS or (line.value is Part.TOTAL and isinstance(line.total.value("orders"), Absent)):
        return None
    if line.value is Part.TOTAL:
        return {}
    return {question.rows: line.value} if outer is None else {question.rows: outer, question.inner: line.value}


def _with_column(question: Question, rows: dict[str, str], column: KeyPart) -> dict[str, str] | None:
    return {**rows, question.columns: column} if isinstance(column, str) else None


def _bucket_id(bucket: Bucket) -> str:
    return json.dumps([_GOES, {"from": bucket.counted.start.isoformat(), "to": bucket.counted.end.isoformat()}])


def _open(question: Question, pick: str) -> None:
    what, value = json.loads(pick)
    if what == _OPENS:
        opened = [each for each in question.opened if each != value]
        change_parameters({OPEN: opened if value in question.opened else [*question.opened, value]})


def _go(session: Session, question: Question, pick: str) -> None:
    """Opens the orders of a cell."""
    what, place = json.loads(pick)
    if what == _GOES:
        go_to_orders(session, question, place)


def go_to_orders(session: Session, question: Question, place: dict[DimensionId, str]) -> NoReturn:
    """Opens the orders of a cell. `place` has a value for each dimension, or the begin and the end of a bucket."""
    if "from" in place:
        start, end = (datetime.fromisoformat(place[name]) for name in ("from", "to"))
        session.navigator.go("orders", **custom_period(type(question.selection.span)(start, end)))  # type: ignore[misc]
    session.navigator.go("orders", **place)


def _sorted_by(question: Question) -> str:
    if question.sort or not question.rows:
        return question.sort
    ordered = question.selection.orders.dimension(question.rows).ordered
    return BY_NAME if ordered else f"-{question.metric.id}"


def _sort(question: Question, column: str) -> None:
    """Sorts by a column, the largest first. Picked once more, the smallest is first. Names begin with the first."""
    current = _sorted_by(question)
    first, second = (column, f"-{column}") if column == BY_NAME else (f"-{column}", column)
    change_parameters({SORT: second if current == first else first})
