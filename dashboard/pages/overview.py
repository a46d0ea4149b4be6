"""The overview: figures against the period before, sales over time, and what makes them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NoReturn, cast

import streamlit as st

from cache.analytics.dimensions import PRODUCT
from cache.analytics.figures import Group
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.periods import (
    BUCKETS,
    Bucket,
    Span,
    bucket_choices,
    default_bucket,
    next_bucket,
    sparkline_bucket,
)
from cache.analytics.values import or_zero
from cache.table_setup import OPEN
from dashboard import data, formatting, frame
from dashboard.auth import access
from dashboard.components import blocks, cards, charts, filter_chips
from dashboard.components.navigation import go, link
from dashboard.components.table import Cell, Column, Line, table
from dashboard.frame import Shown
from dashboard.metric_text import LARGE, write
from dashboard.view import date_range

_FIRST = ("total_sales", "orders", "average_order_value", "returning_customer_rate")
_SECOND = ("net_sales", "refund_rate", "units", "fulfilment_time")
_CHARTED = ("total_sales", "net_sales", "orders", "average_order_value")
PRODUCTS = 6
METRIC, STEP = "metric", "step"  # parameters of the address, as on Explore
_SHORT = timedelta(days=92)  # customers and units take long to count step by step over longer periods


def overview() -> None:
    shown = frame.page("Orders overview")
    if shown is None:
        return
    _point_to_set_up(shown)
    width = sparkline_bucket(shown.span) if shown.span else None
    _cards("Main figures", _FIRST, shown, width)
    _cards("Further figures", _SECOND, shown, width)
    if not shown.figures().orders:
        frame.nothing_found(shown)
    elif shown.span:
        _over_time(shown, shown.span)
    with st.grid(2, min_column_width=340, key="breakdowns"):
        blocks.summary(shown.orders, shown.figures(), shown.before(), shown.currency, shown.returns)
        for name, part in filter_chips.dimensions(shown.orders).items():
            slices = data.breakdown(shown.orders, name, shown.span, shown.conditions, shown.returns)
            blocks.breakdown(
                f"Sales by {part.title}", slices, shown.currency, partial(part.write, shown.orders),
                getattr(shown.view, name), partial(filter_chips.toggle, name),
            )  # fmt: skip
        if "products" not in shown.orders.missing:
            _products(shown)
    frame.foot(shown)


def _point_to_set_up(shown: Shown) -> None:
    """At first, where something that customers look for was not recognised."""
    lacking = shown.orders.missing.keys() & {"dates", "total sales", "gross sales", "currency"}
    if lacking and shown.orders.setup == OPEN and access.may("set_up"):
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="point_to_set_up"):
            st.markdown("**Not every column was recognised.** Say what they mean, and more figures appear.")
            link("set-up", "Set up this table")


def _cards(label: str, names: tuple[str, ...], shown: Shown, width: Bucket | None) -> None:
    metrics = [METRICS[name] for name in names if METRICS[name].available(shown.orders.missing)]
    if not metrics:
        return
    units = any(metric.units for metric in metrics)
    customers = any(metric.customers for metric in metrics)
    now, before = shown.figures(units), shown.before(units)

    def line(metric: Metric, span: Span | None) -> list[float]:
        if width is None or span is None:
            return []
        costly = metric.customers or metric.units
        if costly and span.end - span.start > _SHORT:
            return []
        found = data.series(
            shown.orders, width, span, shown.conditions, shown.returns, (), costly and customers, costly and units
        )
        return charts.line(width, span, found, metric)

    cards.cards(
        label,
        [
            blocks.card(
                metric, now, before, shown.currency, shown.returns, (line(metric, shown.span), line(metric, shown.past))
            )
            for metric in metrics
        ],
        key=label,
        on_pick=lambda _: go("orders"),
    )


@st.fragment
def _over_time(shown: Shown, span: Span) -> None:
    metrics = {name: METRICS[name] for name in _CHARTED if METRICS[name].available(shown.orders.missing)}
    widths = bucket_choices(span)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="chart_head"):
            st.header("Over time", anchor=False, width="stretch")
            metric = metrics[
                _choice("Figure", METRIC, list(metrics), next(iter(metrics)), lambda name: metrics[name].label)
            ]
            width = cast(
                Bucket, _choice("By", STEP, widths, default_bucket(span), lambda name: BUCKETS[cast(Bucket, name)][0])
            )

        def value(group: Group) -> Decimal:
            return Decimal(or_zero(metric.value(group.figures)))

        now = data.series(shown.orders, width, span, shown.conditions, shown.returns)
        past = shown.past
        then = (past, data.series(shown.orders, width, past, shown.conditions, shown.returns)) if past else None
        rows, spec = charts.over_time(
            width, span, now, then, value, lambda amount: write(metric, amount, shown.currency, whole=False),
            metric.label, formatting.sign(shown.currency) if metric.unit == "money" else "",
        )  # fmt: skip
        compared = f", with {date_range(past)} behind it" if past else ""
        clicked = st.vega_lite_chart(
            rows, spec, width="stretch", alt=f"{metric.label} over time, {date_range(span)}{compared}.",
            key=f"over_time {metric.id} {width}", on_select="rerun", selection_mode=charts.PICKED,
        )  # fmt: skip
        if picked := clicked.selection.get(charts.PICKED):
            _open_orders(datetime.fromisoformat(picked[0]["from"]), width)


def _choice(label: str, name: str, options: Sequence[str], usual: str, write: Callable[[str], str]) -> str:
    """One of the options; what is not the usual one stands in the address."""

    def put() -> None:
        if st.session_state[name] == usual:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = st.session_state[name]

    asked = st.query_params.get(name, usual)
    st.session_state[name] = asked if asked in options else usual
    st.segmented_control(
        label, options, required=True, key=name, label_visibility="collapsed", format_func=write, wrap=True,
        on_change=put,
    )  # fmt: skip
    return str(st.session_state[name])


def _open_orders(start: datetime, width: Bucket) -> NoReturn:
    """The orders behind a point of the chart: those of its day, week or month."""
    end = next_bucket(width, start) if width != "1 hour" else start + timedelta(days=1)
    last = (end - timedelta(microseconds=1)).date()
    go("orders", **{"period": "custom", "from": start.date().isoformat(), "to": last.isoformat()})


def _products(shown: Shown) -> None:
    found = data.products(shown.orders, shown.span, shown.conditions)[:PRODUCTS]
    with st.container(border=True, height="stretch"):
        st.header(
            "Sales by product",
            anchor=False,
            help="Price × quantity of line items, before discounts and returns. Pick one to filter by it.",
        )
        if not found:
            st.caption("No products in this period.")
            return
        most = max(product.sales for product in found) or Decimal(1)
        lines = [
            Line(
                [
                    Cell(product.title or product.sku or "Unnamed", share=float(product.sales / most)),
                    f"{product.units:,}",
                    formatting.money(product.sales, shown.currency, product.sales >= LARGE),
                ],
                product.key or None,
                product.key in shown.view.product if product.key else None,
            )
            for product in found
        ]
        columns = [Column(""), Column("Units", number=True), Column("Sales", number=True)]
        table("Sales by product", columns, lines, key="products", on_pick=partial(filter_chips.toggle, PRODUCT))
