"""What changed: which products, places, channels, codes and customers made the change of a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import streamlit as st

from cache.analytics.breakdowns.contributions import Change, Contribution
from cache.analytics.dimensions.catalogue import DIMENSIONS, DimensionId
from cache.analytics.metrics import METRICS, Metric
from cache.calendar.periods import Span
from dashboard import data, frame
from dashboard.address import change_parameters, parameter, set_parameter
from dashboard.components import charts
from dashboard.components.listing import SORT, sort_anew, sorted_by
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import message
from dashboard.pages.explanation import EXPLAIN
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import write_code
from dashboard.text.metrics import LARGE, change, write
from dashboard.text.periods import date_range
from dashboard.view import custom_period

METRIC, BY, ALL = "metric", "by", "all"  # parameters of the address
ROWS, BARS = 20, 12
_BY = (
    *("product", "product_title", "variant", "vendor", "channel", "country", "region", "city", "discount"),
    *("customer_type", "tag", "status", "fulfilment", "weekday", "hour_of_day"),
)
_USUAL_SORT = "-size"
_OF_REFUNDS = ("returns", "adjustments", "taxes_refunded")  # of orders placed earlier, too: their events are listed
_LABELS = {"volume": "Volume", "price": "Price", "mix": "Mix"}
_SORTS: Mapping[str, Callable[[Contribution], Decimal]] = {
    "size": lambda each: abs(each.change),
    "change": lambda each: each.change,
    "before": lambda each: each.before,
    "now": lambda each: each.now,
    "volume": lambda each: each.effects.get("volume", Decimal(0)),
    "price": lambda each: each.effects.get("price", Decimal(0)),
    "mix": lambda each: each.effects.get("mix", Decimal(0)),
}


def what_changed(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "What changed")
    if selection is None:
        return
    metrics = {name: each for name, each in METRICS.items() if each.is_sum and each.available(selection.orders.missing)}
    by = [name for name in _BY if selection.orders.offers(name)]
    if not selection.span or not selection.compared_span:
        message("note", "Choose a period, and what it is compared with, to see what changed.")
    elif not by:
        message("note", "The table has no column by which a change could be broken down.")
    else:
        metric = metrics.get(parameter(METRIC), next(iter(metrics.values())))
        name = parameter(BY) if parameter(BY) in by else by[0]
        _controls(metrics, metric, by, name)
        _answer(session, selection, metric, name, (selection.span, selection.compared_span))
    frame.foot(selection)


def _controls(metrics: Mapping[str, Metric], metric: Metric, by: Sequence[DimensionId], name: DimensionId) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="explored"):
        set_value("changed_metric", metric.id)
        st.selectbox(
            "Figure",
            list(metrics),
            key="changed_metric",
            format_func=lambda each: metrics[each].label,
            width=240,
            on_change=lambda: change_parameters({METRIC: st.session_state["changed_metric"], SORT: "", ALL: ""}),
        )
        set_value("changed_by", name)
        st.selectbox(
            "By",
            by,
            key="changed_by",
            format_func=lambda each: DIMENSIONS[each].label,
            width=220,
            on_change=lambda: change_parameters({BY: st.session_state["changed_by"], SORT: "", ALL: ""}),
        )


def _answer(session: Session, selection: Selection, metric: Metric, by: DimensionId, spans: tuple[Span, Span]) -> None:
    found = data.change_of(selection.orders, metric, by, spans, selection.conditions, selection.returns)
    with st.container(border=True, key="changed_chart"):
        st.header(formatting.literal(_title(selection, metric, found)), anchor=False)
        st.caption(
            formatting.plain(f"{date_range(spans[0])}, compared with {date_range(spans[1])}. {_note(found, by)}")
        )
        draw_marks(session, selection, metric.id)
        values = [(_name(selection, by, each), each.change) for each in found.contributions[:BARS] if each.change]
        if values:
            rows, spec = charts.bars(values, metric, selection.currency)
            alt = f"The largest changes of {metric.label}, as bars. The table below has the numbers."
            st.vega_lite_chart(rows, spec, width="stretch", alt=alt, key="changed_bars")
    with st.container(border=True):
        st.header(formatting.literal(f"By {DIMENSIONS[by].noun}"), anchor=False)
        _table(session, selection, metric, by, found, spans)


def _title(selection: Selection, metric: Metric, found: Change) -> str:
    whole = max(abs(found.now), abs(found.before)) >= LARGE if metric.unit == "money" else None
    now, before = (
        write(metric, _whole(metric, number), selection.currency, whole) for number in (found.now, found.before)
    )
    relative, _ = change(found.now, found.before)
    by = f", {relative}" if relative else ""
    return f"{metric.label}: {now}, from {before} ({_signed(selection, metric, found.change, bool(whole))}{by})"


def _note(found: Change, by: DimensionId) -> str:
    if found.is_overlapping:
        return "An order counts in each row that it belongs to, so that the rows do not add up."
    if found.effects:
        return (
            "Volume: more or fewer pieces at the average price of before. Price: the same pieces at another price. "
            "Mix: more or fewer pieces of what costs more, or less, than the average. The three add up to the "
            "change of each product."
        )
    if DIMENSIONS[by].level == "line":
        return "Choose gross sales to see volume, price and mix apart."
    return ""


def _table(
    session: Session,
    selection: Selection,
    metric: Metric,
    by: DimensionId,
    found: Change,
    spans: tuple[Span, Span],
) -> None:
    sort = sorted_by(_SORTS, _USUAL_SORT)
    ordered = sorted(found.contributions, key=_SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    shown = ordered if parameter(ALL) else ordered[:ROWS]
    whole = max(abs(found.now), abs(found.before)) >= LARGE
    effects = list(found.effects)
    columns = [
        Column(DIMENSIONS[by].label),
        Column("Before", True, sort="before"),
        Column("Now", True, sort="now"),
        Column("Change", True, sort="change"),
        *(Column(_LABELS[name], True, sort=name) for name in effects),
    ]

    def text(number: Decimal) -> str:
        return write(metric, _whole(metric, number), selection.currency, whole if metric.unit == "money" else None)

    def line(name: str, parts: Sequence[Contribution], look: str = "") -> Line:
        now, before = (sum((getattr(each, side) for each in parts), Decimal(0)) for side in ("now", "before"))
        changed = now - before
        value = parts[0].value if len(parts) == 1 and not look else None
        note = {"gained": "new", "lost": "gone"}.get(parts[0].fate, "") if value is not None else ""
        cells: list[str | Cell] = [
            Cell(name, under=note),
            Cell(text(before), pick=f"1 {value}") if value is not None and before else text(before),
            Cell(text(now), pick=f"0 {value}") if value is not None and now else text(now),
            Cell(_signed(selection, metric, changed, whole), tone=_tone(metric, changed)),
        ]
        for effect in effects:
            known = any(each.effects for each in parts)
            amount = sum((each.effects.get(effect, Decimal(0)) for each in parts), Decimal(0))
            cells.append(_signed(selection, metric, amount, whole) if known else "–")
        return Line(cells, None if value is None else f"{0 if now else 1} {value}", look=look)

    lines = [line(_name(selection, by, each), [each], "" if each.value is not None else "quiet") for each in shown]
    if others := ordered[len(shown) :]:
        lines.append(line(formatting.counted(len(others), "other"), others, "quiet"))
    if not found.is_overlapping:
        lines.append(line("Total", ordered or [Contribution(None, found.now, found.before, {})], "strong"))
    picked = table(
        f"By {DIMENSIONS[by].noun}",
        columns,
        lines,
        key="changed_table",
        exported=True,
        on_pick=lambda _: None,
        on_sort=lambda column: sort_anew(column, sort, _USUAL_SORT),
        sorted_by=sort,
    )
    if others:
        st.button("Show all", key="changed_all", type="tertiary", on_click=set_parameter, args=(ALL, "true"))
    if picked:
        which, _, value = picked.partition(" ")
        period = custom_period(spans[int(which)])
        if metric.id in _OF_REFUNDS and selection.returns == "returned":
            session.navigator.go("overview", **{**period, by: value, EXPLAIN: metric.id})
        session.navigator.go("orders", **{**period, by: value})


def _name(selection: Selection, by: DimensionId, each: Contribution) -> str:
    return write_code(selection.orders, by, each.value) if each.value is not None else f"No {DIMENSIONS[by].noun}"


def _whole(metric: Metric, number: Decimal) -> Decimal | int:
    return number if metric.unit == "money" else int(number)


def _signed(selection: Selection, metric: Metric, number: Decimal, whole: bool = False) -> str:
    text = write(metric, _whole(metric, number), selection.currency, whole if metric.unit == "money" else None)
    return f"+{text}" if number > 0 else text


def _tone(metric: Metric, changed: Decimal) -> formatting.Tone | None:
    if not changed or metric.better == "neither":
        return None
    return "green" if (changed > 0) == (metric.better == "more") else "red"
