"""What a figure is made of: the sales, returns, orders or customers that sum to it.

They are read by the terms of which the figure is the sum (`figures.SUMS`), so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from cache.analytics.figures import SUMS, Kind, Line, Returns, Source, Term
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Value, or_zero, ratio
from cache.calendar.periods import Span
from cache.query.filters import Condition

Side = Literal["amount", "divisor"]
"""What an event adds to: the sum of the amounts, or the number that this is divided by."""

_COUNTED: dict[Line, Kind] = {"order": "order", "fulfilment": "order", "customer": "customer"}


@dataclass(frozen=True)
class Event:
    """What changes a figure.

    Attributes:
        at: When it counts; None where the order has no date.
        local: The same on the shop's clock.
        key: Key of the order. For a customer it is the first order that counts.
        kind: A sale, what reverses it, or the order or customer that is counted.
        line: What it is about.
        amount: What it adds to the figure; None where it adds to the divisor.
        divisor: What it adds to the number by which a rate or an average is divided; else None.
    """

    at: datetime | None
    local: datetime | None
    key: object
    kind: Kind
    line: Line
    amount: Decimal | int | None
    divisor: int | None


@dataclass(frozen=True)
class EventDay:
    """The events of one day.

    Attributes:
        day: The day in UTC; None for events without a date.
        amounts: How many events have an amount.
        divisors: How many events have a divisor.
        amount: The sum of the amounts; None without any.
        divisor: The sum of the divisors; None without any.
    """

    day: date | None
    amounts: int
    divisors: int
    amount: Decimal | int | None
    divisor: int | None

    def count(self, side: Side | None = None) -> int:
        """How many events there are on a side; by default on both."""
        return (self.amounts if side != "divisor" else 0) + (self.divisors if side != "amount" else 0)


class _ListedTerm(NamedTuple):
    """A term whose rows are events.

    Attributes:
        place: Its place in the figure.
        line: What its events are about.
        source: The source of its rows.
        term: What each row adds to its sum.
        sign: 1 or -1.
        side: What its sum is part of.
    """

    place: int
    line: Line
    source: Source
    term: Term
    sign: int
    side: Side


class FigureEvents:
    """The events of a figure, in order of time."""

    def __init__(
        self,
        orders: Orders,
        name: str,
        span: Span | None = None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
        days: list[EventDay] | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            orders: The orders.
            name: The figure, as `Figures.value` names it.
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
            returns: The date that refunds count on.
            days: `days` of the same events, where they are known.

        Raises:
            BadFilter: A condition does not fit.
        """
        figures = orders.no_figures
        self._orders = orders
        self._returns = returns
        self._clause, self._operands = orders.order_filter(span, conditions)
        self.composition = figures.composition(name)
        self._known = figures.value(name) is not Absent.NO_COLUMN
        self._nothing = or_zero(getattr(figures, next(iter(self.composition.parts))))
        if days is not None:
            self.days = days

    @cached_property
    def days(self) -> list[EventDay]:
        """The days that have events, in order."""
        sql = (
            "SELECT moment::DATE AS day, count(amount), count(divisor), sum(amount), sum(divisor) "
            f"FROM ({self._events()}) GROUP BY day ORDER BY day NULLS LAST"
        )
        return [EventDay(*row) for row in self._query(sql)] if self._known else []

    def count(self, side: Side | None = None) -> int:
        """How many events there are on a side; by default on both."""
        return sum(day.count(side) for day in self.days)

    @property
    def amount(self) -> Value:
        """The sum of their amounts; `Absent.NO_COLUMN` where the table cannot tell the figure."""
        if not self._known:
            return Absent.NO_COLUMN
        return sum((day.amount for day in self.days if day.amount is not None), self._nothing)

    @property
    def divisor(self) -> int | None:
        """The sum of what they add to the divisor; None where the figure is not divided."""
        return sum(day.divisor or 0 for day in self.days) if self.composition.divisor else None

    @property
    def total(self) -> Value:
        """The figure."""
        return self.amount if self.divisor is None else ratio(self.amount, self.divisor)

    def page(self, limit: int, offset: int = 0, side: Side | None = None) -> list[Event]:
        """Some of the events, in order of time.

        Args:
            limit: How many.
            offset: How many to skip.
            side: On which side; None for both.
        """
        ends = accumulate(day.count(side) for day in self.days)
        among = [
            (day, end)
            for day, end in zip(self.days, ends, strict=True)
            if end > offset and end - day.count(side) < offset + limit
        ]
        if not among:
            return []
        # Only the events of some days are sorted: those of a whole shop do not fit into memory.
        (first, first_end), (last, _) = among[0], among[-1]
        sql = (
            "SELECT moment, local, key, kind, line, amount, divisor "
            f"FROM ({self._events(side, _within(first, last))}) "
            f"ORDER BY moment NULLS LAST, key, place, kind, amount, divisor "
            f"LIMIT {int(limit)} OFFSET {int(offset - first_end + first.count(side))}"
        )
        return [Event(at and at.replace(tzinfo=UTC), *values) for at, *values in self._query(sql, side)]

    def _query(self, sql: str, side: Side | None = None) -> list[tuple[Any, ...]]:
        return self._orders.facts.query(sql, self._operands * len(list(self._terms(side))))

    def _terms(self, side: Side | None = None) -> Iterator[_ListedTerm]:
        """The terms whose rows are listed."""
        divisor = self.composition.divisor
        sums: list[tuple[str, int, Side]] = [(name, sign, "amount") for name, sign in self.composition.parts.items()]
        sums += [(divisor, 1, "divisor")] if divisor else []
        for place, (name, sign, adds_to) in enumerate(sums):
            for source, term in SUMS[name].terms.items():
                if side in (None, adds_to):
                    yield _ListedTerm(place, SUMS[name].line, source, term, sign, adds_to)

    def _events(self, side: Side | None = None, when: str = "true") -> str:
        """SQL of the events. `when` is a condition on the time at which a row `o` counts."""
        return " UNION ALL ".join(self._select(term, when) for term in self._terms(side))

    def _select(self, listed: _ListedTerm, when: str) -> str:
        """SQL of the events of one term."""
        term, line = listed.term, listed.line
        kind = "o.kind" if listed.source == "reversals" else f"'{_COUNTED.get(line, 'sale')}'"
        value = term.amount if listed.sign > 0 else f"-({term.amount})"
        amount, divisor = (value, "NULL") if listed.side == "amount" else ("NULL", value)
        tables = self._orders.tables(listed.source, self._returns)
        which = f"({self._clause}) AND {term.is_event}"
        if term.distinct:  # the first row counts
            earliest = "min({'local': o.local, 'created_at': o.created_at, 'key': o.key})"
            tables = f"(SELECT unnest({earliest}) FROM {tables} WHERE {which} GROUP BY {term.distinct}) AS o"
            which = "true"
        return (
            f"SELECT {kind} AS kind, '{line}' AS line, {listed.place} AS place, o.key AS key, o.local AS local, "
            "CASE WHEN o.local IS NOT NULL THEN timezone('UTC', o.created_at) END AS moment, "
            f"{amount} AS amount, {divisor} AS divisor FROM {tables} WHERE {which} AND {when}"
        )


def _within(first: EventDay, last: EventDay) -> str:
    """SQL: a row `o` counts on one of these days, or on one between them."""
    undated = "o.local IS NULL"
    if first.day is None:
        return undated
    dated = f"o.local IS NOT NULL AND o.created_at >= TIMESTAMPTZ '{first.day} 00:00:00+00'"
    if last.day is None:
        return f"({dated} OR {undated})"
    return f"{dated} AND o.created_at < TIMESTAMPTZ '{last.day + timedelta(days=1)} 00:00:00+00'"
