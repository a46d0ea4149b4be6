"""Steps of time: the buckets that a period is divided into. All instants are naive, on the shop's clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from cache.calendar.periods import ShopCalendar, Span, Unit, unit_start, units_later


class _Step(NamedTuple):
    """What a step is called, and its length (of months and longer about)."""

    label: str
    length: timedelta


STEPS: Mapping[Unit, _Step] = {
    "hour": _Step("Hour", timedelta(hours=1)),
    "day": _Step("Day", timedelta(days=1)),
    "week": _Step("Week", timedelta(days=7)),
    "month": _Step("Month", timedelta(days=30)),
    "quarter": _Step("Quarter", timedelta(days=91)),
    "year": _Step("Year", timedelta(days=365)),
}
MAX_POINTS = 400  # of a line
MAX_SPARKLINE_POINTS = 40


class Bucket(NamedTuple):
    """One hour, day, week, month, quarter or year.

    Attributes:
        start: Its begin, which may lie before the period.
        end: Its end, which may lie after the period.
        counted: The part of it that lies in the period.
        in_progress: Whether the data ends within that part.
    """

    start: datetime
    end: datetime
    counted: Span
    in_progress: bool

    @property
    def partial(self) -> bool:
        """Whether its figures are those of a part only: it is in progress, or cut by the period."""
        return self.in_progress or self.counted != (self.start, self.end)


def buckets(step: Unit, span: Span, calendar: ShopCalendar) -> list[Bucket]:
    """The buckets of a period in order, without those that begin after the end of the data.

    Hours that the clock skips when daylight saving time begins are left out.

    Args:
        step: The step.
        span: The period.
        calendar: The shop's calendar.
    """
    known = calendar.known_until
    divided = []
    for start in _starts(step, span, calendar):
        if start >= known:
            break
        if step == "hour" and _skipped(start, calendar):
            continue
        end = units_later(step, start, 1)
        counted = Span(max(start, span.start), min(end, span.end))
        divided.append(Bucket(start, end, counted, known < counted.end))
    return divided


def default_step(span: Span) -> Unit:
    """The step of a chart of a period, where nobody chose one."""
    days = (span.end - span.start).days
    if days <= 2:
        return "hour"
    if days <= 92:
        return "day"
    return "week" if days <= 740 else "month"


def step_choices(span: Span, calendar: ShopCalendar) -> list[Unit]:
    """The steps that give a line of more than one point and at most `MAX_POINTS`."""

    def points(step: Unit) -> int:
        return sum(1 for _ in islice(_starts(step, span, calendar), MAX_POINTS + 1))

    length = span.end - span.start
    fitting: list[Unit] = [step for step in STEPS if STEPS[step].length < length and 1 < points(step) <= MAX_POINTS]
    return fitting or [default_step(span)]


def sparkline_step(span: Span) -> Unit:
    """The step of a small line: the finest that gives about `MAX_SPARKLINE_POINTS` at most."""
    length = span.end - span.start
    return next((step for step in STEPS if length <= STEPS[step].length * MAX_SPARKLINE_POINTS), "year")


def _starts(step: Unit, span: Span, calendar: ShopCalendar) -> Iterator[datetime]:
    start = unit_start(step, span.start, calendar.week_start)
    while start < span.end:
        yield start
        start = units_later(step, start, 1)


def _skipped(at: datetime, calendar: ShopCalendar) -> bool:
    """Whether the clock skips an hour."""
    there_and_back = at.replace(tzinfo=calendar.zone).astimezone(UTC).astimezone(calendar.zone)
    return there_and_back.replace(tzinfo=None) != at
