"""What a page shows of the orders: period, comparison and filters. All of it is in the address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol, Self, cast

from cache.analytics.dimensions import FILTERS, FilterId
from cache.analytics.figures import RETURNS, Returns
from cache.analytics.periods import COMPARISONS, PERIODS, Span, comparison_span, period_span
from cache.query.filters import Condition
from dashboard import formatting

DEFAULT_PERIOD = "30d"
EARLIEST_YEAR, LATEST_YEAR = 1970, 2199  # of dates in an address


class Query(Protocol):
    """The parameters of an address, as Streamlit has them."""

    def get_all(self, key: str) -> list[str]:
        """All values of a parameter."""
        ...


@dataclass(frozen=True)
class View:
    """What a page shows of the orders.

    Attributes:
        period: One of `PERIODS`.
        start: First day of a custom period.
        end: Last day of a custom period, included.
        currency: ISO 4217 code; "" for the usual one.
        compare: One of `COMPARISONS`.
        returns: The date that refunds count on.
        status: Values that the filter of this name lets through; empty for all. The others likewise.
    """

    period: str = DEFAULT_PERIOD
    start: date | None = None
    end: date | None = None
    currency: str = ""
    compare: str = "before"
    returns: Returns = "returned"
    status: tuple[str, ...] = ()
    fulfilment: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    discount: tuple[str, ...] = ()
    product: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: Query) -> Self:
        """The view of an address. A value that does not parse becomes the default."""

        def one(name: str) -> str:
            return next(iter(query.get_all(name)), "")

        start, end = _date(one("from")), _date(one("to"))
        period = one("period")
        if period not in PERIODS or (period == "custom" and (not start or not end or end < start)):
            period = DEFAULT_PERIOD
        return cls(
            period,
            start if period == "custom" else None,
            end if period == "custom" else None,
            one("currency"),
            one("compare") if one("compare") in COMPARISONS else "before",
            cast(Returns, one("returns")) if one("returns") in RETURNS else "returned",
            **{name: tuple(query.get_all(name)) for name in FILTERS},
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The parameters of the address. The period is always there, since its default may change."""
        parameters: dict[str, str | list[str]] = {"period": self.period}
        if self.period == "custom" and self.start and self.end:
            parameters |= {"from": self.start.isoformat(), "to": self.end.isoformat()}
        if self.currency:
            parameters["currency"] = self.currency
        if self.compare != "before":
            parameters["compare"] = self.compare
        if self.returns != "returned":
            parameters["returns"] = self.returns
        return parameters | {name: list(values) for name, values in self.filters().items()}

    def filters(self) -> dict[FilterId, tuple[str, ...]]:
        """The filters that are set."""
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name)}

    def without_filters(self) -> View:
        """The same view with no filter set."""
        return replace(self, status=(), fulfilment=(), channel=(), country=(), discount=(), product=())

    def toggled(self, name: FilterId, value: str) -> View:
        """The same view with a value added to a filter, or removed from it."""
        values: tuple[str, ...] = getattr(self, name)
        values = tuple(each for each in values if each != value) if value in values else (*values, value)
        return replace(self, **{name: values})  # type: ignore[arg-type]  # the name is that of a filter

    def conditions(self, currency: str) -> tuple[Condition, ...]:
        """The filters as conditions, and the one on the currency whose amounts are added."""
        return (
            Condition("currency", "eq", currency),
            *(Condition(name, "in", values) for name, values in self.filters().items()),
        )

    def span(self, now: datetime, extent: Span | None) -> Span:
        """The days of the period.

        Args:
            now: When the data was verified, on the shop's clock.
            extent: The first and the last order; None where there are no orders.
        """
        return period_span(self.period, now, extent, self.start, self.end)

    def comparison(self, now: datetime, span: Span) -> Span | None:
        """What the period is compared with; None where nothing is compared.

        Args:
            now: When the data was verified, on the shop's clock.
            span: The days of the period.
        """
        return comparison_span(self.compare, self.period, now, span)


def date_range(span: Span, current_year: int | None = None) -> str:
    """The days of a span, such as "16 Apr – 14 Jul 2026". The `current_year` is left out."""
    first, last = span.start, span.end - timedelta(microseconds=1)
    end = formatting.day(last, year=last.year != current_year)
    if first.date() == last.date():
        return end
    return f"{formatting.day(first, year=first.year != last.year)} – {end}"


def _date(text: str) -> date | None:
    """A day that shops can have had orders on, else None."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if EARLIEST_YEAR <= day.year <= LATEST_YEAR else None
