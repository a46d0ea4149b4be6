"""Periods, the periods they are compared with, and their buckets. All instants are naive, on the shop's clock."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

PERIODS: Mapping[str, str] = {
    "today": "Today",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "year": "This year",
    "12m": "Last 12 months",
    "all": "All time",
    "custom": "Custom dates",
}
COMPARISONS: Mapping[str, str] = {"before": "Previous period", "year": "Previous year", "none": "Nothing"}
_DAYS: Mapping[str, int] = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "12m": 365}

Bucket = Literal["1 hour", "1 day", "7 days", "1 month"]


class Span(NamedTuple):
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime


class _Bucket(NamedTuple):
    """A step of time: its label, and its length (of months about)."""

    label: str
    length: timedelta


BUCKETS: Mapping[Bucket, _Bucket] = {
    "1 hour": _Bucket("Hour", timedelta(hours=1)),
    "1 day": _Bucket("Day", timedelta(days=1)),
    "7 days": _Bucket("Week", timedelta(days=7)),
    "1 month": _Bucket("Month", timedelta(days=30)),
}
MAX_POINTS = 400  # of a line
MAX_SPARKLINE_POINTS = 40


# -- periods


def period_span(
    period: str, now: datetime, extent: Span | None, start: date | None = None, end: date | None = None
) -> Span:
    """The days of a period.

    Args:
        period: One of `PERIODS`.
        now: When the data was verified.
        extent: The first and the last order; None where there are no orders.
        start: First day of a `custom` period.
        end: Last day of a `custom` period, included.
    """
    tomorrow = _midnight(now.date() + timedelta(days=1))
    match period:
        case "custom" if start and end:
            return Span(_midnight(start), _midnight(end + timedelta(days=1)))
        case "all":
            first, last = extent or Span(now, now)
            return Span(_midnight(first.date()), max(tomorrow, _midnight(last.date() + timedelta(days=1))))
        case "month":
            return Span(_midnight(now.date().replace(day=1)), tomorrow)
        case "year":
            return Span(_midnight(now.date().replace(month=1, day=1)), tomorrow)
    return Span(tomorrow - timedelta(days=_DAYS[period]), tomorrow)


def comparison_span(comparison: str, period: str, now: datetime, span: Span) -> Span | None:
    """What a period is compared with. A period in progress is compared up to the same time of day.

    The previous period has the same length and ends where this one starts. The previous period of this month is the
    same part of last month, that of this year the same part of last year.

    Args:
        comparison: One of `COMPARISONS`.
        period: One of `PERIODS`.
        now: When the data was verified.
        span: The days of the period.

    Returns:
        None where nothing is compared: by choice, or because the period is all time.
    """
    if period == "all" or comparison == "none":
        return None
    end = now if span.start <= now < span.end else span.end
    if comparison == "year" or period == "year":
        return Span(_months_before(span.start, 12), _months_before(end, 12))
    if period == "month":
        return Span(_months_before(span.start, 1), min(_months_before(end, 1), span.start))
    length = span.end - span.start
    return Span(span.start - length, end - length)


# -- buckets


def default_bucket(span: Span) -> Bucket:
    """The step of a chart of a period, where nobody chose one."""
    days = (span.end - span.start).days
    if days <= 2:
        return "1 hour"
    if days <= 92:
        return "1 day"
    return "7 days" if days <= 740 else "1 month"


def bucket_choices(span: Span) -> list[Bucket]:
    """The steps that give a line of more than one point and at most `MAX_POINTS`."""
    length = span.end - span.start
    choices: list[Bucket] = [name for name, (_, step) in BUCKETS.items() if step < length <= step * MAX_POINTS]
    return choices or [default_bucket(span)]


def sparkline_bucket(span: Span) -> Bucket:
    """The step of a small line: the finest that gives at most `MAX_SPARKLINE_POINTS`."""
    length = span.end - span.start
    return next((name for name, (_, step) in BUCKETS.items() if length <= step * MAX_SPARKLINE_POINTS), "1 month")


def bucket_starts(bucket: Bucket, span: Span, count: int | None = None) -> list[datetime]:
    """Starts of the buckets of a period, in order: `count` of them, or all."""
    starts: list[datetime] = []
    at = span.start.replace(day=1) if bucket == "1 month" else span.start
    while (len(starts) < count) if count is not None else (at < span.end):
        starts.append(at)
        at = next_bucket(bucket, at)
    return starts


def next_bucket(bucket: Bucket, start: datetime) -> datetime:
    """Start of the bucket after the one that starts at `start`."""
    if bucket == "1 month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + BUCKETS[bucket].length


def _months_before(at: datetime, months: int) -> datetime:
    """The same day and time of an earlier month, or its last day where that month is shorter."""
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
