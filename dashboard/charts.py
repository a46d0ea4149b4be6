"""Charts as Vega-Lite: days drawn as UTC in every browser, floats for lengths, texts for the exact figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cache.analytics import Bucket, Group, Span
from dashboard import words
from dashboard.metrics import Metric

Value = Callable[[Group], Decimal]
_STEPS: Mapping[Bucket, timedelta] = {
    "1 hour": timedelta(hours=1),
    "1 day": timedelta(days=1),
    "7 days": timedelta(days=7),
}
_THIS, _BEFORE = "This period", "Period before"


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
    starts = _starts(bucket, span)
    now = {group.at: value(group) for group in groups}
    rows = []
    then_starts = _starts(bucket, before[0], len(starts)) if before else []
    then = {group.at: value(group) for group in before[1]} if before else {}
    for i, start in enumerate(starts):
        amount = now.get(start, Decimal(0))
        row = {"at": f"{start.isoformat()}Z", "day": _named(bucket, start), _THIS: float(amount), "now": text(amount)}
        if before:
            past = then.get(then_starts[i], Decimal(0))
            row |= {_BEFORE: float(past), "then": text(past), "then_day": _named(bucket, then_starts[i])}
        rows.append(row)
    return rows, _spec(title, sign, bucket, compared=before is not None)


def line(bucket: Bucket, span: Span, groups: Sequence[Group], metric: Metric) -> list[float]:
    """A figure bucket by bucket, 0 where nothing was sold; nothing where it is not told."""
    found = {group.at: metric.of(group.figures) for group in groups}
    values = [found.get(start, 0) for start in _starts(bucket, span)]
    return [float(value or 0) for value in values] if any(values) else []


def _spec(title: str, sign: str, bucket: Bucket, compared: bool) -> dict[str, Any]:
    series = [_THIS, _BEFORE] if compared else [_THIS]
    legend = {"title": None, "orient": "top", "symbolType": "stroke"} if compared else None
    x = {
        "field": "at", "type": "temporal", "scale": {"type": "utc"}, "title": None,
        "axis": {"format": "%H:%M" if bucket == "1 hour" else "%b %Y" if bucket == "1 month" else "%-d %b",
                 "grid": False, "labelOverlap": True, "tickCount": 8},
    }  # fmt: skip
    y = {
        "type": "quantitative",
        "title": None,
        "axis": {
            "labelExpr": f"(datum.value < 0 ? '-' : '') + {json.dumps(sign)} + format(abs(datum.value), '~s')",
            "tickCount": 5,
            "domain": False,
        },
    }
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
        }],
        "mark": {"type": "rule", "strokeWidth": 1, "color": "#8b9a95"},
        "encoding": {
            "x": x,
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.8}, "value": 0},
            "tooltip": [{"field": field, "title": name} for field, name in tips[: 4 if compared else 2]],
        },
    }  # fmt: skip
    return {"layer": [lines, hover], "height": 260}


def _starts(bucket: Bucket, span: Span, count: int | None = None) -> list[datetime]:
    """The buckets of a period, in order: `count` of them, or all."""
    starts: list[datetime] = []
    at = span.start.replace(day=1) if bucket == "1 month" else span.start
    while (len(starts) < count) if count is not None else (at < span.end):
        starts.append(at)
        at = (at + timedelta(days=32)).replace(day=1) if bucket == "1 month" else at + _STEPS[bucket]
    return starts


def _named(bucket: Bucket, start: datetime) -> str:
    match bucket:
        case "1 hour":
            return words.moment(start)
        case "1 day":
            return words.day(start, weekday=True)
        case "7 days":
            return f"{words.day(start, year=False)} – {words.day(start + timedelta(days=6))}"
        case _:
            return f"{start:%B %Y}"
