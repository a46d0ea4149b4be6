"""Days with far fewer or far more orders than usual: a sign that orders are missing, or have a wrong date.

A shop has quiet days and sales, so only what no ordinary day explains is unusual: a fraction of the same weekday in the
eight weeks before, or a multiple of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

WEEKS = 8  # before a day, that tell what is usual; and at the beginning, that are not judged
MIN_USUAL = 20  # orders a day: chance alone empties smaller days
FEW, MANY = 0.2, 8  # of the usual number
JUDGED = timedelta(days=3653)  # ten years back at most
_WEEK = timedelta(days=7)


class UnusualDay(NamedTuple):
    """A day with an unusual number of orders.

    Attributes:
        day: The day on the shop's clock.
        orders: How many orders it has.
        usual: The median of the same weekday in the eight weeks before.
    """

    day: date
    orders: int
    usual: float


def unusual_days(orders: Mapping[date, int], until: date) -> list[UnusualDay]:
    """The unusual days.

    Args:
        orders: Day -> number of orders. Days without orders may be left out.
        until: The first day that is not over.
    """
    unusual = []
    for day in judged_days(orders, until):
        usual = median(orders.get(day - week * _WEEK, 0) for week in range(1, WEEKS + 1))
        count = orders.get(day, 0)
        if usual >= MIN_USUAL and not FEW * usual <= count <= MANY * usual:
            unusual.append(UnusualDay(day, count, usual))
    return unusual


def judged_days(orders: Mapping[date, int], until: date) -> list[date]:
    """The days that `unusual_days` judges."""
    if not orders:
        return []
    first = max(min(orders) + WEEKS * _WEEK, until - JUDGED)
    days = (first + timedelta(days=n) for n in range((until - first).days))
    return [day for day in days if not _is_holiday(day)]


def _is_holiday(day: date) -> bool:
    """Whether shops sell much more or much less on a day: around Black Friday, and around Christmas and New Year."""
    place = day.month, day.day
    return place >= (12, 20) or place <= (1, 3) or (11, 20) <= place <= (12, 5)
