"""Charts as Vega-Lite: days as UTC in every browser, floats for lengths, text for exact figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cache.analytics.figures import Group
from cache.analytics.metrics import Metric
from cache.analytics.periods import Bucket, Span, bucket_starts
from cache.analytics.values import Absent, Value, or_zero
from dashboard import formatting
from dashboard.metric_text import write

Rows = list[dict[str, Any]]
Spec = dict[str, Any]
Compared = tuple[Span, Sequence[Group]]
"""The compared period and its figures by bucket."""

PICKED = "picked"
"""The selection that a click on a line makes: the `from` of its bucket."""
_NOW, _COMPARED = "This period", "Compared period"
MAX_DOTS = 31  # points of a line that are drawn as dots too


def over_time(
    bucket: Bucket,
    span: Span,
    groups: Sequence[Group],
    compared: Compared | None,
    metric: Metric,
    currency: str,
) -> tuple[Rows, Spec]:
    """A line over time in front of that of the compared period, bucket by bucket.

    Args:
        bucket: The step of time.
        span: The period.
        groups: Its figures by bucket.
        compared: The compared period and its figures by bucket; None where nothing is compared.
        metric: The figure.
        currency: The currency of amounts.

    Returns:
        Data and specification.
    """
    starts = bucket_starts(bucket, span)
    amounts = _by_bucket(groups, metric)
    compared_starts = bucket_starts(bucket, compared[0], len(starts)) if compared else []
    compared_amounts = _by_bucket(compared[1], metric) if compared else {}
    rows = []
    for i, start in enumerate(starts):
        amount = amounts.get(start, 0)
        row = {
            "at": f"{start.isoformat()}Z",
            "from": start.isoformat(),
            "day": bucket_name(bucket, start),
            _NOW: float(amount),
            "now": write(metric, amount, currency, whole=False),
        }
        if compared:
            then = compared_amounts.get(compared_starts[i], 0)
            row |= {
                _COMPARED: float(then),
                "then": write(metric, then, currency, whole=False),
                "then_day": bucket_name(bucket, compared_starts[i]),
            }
        rows.append(row)
    return rows, _over_time_spec(bucket, metric, currency, compared is not None)


def sparkline(bucket: Bucket, span: Span, groups: Sequence[Group], metric: Metric) -> list[float]:
    """A figure bucket by bucket, 0 where it has no value; empty where it has none at all."""
    amounts = _by_bucket(groups, metric)
    values = [amounts.get(start, 0) for start in bucket_starts(bucket, span)]
    return [float(value) for value in values] if any(values) else []


def lines(
    bucket: Bucket,
    starts: Sequence[datetime],
    values: Mapping[str, Mapping[datetime | None, Value]],
    metric: Metric,
    currency: str,
) -> tuple[Rows, Spec]:
    """Several lines over time.

    Args:
        bucket: The step of time.
        starts: The starts of all buckets.
        values: Name of the line -> start of the bucket -> value.
        metric: The figure.
        currency: The currency of amounts.

    Returns:
        Data and specification.
    """
    rows = []
    for name, by_bucket in values.items():
        for at in starts:
            value = by_bucket.get(at, metric.empty)
            rows.append(
                {
                    "at": f"{at.isoformat()}Z",
                    "day": bucket_name(bucket, at),
                    "name": name,
                    "value": None if isinstance(value, Absent) else float(value),
                    "text": write(metric, value, currency, whole=False),
                }
            )
    names = list(values)
    legend = {"title": None, "orient": "top", "symbolType": "stroke", "labelLimit": 220} if len(names) > 1 else None
    spec = {
        "mark": {"type": "line", "point": len(starts) <= MAX_DOTS, "strokeWidth": 2},
        "encoding": {
            "x": _time_axis(bucket),
            "y": {"field": "value", **_value_axis(metric, currency)},
            "color": {"field": "name", "type": "nominal", "sort": names, "scale": {"domain": names}, "legend": legend},
            "tooltip": [
                {"field": "name", "title": " "},
                {"field": "day", "title": "From"},
                {"field": "text", "title": metric.label},
            ],
        },
        "height": 320,
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
            "x": {"field": "value", **_value_axis(metric, currency)},
            "tooltip": [{"field": "name", "title": " "}, {"field": "text", "title": metric.label}],
        },
        "height": {"step": 26},
    }
    return rows, spec


def bucket_name(bucket: Bucket, start: datetime) -> str:
    """A bucket as text, such as "Tue 14 Jul 2026"."""
    match bucket:
        case "1 hour":
            return formatting.moment(start)
        case "1 day":
            return formatting.day(start, weekday=True)
        case "7 days":
            return f"{formatting.day(start, year=False)} – {formatting.day(start + timedelta(days=6))}"
        case _:
            return f"{start:%B %Y}"


def _by_bucket(groups: Sequence[Group], metric: Metric) -> dict[datetime | None, Any]:
    """Start of the bucket -> number."""
    return {group.at: or_zero(metric.value(group.figures)) for group in groups}


def _time_axis(bucket: Bucket) -> dict[str, Any]:
    return {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "utc"},
        "title": None,
        "axis": {
            "format": "%H:%M" if bucket == "1 hour" else "%b %Y" if bucket == "1 month" else "%-d %b",
            "grid": False,
            "labelOverlap": True,
            "tickCount": 8,
        },
    }


def _value_axis(metric: Metric, currency: str) -> dict[str, Any]:
    match metric.unit:
        case "rate":
            label = "format(datum.value, '.0%')"
        case "duration":
            label = "format(datum.value / 3600, '.1~f') + ' h'"
        case _:
            sign = formatting.sign(currency) if metric.unit == "money" else ""
            label = f"(datum.value < 0 ? '-' : '') + {json.dumps(sign)} + format(abs(datum.value), '~s')"
    return {
        "type": "quantitative",
        "title": None,
        "axis": {"labelExpr": label, "tickCount": 5, "domain": False},
    }


def _over_time_spec(bucket: Bucket, metric: Metric, currency: str, compared: bool) -> Spec:
    """The lines, and a layer that shows the tooltip and takes clicks."""
    series = [_NOW, _COMPARED] if compared else [_NOW]
    legend = {"title": None, "orient": "top", "symbolType": "stroke"} if compared else None

    def styled(values: Sequence[object]) -> dict[str, Any]:
        scale = {"domain": series, "range": list(values)[: len(series)]} if values else {"domain": series}
        return {"field": "series", "type": "nominal", "sort": series, "scale": scale, "legend": legend}

    lines = {
        "transform": [{"fold": series, "as": ["series", "value"]}],
        "mark": {"type": "line"},
        "encoding": {
            "x": _time_axis(bucket),
            "y": {"field": "value", **_value_axis(metric, currency)},
            "color": styled([]),
            "strokeWidth": styled([2.2, 1.3]),
            "strokeDash": styled([[1, 0], [4, 3]]),
        },
    }
    return {"layer": [lines, _hover_layer(bucket, metric, compared)], "height": 260}


def _hover_layer(bucket: Bucket, metric: Metric, compared: bool) -> dict[str, Any]:
    tips = [("day", "Date"), ("now", metric.label)]
    if compared:
        tips += [("then_day", "Compared with"), ("then", f"{metric.label} then")]
    near = {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "encodings": ["x"]}
    click = {"type": "point", "on": "click", "nearest": True, "fields": ["from"]}
    return {
        "params": [{"name": "near", "select": near}, {"name": PICKED, "select": click}],
        "mark": {"type": "rule", "strokeWidth": 1, "color": "#8b9a95"},
        "encoding": {
            "x": _time_axis(bucket),
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.8}, "value": 0},
            "tooltip": [{"field": field, "title": title} for field, title in tips],
        },
    }
