"""What a page shows of the orders: period, comparison and filters. All of it stands in the address."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Protocol, Self, cast

from cache.analytics.figures import Bucket, Filter, Returns, Span
from cache.query.filters import Condition
from dashboard import formatting

PERIODS: Mapping[str, str] = {
    "today": "Today",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "year": "This year",
    "12m": "Last 12 months",
    "all": "All time",
    "custom": "Custom dates",
}
COMPARED: Mapping[str, str] = {"before": "Period before", "year": "Year before", "none": "Nothing"}
RETURNS: Mapping[Returns, str] = {"returned": "By date of refund", "ordered": "By date of order"}
FILTERS: tuple[Filter, ...] = ("status", "fulfilment", "channel", "country", "discount", "product")
_DAYS: Mapping[str, int] = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "12m": 365}


class Query(Protocol):
    """The parameters of an address, as Streamlit has them."""

    def get_all(self, key: str) -> list[str]: ...

    def from_dict(self, params: dict[str, str | list[str]]) -> None: ...


@dataclass(frozen=True)
class View:
    """`start` and `end` (both included) count where `period` is "custom". Empty filters let everything through."""

    period: str = "30d"
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
        """What does not parse is left at its default."""

        def one(name: str) -> str:
            return next(iter(query.get_all(name)), "")

        start, end = _date(one("from")), _date(one("to"))
        period = one("period")
        if period not in PERIODS or (period == "custom" and (not start or not end or end < start)):
            period = "30d"
        return cls(
            period,
            start if period == "custom" else None,
            end if period == "custom" else None,
            one("currency"),
            one("compare") if one("compare") in COMPARED else "before",
            cast(Returns, one("returns")) if one("returns") in RETURNS else "returned",
            **{name: tuple(query.get_all(name)) for name in FILTERS},
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The address's parameters; the period is always named, since its default may change."""
        named: dict[str, str | list[str]] = {"period": self.period}
        if self.period == "custom" and self.start and self.end:
            named |= {"from": self.start.isoformat(), "to": self.end.isoformat()}
        if self.currency:
            named["currency"] = self.currency
        if self.compare != "before":
            named["compare"] = self.compare
        if self.returns != "returned":
            named["returns"] = self.returns
        return named | {name: list(values) for name, values in self.filters().items()}

    def filters(self) -> dict[Filter, tuple[str, ...]]:
        """The filters that are set."""
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name)}

    def cleared(self) -> View:
        return replace(self, status=(), fulfilment=(), channel=(), country=(), discount=(), product=())

    def conditions(self, currency: str) -> tuple[Condition, ...]:
        """The filters, and the one currency whose amounts are added."""
        return (
            Condition("currency", "eq", currency),
            *(Condition(name, "in", values) for name, values in self.filters().items()),
        )

    def span(self, now: datetime, extent: Span | None) -> Span:
        """The period on the shop's clock; `now` is when the data was verified, `extent` the first order to the last."""
        tomorrow = _midnight(now.date() + timedelta(days=1))
        match self.period:
            case "custom" if self.start and self.end:
                return Span(_midnight(self.start), _midnight(self.end + timedelta(days=1)))
            case "all":
                first, last = extent or Span(now, now)
                return Span(_midnight(first.date()), max(tomorrow, _midnight(last.date() + timedelta(days=1))))
            case "month":
                return Span(_midnight(now.date().replace(day=1)), tomorrow)
            case "year":
                return Span(_midnight(now.date().replace(month=1, day=1)), tomorrow)
        return Span(tomorrow - timedelta(days=_DAYS[self.period]), tomorrow)

    def before(self, now: datetime, span: Span) -> Span | None:
        """What is compared with, up to the same time of day where the period is not over; None: nothing.

        The period before is as long and ends where this one starts; of this month it is the month before, of this
        year the year before, each up to the same day.
        """
        if self.period == "all" or self.compare == "none":
            return None
        end = now if span.start <= now < span.end else span.end
        if self.compare == "year" or self.period == "year":
            return Span(_months_back(span.start, 12), _months_back(end, 12))
        if self.period == "month":
            return Span(_months_back(span.start, 1), min(_months_back(end, 1), span.start))
        length = span.end - span.start
        return Span(span.start - length, end - length)


BUCKETS: Mapping[Bucket, tuple[str, timedelta]] = {
    "1 hour": ("Hour", timedelta(hours=1)),
    "1 day": ("Day", timedelta(days=1)),
    "7 days": ("Week", timedelta(days=7)),
    "1 month": ("Month", timedelta(days=30)),
}
_MOST_POINTS = 400


def bucket(span: Span) -> Bucket:
    """How finely a chart of a period is drawn, where nobody chose."""
    days = (span.end - span.start).days
    if days <= 2:
        return "1 hour"
    if days <= 92:
        return "1 day"
    return "7 days" if days <= 740 else "1 month"


def buckets(span: Span) -> list[Bucket]:
    """The steps that draw a line of a period: neither one point nor too many."""
    length = span.end - span.start
    fitting: list[Bucket] = [name for name, (_, step) in BUCKETS.items() if step < length <= step * _MOST_POINTS]
    return fitting or [bucket(span)]


def coarse(span: Span) -> Bucket:
    """The step of a small line, which has no room for many points."""
    length = span.end - span.start
    return next((name for name, (_, step) in BUCKETS.items() if length <= step * 40), "1 month")


def dates(span: Span, than: int | None = None) -> str:
    """Such as "16 Apr – 14 Jul 2026"; a year that is `than` is left out."""
    first, last = span.start, span.end - timedelta(microseconds=1)
    end = formatting.day(last, year=last.year != than)
    if first.date() == last.date():
        return end
    return f"{formatting.day(first, year=first.year != last.year)} – {end}"


def _months_back(at: datetime, months: int) -> datetime:
    """The same day and time of an earlier month, or its last day where it is shorter."""
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time())


def _date(text: str) -> date | None:
    """A day that shops can have had orders on, else None."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year < 2200 else None
