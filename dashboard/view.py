"""What a page shows of the orders: period and filters. The address holds them, so a link gives the same view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Protocol, Self

from cache.analytics import Bucket, Span
from cache.filters import Condition
from dashboard import words

PERIODS: Mapping[str, tuple[str, int]] = {
    "today": ("Today", 1),
    "7d": ("Last 7 days", 7),
    "30d": ("Last 30 days", 30),
    "90d": ("Last 90 days", 90),
    "12m": ("Last 12 months", 365),
    "all": ("All time", 0),
    "custom": ("Custom dates", 0),
}


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
    status: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: Query) -> Self:
        """What does not parse is left at its default."""

        def one(name: str) -> str:
            return next(iter(query.get_all(name)), "")

        start, end = _date(one("from")), _date(one("to"))
        period = one("period") or "30d"
        if period not in PERIODS or (period == "custom" and (not start or not end or end < start)):
            period = "30d"
        filters = {name: tuple(query.get_all(name)) for name in ("status", "country", "channel")}
        return (
            cls(period, start, end, one("currency"), **filters)
            if period == "custom"
            else cls(period, None, None, one("currency"), **filters)
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The address's parameters; the period is always named, since its default may change."""
        named: dict[str, str | list[str]] = {"period": self.period}
        if self.period == "custom" and self.start and self.end:
            named |= {"from": self.start.isoformat(), "to": self.end.isoformat()}
        if self.currency:
            named["currency"] = self.currency
        return named | {
            name: list(values)
            for name, values in (("status", self.status), ("country", self.country), ("channel", self.channel))
            if values
        }

    @property
    def filtered(self) -> bool:
        return bool(self.status or self.country or self.channel)

    def cleared(self) -> View:
        return replace(self, status=(), country=(), channel=())

    def conditions(self, currency: str) -> tuple[Condition, ...]:
        """The filters, and the one currency whose amounts are added."""
        chosen = (("status", self.status), ("country", self.country), ("channel", self.channel))
        return (
            Condition("currency", "eq", currency),
            *(Condition(name, "in", values) for name, values in chosen if values),
        )

    def span(self, now: datetime, extent: Span | None) -> Span:
        """The period on the shop's clock; `now` is when the data was verified, `extent` the first order to the last."""
        if self.period == "custom" and self.start and self.end:
            return Span(_midnight(self.start), _midnight(self.end + timedelta(days=1)))
        tomorrow = _midnight(now.date() + timedelta(days=1))
        if self.period == "all":
            first, last = extent or Span(now, now)
            return Span(_midnight(first.date()), max(tomorrow, _midnight(last.date() + timedelta(days=1))))
        return Span(tomorrow - timedelta(days=PERIODS[self.period][1]), tomorrow)

    def before(self, now: datetime, span: Span) -> Span | None:
        """The period of the same length just before, up to the same time of day where the period is not over."""
        if self.period == "all":
            return None
        length = span.end - span.start
        end = now if span.start <= now < span.end else span.end
        return Span(span.start - length, end - length)


def bucket(span: Span) -> Bucket:
    """How finely a chart of a period is drawn."""
    days = (span.end - span.start).days
    if days <= 2:
        return "1 hour"
    if days <= 92:
        return "1 day"
    return "7 days" if days <= 740 else "1 month"


def dates(span: Span, than: int | None = None) -> str:
    """Such as "16 Apr – 14 Jul 2026"; a year that is `than` is left out."""
    first, last = span.start, span.end - timedelta(microseconds=1)
    end = words.day(last, year=last.year != than)
    if first.date() == last.date():
        return end
    return f"{words.day(first, year=first.year != last.year)} – {end}"


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time())


def _date(text: str) -> date | None:
    """A day that shops can have had orders on, else None."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year < 2200 else None
