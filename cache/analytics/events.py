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
from typing import NamedTuple

from cache.analytics.figures import SUMS, Kind, Line, Returns, Source, Term
from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from cache.analytics.values import Absent, Value, or_zero, ratio
from cache.query.filters import Condition


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


class _Day(NamedTuple):
    """The events of one day in UTC; those without a date stand under None."""

    day: date | None
    events: int
    amount: Decimal | int | None
    divisor: int | None


class FigureEvents:
    """The events of a figure, in order of time."""

    def __init__(
        self,
        orders: Orders,
        name: str,
        span: Span | None = None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
    ) -> None:
        """Reads nothing yet.

        Args:
            orders: The orders.
            name: The figure, as `Figures.value` names it.
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
            returns: The date that refunds count on.

        Raises:
            BadFilter: A condition does not fit.
        """
        self._orders = orders
        self._returns = returns
        self._clause, self._operands = orders.order_filter(span, conditions)
        figures = orders.no_figures
        self._composition = figures.composition(name)
        self._known = figures.value(name) is not Absent.NO_COLUMN
        self._nothing = or_zero(getattr(figures, next(iter(self._composition.parts))))
        self._terms = list(self._listed_terms()) if self._known else []
        self._parameters = self._operands * len(self._terms)

    @property
    def count(self) -> int:
        """How many events there are."""
        return sum(day.events for day in self._days)

    @property
    def amount(self) -> Value:
        """The sum of their amounts; `Absent.NO_COLUMN` where the table cannot tell the figure."""
        if not self._known:
            return Absent.NO_COLUMN
        return sum((day.amount for day in self._days if day.amount is not None), self._nothing)

    @property
    def divisor(self) -> int | None:
        """The sum of what they add to the divisor; None where the figure is not divided."""
        return sum(day.divisor or 0 for day in self._days) if self._composition.divisor else None

    @property
    def total(self) -> Value:
        """The figure."""
        return self.amount if self.divisor is None else ratio(self.amount, self.divisor)

    def page(self, limit: int, offset: int = 0) -> list[Event]:
        """Some of the events, in order of time.

        Args:
            limit: How many.
            offset: How many to skip.
        """
        ends = list(accumulate(day.events for day in self._days))
        among = [
            (day, end)
            for day, end in zip(self._days, ends, strict=True)
            if end > offset and end - day.events < offset + limit
        ]
        if not among or limit < 1:
            return []
        # Only the events of some days are sorted: those of a whole shop do not fit into memory.
        (first, first_end), (last, _) = among[0], among[-1]
        sql = (
            f"SELECT moment, local, key, kind, line, amount, divisor FROM ({self._events(_within(first, last))}) "
            "ORDER BY moment NULLS LAST, key, place, kind, amount, divisor LIMIT ? OFFSET ?"
        )
        skipped = offset - (first_end - first.events)
        rows = self._orders.facts.query(sql, [*self._parameters, limit, skipped])
        return [Event(at and at.replace(tzinfo=UTC), *values) for at, *values in rows]

    @cached_property
    def _days(self) -> list[_Day]:
        if not self._terms:
            return []
        sql = (
            f"SELECT moment::DATE AS day, count(*), sum(amount), sum(divisor) FROM ({self._events()}) "
            "GROUP BY day ORDER BY day NULLS LAST"
        )
        return [_Day(*row) for row in self._orders.facts.query(sql, self._parameters)]

    def _listed_terms(self) -> Iterator[tuple[int, str, Source, Term, str, str]]:
        """The terms to list: place, field, source, term, and SQL of amount and divisor."""
        divisor = self._composition.divisor
        signs = [*self._composition.parts.items(), *([(divisor, 1)] if divisor else [])]
        for place, (name, sign) in enumerate(signs):
            for source, term in SUMS[name].terms.items():
                value = term.amount if sign > 0 else f"-({term.amount})"
                values = ("NULL", value) if name == divisor else (value, "NULL")
                yield place, name, source, term, *values

    def _events(self, when: str = "true") -> str:
        """SQL of the events. `when` is a condition on the time at which a row `o` counts."""
        return " UNION ALL ".join(self._select(when, *term) for term in self._terms)

    def _select(self, when: str, place: int, name: str, source: Source, term: Term, amount: str, divisor: str) -> str:
        """SQL of the events of one term."""
        line = SUMS[name].line
        kind = "o.kind" if source == "reversals" else f"'{line if line in ('order', 'customer') else 'sale'}'"
        tables = self._orders.tables(source, self._returns)
        which = f"({self._clause}) AND {term.is_event}"
        if term.distinct:  # the first row counts
            earliest = "min({'local': o.local, 'created_at': o.created_at, 'key': o.key})"
            tables = f"(SELECT unnest({earliest}) FROM {tables} WHERE {which} GROUP BY {term.distinct}) AS o"
            which = "true"
        return (
            f"SELECT {kind} AS kind, '{line}' AS line, {place} AS place, o.key AS key, o.local AS local, "
            "CASE WHEN o.local IS NOT NULL THEN timezone('UTC', o.created_at) END AS moment, "
            f"{amount} AS amount, {divisor} AS divisor FROM {tables} WHERE {which} AND {when}"
        )


def _within(first: _Day, last: _Day) -> str:
    """SQL: a row `o` counts on one of these days, or on one between them."""
    undated = "o.local IS NULL"
    if first.day is None:
        return undated
    dated = f"o.local IS NOT NULL AND o.created_at >= TIMESTAMPTZ '{first.day} 00:00:00+00'"
    if last.day is None:
        return f"({dated} OR {undated})"
    return f"{dated} AND o.created_at < TIMESTAMPTZ '{last.day + timedelta(days=1)} 00:00:00+00'"
