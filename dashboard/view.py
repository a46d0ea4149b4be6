"""What a page shows of the orders: period, comparison and filters. All of it is in the address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Self, cast

from cache.analytics.dimensions import FILTERS, FilterId
from cache.analytics.figures import RETURNS, Returns
from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, comparison_span, period_span
from cache.query.filters import Condition

DEFAULT_PERIOD = "30d"
EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)  # dates in an address
VIEW_PARAMETERS = frozenset(
    (
        *("period", "from", "to", "hour", "compare", "compare_from", "compare_to"),
        *("currency", "convert", "returns"),
        *FILTERS,
    )
)
"""Of the address; the others are those of a page."""

_HOURS = [str(hour) for hour in range(24)]


@dataclass(frozen=True)
class View:
    """What a page shows of the orders.

    Attributes:
        period: One of `PERIODS`.
        start: First day of a custom period.
        end: Last day of a custom period, included.
        hour: The only hour of a custom period of one day, from 0 to 23; None for the whole day.
        currency: ISO 4217 code; "" for the usual one.
        convert: Whether amounts in all currencies are converted to the main one.
        compare: One of `COMPARISONS`.
        compare_start: First day of a custom comparison.
        compare_end: Last day of a custom comparison, included.
        returns: The date that refunds count on.
        status: Values that the filter of this name lets through; empty for all. The others likewise.
    """

    period: str = DEFAULT_PERIOD
    start: date | None = None
    end: date | None = None
    hour: int | None = None
    currency: str = ""
    convert: bool = False
    compare: str = "before"
    compare_start: date | None = None
    compare_end: date | None = None
    returns: Returns = "returned"
    status: tuple[str, ...] = ()
    fulfilment: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    discount: tuple[str, ...] = ()
    refunded: tuple[str, ...] = ()
    product: tuple[str, ...] = ()

    @classmethod
    def read(cls, parameters: Mapping[str, Sequence[str]]) -> Self:
        """The view of an address. A value that does not parse becomes the default."""

        def one(name: str) -> str:
            return next(iter(parameters.get(name, ())), "")

        period, compare = one("period"), one("compare")
        custom, compared = (_days(one(f"{prefix}from"), one(f"{prefix}to")) for prefix in ("", "compare_"))
        if period not in PERIODS or (period == "custom" and not custom):
            period = DEFAULT_PERIOD
        if compare not in COMPARISONS or (compare == "custom" and not compared):
            compare = "before"
        start, end = custom if custom and period == "custom" else (None, None)
        compare_start, compare_end = compared if compared and compare == "custom" else (None, None)
        return cls(
            period=period,
            start=start,
            end=end,
            hour=_hour(one("hour")) if start and start == end else None,
            currency=one("currency"),
            convert=one("convert") == "true",
            compare=compare,
            compare_start=compare_start,
            compare_end=compare_end,
            returns=cast(Returns, one("returns")) if one("returns") in RETURNS else "returned",
            **{name: tuple(parameters.get(name, ())) for name in FILTERS},
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The parameters of the address. The period is always there, since its default may change."""
        parameters: dict[str, str | list[str]] = {"period": self.period}
        if self.period == "custom" and self.start and self.end:
            parameters |= {"from": self.start.isoformat(), "to": self.end.isoformat()}
        if self.hour is not None:
            parameters["hour"] = str(self.hour)
        if self.currency:
            parameters["currency"] = self.currency
        if self.convert:
            parameters["convert"] = "true"
        if self.compare != "before":
            parameters["compare"] = self.compare
        if self.compare_start and self.compare_end:
            parameters |= {"compare_from": self.compare_start.isoformat(), "compare_to": self.compare_end.isoformat()}
        if self.returns != "returned":
            parameters["returns"] = self.returns
        return parameters | {name: list(values) for name, values in self.filters().items()}

    def filters(self) -> dict[FilterId, tuple[str, ...]]:
        """The filters that are set."""
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name)}

    def without_filters(self, names: Iterable[FilterId] = FILTERS) -> View:
        """The same view with none of these filters set."""
        return replace(self, **dict.fromkeys(names, ()))  # type: ignore[arg-type]  # the names are those of filters

    def toggled(self, name: FilterId, value: str) -> View:
        """The same view with a value added to a filter, or removed from it."""
        values: tuple[str, ...] = getattr(self, name)
        values = tuple(each for each in values if each != value) if value in values else (*values, value)
        return replace(self, **{name: values})  # type: ignore[arg-type]  # the name is that of a filter

    def conditions(self, currency: str | None) -> tuple[Condition, ...]:
        """The filters as conditions, and the one on the currency whose amounts are added; None: orders in all."""
        conditions = tuple(Condition(name, "in", values) for name, values in self.filters().items())
        return conditions if currency is None else (Condition("currency", "eq", currency), *conditions)

    def span(self, calendar: ShopCalendar, extent: Span | None) -> Span:
        """The days of the period, or its hour.

        Args:
            calendar: The shop's calendar.
            extent: The first and the last order; None where there are no orders.
        """
        custom = Span.of_days(self.start, self.end) if self.start and self.end else None
        if custom and self.hour is not None:
            start = custom.start.replace(hour=self.hour)
            custom = Span(start, start + timedelta(hours=1))
        return period_span(self.period, calendar, extent, custom)

    def comparison(self, calendar: ShopCalendar, span: Span) -> Span | None:
        """What the period is compared with; None where nothing is compared.

        Args:
            calendar: The shop's calendar.
            span: The days of the period.
        """
        start, end = self.compare_start, self.compare_end
        custom = Span.of_days(start, end) if start and end else None
        return comparison_span(self.compare, self.period, span, calendar, custom)


def custom_period(span: Span) -> dict[str, str]:
    """The parameters of an address that shows the days of a span; its hour, where it is one hour."""
    last = span.end - datetime.resolution
    days = {"from": span.start.date().isoformat(), "to": last.date().isoformat()}
    hour = str(span.start.hour) if span.end - span.start == timedelta(hours=1) else ""
    return {"period": "custom", **days, "hour": hour}


def _days(first: str, last: str) -> tuple[date, date] | None:
    """The first and the last of some days; None where the texts are none that shops can have had orders on."""
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return None
    return days if EARLIEST <= days[0] <= days[1] <= LATEST else None


def _hour(text: str) -> int | None:
    return int(text) if text in _HOURS else None
