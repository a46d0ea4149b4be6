"""Periods, and the periods they are compared with. All instants are naive, on the shop's clock."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from cache.settings import WeekStart

Unit = Literal["hour", "day", "week", "month", "quarter", "year"]

DAY = timedelta(days=1)
_TICK = datetime.resolution
_MONTHS: Mapping[Unit, int] = {"month": 1, "quarter": 3, "year": 12}
_DAYS: Mapping[Unit, int] = {"day": 1, "week": 7}
_SAME_WEEKDAY_LAST_YEAR = 364  # days: 52 weeks


class Span(NamedTuple):
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """Whole days, both included."""
        return cls(midnight(first), midnight(last) + DAY)


@dataclass(frozen=True)
class Period:
    """A number of calendar units in a row.

    Attributes:
        label: What it is called.
        unit: The unit; None where the period is none of the calendar.
        count: How many units.
        ago: How many units ago the last of them was; 0: it is in progress.
    """

    label: str
    unit: Unit | None = None
    count: int = 1
    ago: int = 0


PERIODS: Mapping[str, Period] = {
    "today": Period("Today", "day"),
    "yesterday": Period("Yesterday", "day", ago=1),
    "7d": Period("Last 7 days", "day", 7),
    "30d": Period("Last 30 days", "day", 30),
    "90d": Period("Last 90 days", "day", 90),
    "365d": Period("Last 365 days", "day", 365),
    "12m": Period("Last 12 months", "month", 12),
    "week": Period("This week", "week"),
    "last_week": Period("Last week", "week", ago=1),
    "month": Period("This month", "month"),
    "last_month": Period("Last month", "month", ago=1),
    "quarter": Period("This quarter", "quarter"),
    "last_quarter": Period("Last quarter", "quarter", ago=1),
    "year": Period("This year", "year"),
    "last_year": Period("Last year", "year", ago=1),
    "all": Period("All time"),
    "custom": Period("Custom dates"),
}
COMPARISONS: Mapping[str, str] = {
    "before": "Previous period",
    "before_weekday": "Previous period, same weekdays",
    "year": "Previous year",
    "year_weekday": "Previous year, same weekdays",
    "custom": "Custom dates",
    "none": "Nothing",
}


@dataclass(frozen=True)
class ShopCalendar:
    """The shop's day, and how far its orders are known. The day goes on where the data does not.

    Attributes:
        zone: Time zone of the shop's clock.
        today: The day on the shop's clock.
        known_until: The end of the data: later orders are not in the copy yet.
        week_start: The first day of a week.
    """

    zone: ZoneInfo
    today: date
    known_until: datetime
    week_start: WeekStart = "monday"

    @classmethod
    def at(
        cls, now: datetime, timezone: str, verified_at: datetime, last_order: datetime | None, week_start: WeekStart
    ) -> Self:
        """The calendar at an instant.

        Args:
            now: The instant, with a time zone.
            timezone: IANA name of the shop's time zone.
            verified_at: When the copy was verified, with a time zone.
            last_order: The last order on the shop's clock, which may have been placed during the verification. One
                that lies in the future does not count.
            week_start: The first day of a week.
        """
        zone = ZoneInfo(timezone)
        local, known = (at.astimezone(zone).replace(tzinfo=None) for at in (now, min(now, verified_at)))
        if last_order and known < last_order <= local:
            known = last_order
        return cls(zone, local.date(), known, week_start)


# -- periods


def period_span(period: str, calendar: ShopCalendar, extent: Span | None = None, custom: Span | None = None) -> Span:
    """The days of a period. A unit in progress ends with today.

    Args:
        period: One of `PERIODS`.
        calendar: The shop's calendar.
        extent: The first and the last order, for `all`; None where there are no orders.
        custom: The days of `custom`.

    Raises:
        ValueError: `custom` has no days.
    """
    today = Span.of_days(calendar.today, calendar.today)
    if period == "custom":
        if custom is None:
            raise ValueError("A custom period needs its days.")
        return custom
    if period == "all":
        first, last = extent or (today.start, today.start)
        return Span(midnight(first.date()), max(today.end, midnight(last.date()) + DAY))
    shape = PERIODS[period]
    unit: Unit = shape.unit or "day"
    current = unit_start(unit, today.start, calendar.week_start)
    start = units_later(unit, current, 1 - shape.count - shape.ago)
    return Span(start, min(units_later(unit, start, shape.count), today.end))


def comparison_span(
    comparison: str, period: str, span: Span, calendar: ShopCalendar, custom: Span | None = None
) -> Span | None:
    """What a period is compared with. Of a period that is not known to its end, the same part is compared.

    - `before`: the period of the same kind before: of a whole month the month before, also where a custom period is
      exactly one or more months; of n days, the n days before.
    - `before_weekday`: moved by whole weeks, the fewest that take the whole period before itself.
    - `year`: the same dates a year earlier.
    - `year_weekday`: 364 days earlier.
    - `custom`: dates of one's own, always as a whole.

    Args:
        comparison: One of `COMPARISONS`.
        period: One of `PERIODS`.
        span: The days of the period.
        calendar: The shop's calendar.
        custom: The days of `custom`.

    Returns:
        None where nothing is compared: by choice, because the period is all time, or because nothing is known of it.
    """
    if period == "all" or comparison == "none":
        return None
    if comparison == "custom":
        return custom
    if calendar.known_until <= span.start:
        return None
    known = Span(span.start, min(span.end, calendar.known_until))
    months, days = _length(period, span)
    match comparison:
        case "year":
            return _months_earlier(known, 12)
        case "year_weekday":
            return _days_earlier(known, _SAME_WEEKDAY_LAST_YEAR)
        case "before_weekday":
            before, after = (_moved(span.start, sign * months, sign * days) for sign in (-1, 1))
            longest = max(span.start - before, after - span.start)
            return _days_earlier(known, -(-longest.days // 7) * 7)
    return _months_earlier(known, months) if months else _days_earlier(known, days)


# -- units of the calendar


def midnight(day: date) -> datetime:
    """The begin of a day."""
    return datetime.combine(day, time())


def unit_start(unit: Unit, at: datetime, week_start: WeekStart) -> datetime:
    """The begin of the hour, day, week, month, quarter or year that an instant lies in."""
    if unit == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    day = midnight(at.date())
    if unit == "week":
        return day - timedelta(days=(day.weekday() + (week_start == "sunday")) % 7)
    if unit == "day":
        return day
    return day.replace(month=day.month - (day.month - 1) % _MONTHS[unit], day=1)


def units_later(unit: Unit, start: datetime, count: int) -> datetime:
    """The begin of the unit that comes `count` units after the one that begins at `start`. `count` may be negative."""
    if unit == "hour":
        return start + count * timedelta(hours=1)
    return _moved(start, count * _MONTHS.get(unit, 0), count * _DAYS.get(unit, 0))


def _moved(at: datetime, months: int, days: int) -> datetime:
    """A later instant; an earlier one where the numbers are negative."""
    return datetime.combine(_months_later(at.date(), months), at.time()) + timedelta(days=days)


def _months_later(day: date, months: int) -> date:
    """The same day of another month, or its last day where that month is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))


def _length(period: str, span: Span) -> tuple[int, int]:
    """How far a period is from the previous one, in months or in days."""
    shape = PERIODS[period]
    if shape.unit:
        return shape.count * _MONTHS.get(shape.unit, 0), shape.count * _DAYS.get(shape.unit, 0)
    if _whole_months(span):
        return (span.end.year - span.start.year) * 12 + span.end.month - span.start.month, 0
    return 0, -((span.start - span.end) // DAY)


def _whole_months(span: Span) -> bool:
    return all(at == midnight(at.date().replace(day=1)) for at in span)


def _days_earlier(span: Span, days: int) -> Span:
    return Span(span.start - timedelta(days=days), span.end - timedelta(days=days))


def _months_earlier(span: Span, months: int) -> Span:
    """The same dates in earlier months. A last day that the earlier month does not have is the end of that month."""
    if _whole_months(span):
        return Span(_moved(span.start, -months, 0), _moved(span.end, -months, 0))
    first, last = span.start.date(), (span.end - _TICK).date()
    earlier = _months_later(last, -months)
    whole_day = earlier.day < last.day and first < last
    passed = DAY if whole_day else span.end - midnight(last)
    return Span(_moved(span.start, -months, 0), midnight(earlier) + passed)
