"""How periods and their buckets are written."""

from __future__ import annotations

from datetime import datetime, timedelta

from cache.calendar.periods import Span, Unit, midnight
from cache.calendar.steps import Bucket
from dashboard.text import formatting

_TICK = datetime.resolution


def date_range(span: Span, current_year: int | None = None) -> str:
    """A span as text, such as "16 Apr – 14 Jul 2026", with the hours where it begins or ends within a day.

    The `current_year` is left out.
    """
    first, last = span.start, span.end - _TICK
    days = formatting.day(last, year=last.year != current_year)
    if first.date() != last.date():
        days = f"{formatting.day(first, year=first.year != last.year)} – {days}"
    if first != midnight(first.date()):
        return f"{days}, {first:%H:%M}–{span.end:%H:%M}"
    return days if span.end == midnight(span.end.date()) else f"{days}, until {span.end:%H:%M}"


def bucket_text(step: Unit, bucket: Bucket) -> str:
    """A bucket as text, such as "July 2026", with what its figures leave out: "July 2026 (from 3 Jul, so far)"."""
    notes = []
    if bucket.counted.start > bucket.start:
        notes.append(f"from {_edge(bucket.counted.start, bucket.counted.start)}")
    if bucket.in_progress:
        notes.append("so far")
    elif bucket.counted.end < bucket.end:
        notes.append(f"until {_edge(bucket.counted.end, bucket.counted.end - _TICK)}")
    name = _name(step, bucket.start, bucket.end - timedelta(days=1))
    return f"{name} ({', '.join(notes)})" if notes else name


def _name(step: Unit, start: datetime, last: datetime) -> str:
    match step:
        case "hour":
            return formatting.moment(start)
        case "day":
            return formatting.day(start, weekday=True)
        case "week":
            return f"{formatting.day(start, year=False)} – {formatting.day(last)}"
        case "month":
            return f"{start:%B %Y}"
        case "quarter":
            return f"Q{(start.month + 2) // 3} {start.year}"
        case "year":
            return str(start.year)


def _edge(at: datetime, day: datetime) -> str:
    """Where a bucket is cut: a day, with the time where it is not midnight."""
    text = formatting.day(day, year=False)
    return text if at == midnight(at.date()) else f"{text}, {at:%H:%M}"
