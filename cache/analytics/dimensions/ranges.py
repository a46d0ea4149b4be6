"""Ranges that orders are filtered by: of their total, their age and their number of items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from cache.analytics.dimensions.catalogue import FILTER_ONLY, PLACED_AT, TOTAL, UNITS, Dimension
from cache.query.filters import Condition
from cache.query.operators import Op

RangeId = Literal["total", "age", "items"]

_AMOUNT = r"(-?\d{1,12}(?:\.\d{1,4})?)?"
_WHOLE = r"(\d{1,5})?"
MAX_WHOLE, MAX_AMOUNT = 99_999, 999_999_999_999.0
"""The largest numbers that a range has."""


@dataclass(frozen=True)
class Bounds:
    """The ends of a range, both included.

    Attributes:
        low: The lowest number; None for no limit.
        high: The highest number; None for no limit.
    """

    low: Decimal | None = None
    high: Decimal | None = None

    def __str__(self) -> str:
        """The text that `Range.read` reads."""
        return "..".join("" if each is None else f"{each:f}" for each in (self.low, self.high))


@dataclass(frozen=True)
class Range:
    """What can be in a range.

    Attributes:
        label: What it is called.
        unit: What its numbers are of; "" where the label says it.
        filtered: What its conditions are about.
        whole: Whether its numbers are whole ones, none of them negative.
    """

    label: str
    unit: str
    filtered: Dimension
    whole: bool = True

    def read(self, text: str) -> Bounds | None:
        """Reads a text such as `100..500`, `3..` or `..10`; None where it is none."""
        end = _WHOLE if self.whole else _AMOUNT
        found = re.fullmatch(rf"{end}\.\.{end}", text, re.ASCII)
        if found is None or found[1] is found[2] is None:
            return None
        low, high = (Decimal(each) if each else None for each in found.groups())
        return None if low is not None and high is not None and low > high else Bounds(low, high)


RANGES: Mapping[RangeId, Range] = {
    "total": Range("Total", "", FILTER_ONLY[TOTAL], whole=False),
    "age": Range("Age", "day", FILTER_ONLY[PLACED_AT]),
    "items": Range("Items", "", FILTER_ONLY[UNITS]),
}


def range_conditions(name: RangeId, bounds: Bounds, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a range.

    Args:
        name: What is in the range.
        bounds: Its ends. An age is in days of 24 hours.
        now: The instant that an age counts to. Its seconds are left out, so that what was found is good for a minute.
    """
    column, low, high = RANGES[name].filtered.id, bounds.low, bounds.high
    # An old order was placed early.
    at_least: Op = "lte" if name == "age" else "gte"
    at_most: Op = "gte" if name == "age" else "lte"

    def end(number: Decimal) -> str:
        return instant(now - timedelta(days=int(number))) if name == "age" else f"{number:f}"

    ends = ((at_least, low), (at_most, high))
    return tuple(Condition(column, op, end(number)) for op, number in ends if number is not None)


def instant(at: datetime) -> str:
    """A minute as the value of a condition."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
