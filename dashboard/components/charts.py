"""Charts as Vega-Lite: days as UTC in every browser, floats for lengths, text for exact figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from cache.analytics.figures import Group
from cache.analytics.metrics import Metric
from cache.analytics.values import Absent, Value, or_zero
from cache.calendar.periods import ShopCalendar, Span, Unit, unit_start
from cache.calendar.steps import Bucket, buckets
from dashboard.text import formatting
from dashboard.text.metrics import write
from dashboard.text.periods import bucket_text

Rows = list[dict[str, Any]]
Spec = dict[str, Any]
PARTIAL = "partial"  # the field of the values of dashed lines
DASHES = [4, 3]
BELOW_ZERO = "#d1495b"  # of bars; at least 3 to 1 on the ground of either theme
MAX_TICKS = 8
MAX_DOTS = 31  # points of a line that are drawn as dots too
LETTER, SYMBOL, MAX_NAME = 7, 40, 220  # pixels in a legend: of a letter, of what is beside a name, of a name


@dataclass(frozen=True)
class TimeAxis:
    """The time axis of a chart.

    Attributes:
        step: The step of time.
        buckets: The buckets that have begun.
        end: The begin of the last bucket of the period, which may not have begun.
    """

    step: Unit
    buckets: Sequence[Bucket]
    end: datetime

    @classmethod
    def of(cls, step: Unit, span: Span, calendar: ShopCalendar) -> Self:
        """The axis of a period, by a step of time."""
        end = unit_start(step, span.end - datetime.resolution, calendar.week_start)
        return cls(step, buckets(step, span, calendar), end)

    def spec(self) -> dict[str, Any]:
        """The axis in Vega-Lite, over the whole period."""
        formats: Mapping[Unit, str] = {"hour": "%H:%M", "month": "%b %Y", "quarter": "Q%q %Y", "year": "%Y"}
        scale: dict[str, Any] = {"type": "utc"}
        if self.buckets and self.buckets[0].start < self.end:
            scale["domain"] = [_instant(at) for at in (self.buckets[0].start, self.end)]
        axis: dict[str, Any] = {"format": formats.get(self.step, "%-d %b"), "grid": False, "labelOverlap": True}
        if self.step == "hour":
            axis["tickCount"] = MAX_TICKS
        else:  # ticks of its own choice would lie between the points
            each = -(-len(self.buckets) // MAX_TICKS) or 1
            axis["values"] = [_instant(bucket.start) for bucket in self.buckets[::each]]
        return {"field": "at", "type": "temporal", "scale": scale, "title": None, "axis": axis}


@dataclass(frozen=True)
class Series:
    """A figure by bucket.

    Attributes:
        buckets: The buckets.
        groups: The figures of those that have any.
    """

    buckets: Sequence[Bucket]
    groups: Sequence[Group]

    def numbers(self, metric: Metric) -> list[Decimal | int]:
        """The figure of each bucket, 0 where it has no value."""
        values = {group.at: or_zero(metric.value(group.figures)) for group in self.groups}
        return [values.get(bucket.start, 0) for bucket in self.buckets]


def split(by: Sequence[Bucket], values: Sequence[Value]) -> tuple[list[float | None], list[float | None]]:
    """The points of the line through complete buckets, and of its dashed parts, which lead to partial buckets.

    Args:
        by: The buckets.
        values: The value of each.

    Returns:
        Two lists with a number, or None for no point, for each bucket.
    """
    points = [None if isinstance(value, Absent) else float(value) for value in values]
    partial = [bucket.partial for bucket in by]
    beside = [any(partial[max(i - 1, 0) : i + 2]) for i in range(len(partial))]
    return (
        [None if cut else point for point, cut in zip(points, partial, strict=True)],
        [point if cut else None for point, cut in zip(points, beside, strict=True)],
    )


def lines(
    axis: TimeAxis, values: Mapping[str, Mapping[datetime | None, Value]], metric: Metric, currency: str
) -> tuple[Rows, Spec]:
    """Several lines over time. Partial buckets are dashed.

    Args:
        axis: The time axis.
        values: Name of the line -> start of the bucket -> value.
        metric: The figure.
        currency: The currency of amounts.

    Returns:
        Data and specification.
    """
    rows: Rows = []
    for name, by_bucket in values.items():
        shown = [by_bucket.get(bucket.start, metric.empty) for bucket in axis.buckets]
        complete, partial = split(axis.buckets, shown)
        rows += [
            {
                "at": f"{bucket.start.isoformat()}Z",
                "day": bucket_text(axis.step, bucket),
                "name": name,
                "open": bucket.partial,
                "value": complete[i],
                PARTIAL: partial[i],
                "text": write(metric, shown[i], currency, whole=False),
            }
            for i, bucket in enumerate(axis.buckets)
        ]
    names = list(values)
    name_legend = legend(names) if len(names) > 1 else None
    spec = {
        "encoding": {
            "x": axis.spec(),
            "color": {
                "field": "name",
                "type": "nominal",
                "sort": names,
                "scale": {"domain": names},
                "legend": name_legend,
            },
            "tooltip": [
                {"field": "name", "title": " "},
                {"field": "day", "title": "Time"},
                {"field": "text", "title": metric.label},
            ],
        },
        "layer": [
            {
                "mark": {"type": "line", "point": len(axis.buckets) <= MAX_DOTS, "strokeWidth": 2},
                "encoding": {"y": {"field": "value", **value_axis(metric, currency)}},
            },
            *partial_layers({"field": PARTIAL, **value_axis(metric, currency)}),
        ],
        "height": 320 + 16 * max(0, len(names) - 3),  # a phone has a line of the legend for each
    }
    return rows, spec


def bars(values: Sequence[tuple[str, Value]], metric: Metric, currency: str) -> tuple[Rows, Spec]:
    """Horizontal bars in the order of `values`, which are pairs of name and value. Returns data and specification."""
    rows = [
        {"name": name, "value": float(or_zero(value)), "text": write(metric, value, currency)} for name, value in values
    ]
    spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 3},
        "encoding": {
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 220, "ticks": False, "domain": False},
            },
            "x": {"field": "value", **value_axis(metric, currency)},
            "color": {"condition": {"test": "datum.value < 0", "value": BELOW_ZERO}},
            "tooltip": [{"field": "name", "title": " "}, {"field": "text", "title": metric.label}],
        },
        "height": {"step": 26},
    }
    return rows, spec


def _instant(at: datetime) -> dict[str, Any]:
    return {"year": at.year, "month": at.month, "date": at.day, "hours": at.hour, "utc": True}


def legend(names: Sequence[str]) -> dict[str, Any]:
    """A legend in as many columns as the width of the chart has room for, so that no name is cut off."""
    widest = min(max(map(len, names)) * LETTER + SYMBOL, MAX_NAME + SYMBOL)
    columns = {"expr": f"max(1, floor(width / {widest}))"}
    return {"title": None, "orient": "top", "symbolType": "stroke", "labelLimit": MAX_NAME, "columns": columns}


def value_axis(metric: Metric, currency: str) -> dict[str, Any]:
    """The axis of a figure."""
    match metric.unit:
        case "rate":
            label = "format(datum.value, '.0%')"
        case "duration":
            label = "format(datum.value / 3600, '.1~f') + ' h'"
        case _:
            sign = formatting.sign(currency) if metric.unit == "money" else ""
            size = "abs(datum.value)"
            text = f"{size} < 1000 ? format({size}, ',.2~f') : replace(format({size}, '.3~s'), 'G', 'B')"
            label = f"(datum.value < 0 ? '-' : '') + {json.dumps(sign)} + ({text})"
    whole = {"tickMinStep": 1} if metric.unit == "count" else {}  # there is no half order
    return {
        "type": "quantitative",
        "title": None,
        "axis": {"labelExpr": label, "tickCount": 5, "domain": False, **whole},
    }


def partial_layers(y: dict[str, Any]) -> list[dict[str, Any]]:
    """Dashed lines to the partial buckets, and a hollow dot at each. `y` is the encoding of their values."""
    return [
        {"mark": {"type": "line", "strokeWidth": 2, "strokeDash": DASHES}, "encoding": {"y": y}},
        {
            "transform": [{"filter": "datum.open"}],
            "mark": {"type": "point", "filled": False, "size": 30},
            "encoding": {"y": y},
        },
    ]
