"""What a page shows of the orders: period, comparison and filters. All of it is in the address."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Self, cast

from cache.analytics.dimensions.catalogue import FILTERS, DimensionId, is_row_dimension
from cache.analytics.dimensions.ranges import RANGES, Bounds, RangeId, range_conditions
from cache.analytics.figures import RETURNS, Returns
from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, comparison_span, period_span
from cache.query.filters import Condition

DEFAULT_PERIOD = "30d"
EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)  # dates in an address
CHIPS = ("status", "fulfilment", "channel", "country", "discount", "refunded", "product")
"""The filters that always have a chip. The others have one while they are set."""
_NAMES = frozenset(
    (
        *("period", "from", "to", "hour", "compare", "compare_from", "compare_to"),
        *("currency", "convert", "returns"),
        *FILTERS,
        *RANGES,
    )
)

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
        status: Values that the filter of this name lets through; empty for all. The others of `CHIPS` likewise.
        others: Each further filter that is set, with its values.
        ranges: Each range that is set, with its ends.
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
    others: tuple[tuple[DimensionId, tuple[str, ...]], ...] = ()
    ranges: tuple[tuple[RangeId, Bounds], ...] = ()

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
            **{name: tuple(parameters.get(name, ())) for name in CHIPS},
            others=tuple(
                (name, tuple(values))
                for name, values in parameters.items()
                if values and name not in CHIPS and (name in FILTERS or is_row_dimension(name))
            ),
            ranges=tuple((name, bounds) for name, each in RANGES.items() if (bounds := each.read(one(name)))),
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
        parameters |= {name: list(values) for name, values in self.filters().items()}
        return parameters | {name: str(bounds) for name, bounds in self.ranges}

    def values(self, name: DimensionId) -> tuple[str, ...]:
        """The values that a filter lets through; empty for all."""
        return self.filters().get(name, ())

    def filters(self) -> dict[DimensionId, tuple[str, ...]]:
        """The filters that are set."""
        return {name: getattr(self, name) for name in CHIPS if getattr(self, name)} | dict(self.others)

    @property
    def is_filtered(self) -> bool:
        """Whether any filter or range is set."""
        return bool(self.filters() or self.ranges)

    def without_filters(self, names: Collection[DimensionId] | None = None) -> View:
        """The same view with none of these filters and ranges set; without any, where no names are given."""
        cleared = (*self.filters(), *RANGES) if names is None else names
        ranges = tuple((name, bounds) for name, bounds in self.ranges if name not in cleared)
        return replace(self.filtered({name: () for name in cleared if name not in RANGES}), ranges=ranges)

    def within(self, name: RangeId, bounds: Bounds | None) -> View:
        """The same view with a range set; None for all."""
        ranges = dict(self.ranges) | ({name: bounds} if bounds else {})
        kept = (each for each in RANGES if each in ranges and (each != name or bounds))
        return replace(self, ranges=tuple((each, ranges[each]) for each in kept))

    def filtered(self, changes: Mapping[DimensionId, tuple[str, ...]]) -> View:
        """The same view with these filters set to these values; empty for all."""
        others = dict(self.others) | {name: values for name, values in changes.items() if name not in CHIPS}
        fields = {name: values for name, values in changes.items() if name in CHIPS}
        set_ones = tuple((name, values) for name, values in others.items() if values)
        return replace(self, others=set_ones, **fields)  # type: ignore[arg-type]  # the names are those of filters

    def toggled(self, name: DimensionId, value: str) -> View:
        """The same view with a value added to a filter, or removed from it."""
        values = self.values(name)
        values = tuple(each for each in values if each != value) if value in values else (*values, value)
        return self.filtered({name: values})

    def conditions(self, currency: str | None, now: datetime) -> tuple[Condition, ...]:
        """The filters and ranges as conditions.

        Args:
            currency: The currency whose amounts are added; None: orders in all.
            now: The instant that the age of an order counts to.
        """
        conditions = tuple(Condition(name, "in", values) for name, values in self.filters().items())
        conditions += tuple(each for name, bounds in self.ranges for each in range_conditions(name, bounds, now))
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


def is_view_parameter(name: str) -> bool:
    """Whether a parameter of the address is one of the view; the others are those of a page."""
    return name in _NAMES or is_row_dimension(name)


def custom_period(span: Span) -> dict[str, str]:
    """The parameters of an address that shows the days of a span; its hour, where it is one hour."""
    days = {"from": span.start.date().isoformat(), "to": last_day(span).isoformat()}
    hour = str(span.start.hour) if span.end - span.start == timedelta(hours=1) else ""
    return {"period": "custom", **days, "hour": hour}


def last_day(span: Span) -> date:
    """The last day of a span."""
    return (span.end - datetime.resolution).date()


def _days(first: str, last: str) -> tuple[date, date] | None:
    """The first and the last of some days; None where the texts are none that shops can have had orders on."""
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return None
    return days if EARLIEST <= days[0] <= days[1] <= LATEST else None


def _hour(text: str) -> int | None:
    return int(text) if text in _HOURS else None
