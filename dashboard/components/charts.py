"""Charts as Vega-Lite: days drawn as UTC in every browser, floats for lengths, texts for the exact figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cache.analytics.figures import Group
from cache.analytics.metrics import Metric
from cache.analytics.periods import Bucket, Span, bucket_starts
from cache.analytics.values import Absent, or_zero
from cache.analytics.values import Value as Figure
from dashboard import formatting
from dashboard.metric_text import write

Value = Callable[[Group], Decimal]
_THIS, _BEFORE = "This period", "Period before"
PICKED = "picked"  # the selection that a click makes: the `from` of its bucket


def over_time(
    bucket: Bucket,
    span: Span,
    groups: Sequence[Group],
    before: tuple[Span, Sequence[Group]] | None,
    value: Value,
    text: Callable[[Decimal], str],
    title: str,
    sign: str = "",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Data and specification of a line over time, with the period before behind it, bucket by bucket.

    Parameters: `value` takes a group's figure, `text` writes it, `title` names it, `sign` is its currency's.
    """
    firsts = bucket_starts(bucket, span)
    now = {group.at: value(group) for group in groups}
    rows = []
    then_firsts = bucket_starts(bucket, before[0], len(firsts)) if before else []
    then = {group.at: value(group) for group in before[1]} if before else {}
    for i, start in enumerate(firsts):
        amount = now.get(start, Decimal(0))
        row = {
            "at": f"{start.isoformat()}Z",
            "from": start.isoformat(),
            "day": named(bucket, start),
            _THIS: float(amount),
            "now": text(amount),
        }
        if before:
            past = then.get(then_firsts[i], Decimal(0))
            row |= {_BEFORE: float(past), "then": text(past), "then_day": named(bucket, then_firsts[i])}
        rows.append(row)
    return rows, _spec(title, sign, bucket, compared=before is not None)


def line(bucket: Bucket, span: Span, groups: Sequence[Group], metric: Metric) -> list[float]:
    """A figure bucket by bucket, 0 where nothing was sold; nothing where it is not told."""
    found = {group.at: or_zero(metric.value(group.figures)) for group in groups}
    values = [found.get(start, 0) for start in bucket_starts(bucket, span)]
    return [float(value) for value in values] if any(values) else []


def lines(
    bucket: Bucket,
    firsts: Sequence[datetime],
    values: Mapping[str, Mapping[datetime | None, Figure]],
    metric: Metric,
    currency: str,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Data and specification of several lines over time. Parameters: `values` are name -> bucket -> figure."""
    rows = []
    for name, found in values.items():
        for at in firsts:
            value = found.get(at, metric.empty)
            rows.append(
                {
                    "at": f"{at.isoformat()}Z",
                    "day": named(bucket, at),
                    "name": name,
                    "value": None if isinstance(value, Absent) else float(value),
                    "text": write(metric, value, currency, whole=False),
                }
            )
    names = list(values)
    series: dict[str, Any] = {"field": "name", "type": "nominal", "sort": names, "scale": {"domain": names}}
    legend = {"title": None, "orient": "top", "symbolType": "stroke", "labelLimit": 220} if len(names) > 1 else None
    line = {
        "mark": {"type": "line", "point": len(firsts) <= 31, "strokeWidth": 2},
        "encoding": {
            "x": _time_axis(bucket),
            "y": {"field": "value", **_value_axis(metric, currency)},
            "color": {**series, "legend": legend},
            "tooltip": [{"field": "name", "title": " "}, {"field": "day", "title": "From"},
                        {"field": "text", "title": metric.label}],
        },
    }  # fmt: skip
    return rows, {**line, "height": 320}


def bars(
    values: Sequence[tuple[str, Figure]], metric: Metric, currency: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Data and specification of horizontal bars, in the order given."""
    rows = [
        {"name": name, "value": float(or_zero(value)), "text": write(metric, value, currency)} for name, value in values
    ]
    spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 3},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": None, "title": None,
                  "axis": {"labelLimit": 220, "ticks": False, "domain": False}},
            "x": {"field": "value", **_value_axis(metric, currency)},
            "tooltip": [{"field": "name", "title": " "}, {"field": "text", "title": metric.label}],
        },
        "height": {"step": 26},
    }  # fmt: skip
    return rows, spec


def _time_axis(bucket: Bucket) -> dict[str, Any]:
    return {
        "field": "at", "type": "temporal", "scale": {"type": "utc"}, "title": None,
        "axis": {"format": "%H:%M" if bucket == "1 hour" else "%b %Y" if bucket == "1 month" else "%-d %b",
                 "grid": False, "labelOverlap": True, "tickCount": 8},
    }  # fmt: skip


def _value_axis(metric: Metric, currency: str) -> dict[str, Any]:
    match metric.unit:
        case "rate":
            label = "format(datum.value, '.0%')"
        case "duration":
            label = "format(datum.value / 3600, '.1~f') + ' h'"
        case "money":
            label = _amount(formatting.sign(currency))
        case _:
            label = _amount("")
    return {
        "type": "quantitative",
        "title": None,
        "axis": {"labelExpr": label, "tickCount": 5, "domain": False},
    }


def _amount(sign: str) -> str:
    """A Vega expression that writes an axis' amounts."""
    return f"(datum.value < 0 ? '-' : '') + {json.dumps(sign)} + format(abs(datum.value), '~s')"


def _spec(title: str, sign: str, bucket: Bucket, compared: bool) -> dict[str, Any]:
    series = [_THIS, _BEFORE] if compared else [_THIS]
    legend = {"title": None, "orient": "top", "symbolType": "stroke"} if compared else None
    x = _time_axis(bucket)
    y = {"type": "quantitative", "title": None, "axis": {"labelExpr": _amount(sign), "tickCount": 5, "domain": False}}
    tips = [("day", "Date"), ("now", title), ("then_day", "Compared with"), ("then", f"{title} then")]
    lines = {
        "transform": [{"fold": series, "as": ["series", "value"]}],
        "mark": {"type": "line"},
        "encoding": {
            "x": x,
            "y": {"field": "value", **y},
            "color": {
                "field": "series", "type": "nominal", "scale": {"domain": series}, "sort": series,
                "legend": legend,
            },
            "strokeWidth": {
                "field": "series", "type": "nominal", "sort": series, "legend": legend,
                "scale": {"domain": series, "range": [2.2, 1.3][: len(series)]},
            },
            "strokeDash": {
                "field": "series", "type": "nominal", "sort": series,
                "scale": {"domain": series, "range": [[1, 0], [4, 3]][: len(series)]},
                "legend": legend,
            },
        },
    }  # fmt: skip
    hover = {
        "params": [{
            "name": "near",
            "select": {
                "type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "encodings": ["x"],
            },
        }, {
            "name": PICKED, "select": {"type": "point", "on": "click", "nearest": True, "fields": ["from"]},
        }],
        "mark": {"type": "rule", "strokeWidth": 1, "color": "#8b9a95"},
        "encoding": {
            "x": x,
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.8}, "value": 0},
            "tooltip": [{"field": field, "title": name} for field, name in tips[: 4 if compared else 2]],
        },
    }  # fmt: skip
    return {"layer": [lines, hover], "height": 260}


def named(bucket: Bucket, start: datetime) -> str:
    match bucket:
        case "1 hour":
            return formatting.moment(start)
        case "1 day":
            return formatting.day(start, weekday=True)
        case "7 days":
            return f"{formatting.day(start, year=False)} – {formatting.day(start + timedelta(days=6))}"
        case _:
            return f"{start:%B %Y}"
