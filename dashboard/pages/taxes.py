"""Taxes: charged, refunded and net by country, region and rate, as a filing asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import streamlit as st

from cache.analytics.dimensions.catalogue import DIMENSIONS, TAX_RATE, DimensionId
from cache.analytics.figures import Figures, Group
from cache.analytics.metrics import METRICS
from cache.analytics.values import Value, or_zero
from dashboard import data, frame
from dashboard.address import change_parameters, parameter_values
from dashboard.components.blocks import metric_cards
from dashboard.components.listing import SORT, sort_anew, sorted_by
from dashboard.components.marks import draw_marks
from dashboard.components.no_orders import nothing_found
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import message
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import TAX_RATE_NOTE, write_code
from dashboard.text.formatting import counted
from dashboard.text.metrics import write
from dashboard.text.periods import date_range

BY = "by"  # parameter of the address
_CHOICES: Mapping[tuple[DimensionId, ...], str] = {
    ("country",): "Country",
    ("country", "region"): "Country and region",
    (TAX_RATE,): "Rate",
    ("country", TAX_RATE): "Country and rate",
    ("country", "region", TAX_RATE): "Country, region and rate",
}
_CARDS = ("taxes", "taxes_charged", "taxes_refunded", "untaxed_sales")
_AMOUNTS = ("untaxed_sales", "taxes_charged", "taxes_refunded", "taxes")
_USUAL_SORT = "-taxes_charged"
SHOWN = 100  # rows, until the visitor asks for all


def taxes(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Taxes")
    if selection is None:
        return
    missing = selection.orders.missing
    if "taxes" in missing:
        message("note", missing["taxes"])
        return
    now = selection.figures()
    if now.found:
        metric_cards(
            session,
            selection,
            "Taxes",
            _CARDS,
            "tax_cards",
            lambda metric: session.navigator.go("overview", explain=metric),
        )
        if count := data.count_untaxed_refunds(
            selection.orders, selection.span, selection.conditions, selection.returns
        ):
            message("warning", _untaxed(count))
        _table(session, selection, now)
    else:
        nothing_found(session, selection)
    frame.foot(selection)


def _untaxed(count: int) -> str:
    refunds = counted(count, "refund of a taxed order names", "refunds of taxed orders name")
    return (
        f"{refunds} no tax. All of their money counts as returned goods, so that refunded taxes may be too low and "
        "net taxes too high. Check these refunds before you file."
    )


def _table(session: Session, selection: Selection, total: Figures) -> None:
    choices = [by for by in _CHOICES if all(map(selection.orders.offers, by))]
    if not choices:
        return
    by = next((each for each in choices if list(each) == parameter_values(BY)), choices[0])
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="taxes_head"):
            st.header(f"Taxes by {_CHOICES[by].lower()}", anchor=False, width="stretch")
            if len(choices) > 1:
                _choice(choices, by)
        draw_marks(session, selection, "taxes")
        if note := _note(selection, by):
            st.caption(formatting.plain(note))
        groups = data.groups(selection.orders, by, selection.span, selection.conditions, selection.returns)
        names = [name for name in _AMOUNTS if METRICS[name].available(selection.orders.missing)]
        if TAX_RATE in by:  # which goods of an order a rate is of, the table does not say
            names = [name for name in names if name != "untaxed_sales"]
            groups = [group for group in groups if group.figures.taxes_charged or group.figures.taxes_refunded]
        sorts = _sorts(selection, by, names)
        sort = sorted_by(sorts, _USUAL_SORT)
        ordered = sorted(groups, key=sorts[sort.removeprefix("-")], reverse=sort.startswith("-"))
        lines = [_line(selection, by, names, group) for group in ordered]
        lines.append(_total(selection, by, names, total))
        picked = table(
            _title(selection, by),
            _columns(by, names),
            lines,
            key="taxes_table",
            on_pick=lambda _: None,
            on_sort=lambda column: sort_anew(column, sort, _USUAL_SORT),
            sorted_by=sort,
            shown=SHOWN,
            exported=True,
        )
        if picked:
            session.navigator.go("orders", **dict(zip(by, json.loads(picked), strict=True)))


def _choice(choices: Sequence[tuple[DimensionId, ...]], by: tuple[DimensionId, ...]) -> None:
    labels = {_CHOICES[each]: each for each in choices}
    key = f"taxes_by {' '.join(labels)}"
    set_value(key, _CHOICES[by])
    with st.container(key="taxes_by", width="content"):
        st.segmented_control(
            "By",
            list(labels),
            key=key,
            required=True,
            label_visibility="collapsed",
            on_change=lambda: change_parameters({BY: list(labels[st.session_state[key]]), SORT: ""}),
        )


def _note(selection: Selection, by: Sequence[DimensionId]) -> str:
    """What has to be known about the rows."""
    if TAX_RATE in by:
        return TAX_RATE_NOTE
    return selection.orders.missing.get("tax rates", "")


def _title(selection: Selection, by: tuple[DimensionId, ...]) -> str:
    """What the file of the table is called, too."""
    days = f", {date_range(selection.span)}" if selection.span else ""
    currency = f", {selection.currency}" if selection.currency else ""
    return f"Taxes by {_CHOICES[by].lower()}{days}{currency}"


def _columns(by: Sequence[DimensionId], names: Sequence[str]) -> list[Column]:
    columns: list[Column] = []
    for name in by:
        columns.append(Column(DIMENSIONS[name].label, sort=name))
        columns += [Column("Code", wide=True)] if name == "country" else []
    columns.append(Column("Orders", number=True, wide=True, sort="orders"))
    labels = {"taxes_charged": "Charged", "taxes_refunded": "Refunded", "taxes": "Net"}
    for name in names:
        label = labels.get(name, METRICS[name].label)
        columns.append(Column(label, number=True, wide=name == "untaxed_sales", sort=name))
    return columns


def _sorts(
    selection: Selection, by: Sequence[DimensionId], names: Sequence[str]
) -> dict[str, Callable[[Group], tuple[object, ...]]]:
    """What rows can be sorted by."""

    def of_place(place: int) -> Callable[[Group], tuple[object, ...]]:
        return lambda group: tuple(
            write_code(selection.orders, name, group.values[i]).casefold()
            for i, name in sorted(enumerate(by), key=lambda each: each[0] != place)
        )

    def of_figure(name: str) -> Callable[[Group], tuple[object, ...]]:
        return lambda group: (or_zero(METRICS[name].value(group.figures)), *group.values)

    return {name: of_place(i) for i, name in enumerate(by)} | {name: of_figure(name) for name in ("orders", *names)}


def _line(selection: Selection, by: Sequence[DimensionId], names: Sequence[str], group: Group) -> Line:
    cells: list[str | Cell] = []
    for name, code in zip(by, group.values, strict=True):
        cells.append(write_code(selection.orders, name, code))
        cells += [code] if name == "country" else []
    cells += [f"{group.figures.orders:,}", *_amounts(selection, names, group.figures)]
    # Orders without a rate cannot be selected by one.
    is_known = all(code or name != TAX_RATE for name, code in zip(by, group.values, strict=True))
    return Line(cells, json.dumps(group.values) if is_known else None)


def _total(selection: Selection, by: Sequence[DimensionId], names: Sequence[str], total: Figures) -> Line:
    places = ["Total", *[""] * (len(by) + ("country" in by) - 1)]
    return Line([*places, f"{total.orders:,}", *_amounts(selection, names, total)], look="strong")


def _amounts(selection: Selection, names: Sequence[str], figures: Figures) -> list[str | Cell]:
    """Amounts to the cent, whatever their size: they are copied into a form."""
    values: list[Value] = [METRICS[name].value(figures) for name in names]
    return [
        Cell(write(METRICS[name], value, selection.currency, False), value=Decimal(or_zero(value)))
        for name, value in zip(names, values, strict=True)
    ]
