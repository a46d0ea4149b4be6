"""Ranges of the integer key, and what can be computed about them without a server.

A range is low <= key < high; None means no bound. A table without an integer key is the one range WHOLE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Range(NamedTuple):
    """The keys from `low` (included) to `high` (excluded); None where there is no bound."""

    low: int | None
    high: int | None

    @property
    def position(self) -> tuple[bool, int]:
        """The sort key of ranges: the one without a lower bound comes first."""
        return (self.low is not None, self.low or 0)

    def intersection(self, other: Range) -> Range | None:
        """Returns the keys in both ranges; None where there are none."""
        low = max((bound for bound in (self.low, other.low) if bound is not None), default=None)
        high = min((bound for bound in (self.high, other.high) if bound is not None), default=None)
        return None if low is not None and high is not None and low >= high else Range(low, high)

    def describe(self) -> str:
        """Returns the range in words, for a message."""
        if self.low is None:
            return "the whole table" if self.high is None else f"keys below {self.high}"
        return f"keys from {self.low}" if self.high is None else f"keys {self.low} to {self.high - 1}"


WHOLE = Range(None, None)


def merge_neighbours(ranges: Iterable[Range]) -> list[Range]:
    """Returns ranges in key order with each run of adjoining ones merged into one."""
    merged: list[Range] = []
    for part in ranges:
        if merged and merged[-1].high is not None and merged[-1].high == part.low:
            merged[-1] = Range(merged[-1].low, part.high)
        else:
            merged.append(part)
    return merged


def from_key(ranges: Sequence[Range], key: int | None) -> list[Range]:
    """Returns what is left of ranges from a key on (None: all of them)."""
    if key is None:
        return list(ranges)
    left = [part for part in ranges if part.high is None or part.high > key]
    return [Range(key if part.low is None or part.low < key else part.low, part.high) for part in left]


def count_keys(ranges: Iterable[Range], bottom: int, top: int) -> int:
    """Returns how many integers the ranges hold, of those from `bottom` to `top` (both included)."""
    total = 0
    for low, high in ranges:
        first = bottom if low is None else max(low, bottom)
        end = top + 1 if high is None else min(high, top + 1)
        total += max(0, end - first)
    return total


def split_after(ranges: Sequence[Range], width: int, bottom: int, top: int) -> tuple[list[Range], list[Range]]:
    """Splits ranges behind their first `width` integers, of those from `bottom` to `top` (both included).

    Returns:
        The ranges before and after the split.
    """
    for i, part in enumerate(ranges):
        size = count_keys([part], bottom, top)
        if size > width:
            first = bottom if part.low is None else max(bottom, part.low)
            split = first + width if width else part.low
            before = [Range(part.low, split)] if width else []
            return [*ranges[:i], *before], [Range(split, part.high), *ranges[i + 1 :]]
        width -= size
    return list(ranges), []
