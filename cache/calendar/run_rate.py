"""The run rate: what a month comes to if its remaining days are like the same weekdays of the last eight weeks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cache.calendar.daily_volume import WEEKS
from cache.calendar.periods import DAY, Span, midnight, units_later

_WEEK = 7
MIN_DAYS = 4 * _WEEK  # that a forecast is made from


class RunRate(NamedTuple):
    """A figure by the day, of a month that is not over.

    Attributes:
        month: The month.
        so_far: What it has.
        forecast: What it comes to at its end; None where too few days are known.
        measured: How many days the means are of.
    """

    month: Span
    so_far: Decimal
    forecast: Decimal | None
    measured: int


def month_of(known_until: datetime) -> Span:
    """The month that the last known instant lies in."""
    start = midnight((known_until - datetime.resolution).date().replace(day=1))
    return Span(start, units_later("month", start, 1))


def needed_days(known_until: datetime) -> Span:
    """The days that `run_rate` reads: those of the month, and those of eight weeks before the last known day."""
    first = midnight((known_until - datetime.resolution).date()) - WEEKS * _WEEK * DAY
    return Span(min(first, month_of(known_until).start), known_until)


def run_rate(days: Mapping[date, Decimal], first: date, known_until: datetime) -> RunRate:
    """The run rate of the month that the last known instant lies in.

    A day counts with what it has once it is over. The day in progress counts with the mean of its weekday, or with
    what it has where that is more. Days without a value had none.

    Args:
        days: Day -> value, as far as `needed_days`.
        first: The first day that is known at all. Days before it are in no mean.
        known_until: The last known instant, on the shop's clock.
    """
    month = month_of(known_until)
    today = known_until.date()  # the first day that is not over
    weeks = [today - timedelta(days=back) for back in range(1, WEEKS * _WEEK + 1)]
    measured = [day for day in weeks if day >= first]
    in_month = _days(month.start.date(), month.end.date())
    so_far = sum((days.get(day, Decimal(0)) for day in in_month), Decimal(0))
    if len(measured) < MIN_DAYS:
        return RunRate(month, so_far, None, len(measured))
    means = {
        weekday: _mean([days.get(day, Decimal(0)) for day in measured if day.weekday() == weekday])
        for weekday in range(_WEEK)
    }
    forecast = Decimal(0)
    for day in in_month:
        has = days.get(day, Decimal(0))
        expected = means[day.weekday()]
        forecast += has if day < today else max(has, expected) if day == today else expected
    return RunRate(month, so_far, forecast, len(measured))


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]


def _mean(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)
