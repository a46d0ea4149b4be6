"""Computes the figures of a query by the code of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figure_query import ALL_CURRENCIES, FigureQuery
from cache.analytics.figures import Figures, Group, Returns
from cache.analytics.marks import Mark
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Value, or_zero
from cache.calendar.periods import ShopCalendar, Span, Unit, comparison_span, period_span
from cache.calendar.steps import STEPS, Bucket, buckets
from cache.check_report import CheckId
from cache.errors import BadFilter, TooManyRows
from cache.interpretation.requirements import Requirement
from cache.query.filters import Condition

MAX_GROUPS = 100_000  # of one query, over all its pages

_Key = tuple[datetime | None, tuple[str, ...]]  # of a row: the bucket, and the values of the dimensions


@dataclass(frozen=True)
class FigureRow:
    """The figures of one group.

    Attributes:
        values: One value for each dimension of the table of figures, "" for orders without one.
        at: Start of the bucket on the shop's clock; None where the query has no step.
        partial: Whether the bucket is not over, or cut by the period.
        figures: The figures.
        compared: Those of the compared period; None where nothing is compared.
    """

    values: tuple[str, ...]
    at: datetime | None
    partial: bool
    figures: Figures
    compared: Figures | None


@dataclass(frozen=True)
class FigureTable:
    """The answer to a query.

    Attributes:
        metrics: The metrics, also those that the table cannot tell.
        by: The dimensions of the rows. With several currencies, `currency` is the first.
        currency: The currency of all amounts, or `ALL_CURRENCIES`; "" where the table has no currency.
        span: The days of the period; None where orders have no dates.
        compared_span: What it is compared with; None where nothing is compared.
        rows: In order of time, then the largest value of the first metric first.
        totals: The figures of the whole period.
        compared_totals: Those of the compared period; None where nothing is compared.
        missing: What the table does not have (`Orders.missing`).
        marks: The checks that orders of the period fail.
        unattributed: With a dimension of line items: what belongs to none of them. None without one.
        is_overlapping: Whether an order may count in several rows.
    """

    metrics: Sequence[Metric]
    by: tuple[DimensionId, ...]
    currency: str
    span: Span | None
    compared_span: Span | None
    rows: Sequence[FigureRow]
    totals: Figures
    compared_totals: Figures | None
    missing: Mapping[Requirement, str]
    marks: Mapping[CheckId, Mark]
    unattributed: Figures | None = None
    is_overlapping: bool = False

    def value(self, metric: Metric, figures: Figures) -> Value:
        """A metric of a row."""
        return metric.value(figures) if metric.available(self.missing) else Absent.NO_COLUMN

    def total(self, metric: Metric, totals: Figures) -> Value:
        """A metric of `totals` or `compared_totals`. Amounts in several currencies have no total."""
        if self.currency == ALL_CURRENCIES and metric.unit == "money":
            return Absent.UNDEFINED
        return self.value(metric, totals)


def reason(needs: Sequence[Requirement], missing: Mapping[Requirement, str]) -> str | None:
    """Why a table cannot tell something; None where it can.

    Args:
        needs: What that needs of the table.
        missing: What the table does not have (`Orders.missing`).
    """
    return next((missing[need] for need in needs if need in missing), None)


@dataclass(frozen=True)
class ResolvedQuery:
    """The orders that a query is about.

    Attributes:
        currency: As in `FigureTable`.
        conditions: The filters, and the one on the currency.
        span: As in `FigureTable`.
        compared_span: As in `FigureTable`.
    """

    currency: str
    conditions: tuple[Condition, ...]
    span: Span | None
    compared_span: Span | None


def resolve(orders: Orders, query: FigureQuery, calendar: ShopCalendar, main_currency: str = "") -> ResolvedQuery:
    """Finds the currency and the days of a query.

    Args:
        orders: The orders.
        query: Which figures.
        calendar: The shop's calendar.
        main_currency: The currency that figures are in unless the query or the set-up names one.

    Raises:
        BadFilter: The query does not fit the table.
    """
    _require(orders, query)
    currency = _currency(orders, query.currency, main_currency)
    conditions = query.conditions
    if currency != ALL_CURRENCIES:
        conditions = (Condition("currency", "eq", currency), *conditions)
    span = compared_span = None
    if "dates" not in orders.missing:
        span = period_span(query.period, calendar, orders.extent(), _days(query.days))
        compared_span = comparison_span(query.compare, query.period, span, calendar, _days(query.compared_days))
    return ResolvedQuery(currency, conditions, span, compared_span)


def compute(orders: Orders, query: FigureQuery, calendar: ShopCalendar, main_currency: str = "") -> FigureTable:
    """Computes figures as the dashboard does.

    Args:
        orders: The orders.
        query: Which figures.
        calendar: The shop's calendar.
        main_currency: As in `resolve`.

    Raises:
        BadFilter: The query does not fit the table.
        TooManyRows: There are more than `MAX_GROUPS` groups.
    """
    resolved = resolve(orders, query, calendar, main_currency)
    currency, span, compared_span = resolved.currency, resolved.span, resolved.compared_span
    by = ("currency", *query.by) if currency == ALL_CURRENCIES else query.by
    metrics = [METRICS[name] for name in query.metrics] or [
        metric for metric in METRICS.values() if metric.available(orders.missing)
    ]
    computation = _Computation(orders, metrics, by, query.step, resolved.conditions, query.returns, calendar)
    totals = computation.totals(span)
    compared_totals = computation.totals(compared_span) if compared_span else None
    if by or query.step:
        rows = computation.rows(span, compared_span)
    else:
        rows = [FigureRow((), None, False, totals, compared_totals)]
    marks = orders.marks(span, resolved.conditions)
    dimensions = [orders.dimension(name) for name in by]
    levels = {each.level for each in dimensions}
    unattributed = None
    if "line" in levels and not levels & {"list", "tax"}:
        unattributed = totals.plus((row.figures for row in rows), -1)
    return FigureTable(
        metrics,
        by,
        currency,
        span,
        compared_span,
        rows,
        totals,
        compared_totals,
        orders.missing,
        marks,
        unattributed,
        any(each.is_overlapping for each in dimensions),
    )


def _require(orders: Orders, query: FigureQuery) -> None:
    for name in query.filters:
        needs = orders.dimension(name).needs
        if needs and (why := reason([needs], orders.missing)):
            raise BadFilter(why, f"Leave '{name}' out, or say on the Settings page which column it is.")
    if "dates" in orders.missing and (query.step or query.period != "all"):
        raise BadFilter(
            orders.missing["dates"], "Leave 'step' and 'period' out, or say on the Settings page which column it is."
        )


def _currency(orders: Orders, requested: str, main: str) -> str:
    """The currency that is asked for, else that of the set-up or the settings, else the one with the most orders."""
    codes = [code for code, _ in orders.currencies()]
    if requested == ALL_CURRENCIES:
        return requested
    if requested and requested not in codes:
        raise BadFilter(f"No order has the currency {requested!r}.", f"Currencies: {', '.join(filter(None, codes))}.")
    wanted = (requested, orders.setup.currency or "", main)
    return next((code for code in wanted if code and code in codes), codes[0] if codes else "")


def _days(days: tuple[date, date] | None) -> Span | None:
    return Span.of_days(*days) if days else None


@dataclass(frozen=True)
class _Computation:
    """A query whose period and currency are known."""

    orders: Orders
    metrics: Sequence[Metric]
    by: tuple[DimensionId, ...]
    step: Unit | None
    conditions: tuple[Condition, ...]
    returns: Returns
    calendar: ShopCalendar

    def totals(self, span: Span | None) -> Figures:
        """The figures of a period."""
        groups = self._groups((), None, span)
        return groups[0].figures if groups else Figures()

    def rows(self, span: Span | None, compared_span: Span | None) -> list[FigureRow]:
        """A row for each group that has orders or returns in one of the periods.

        Without dimensions, every bucket of the period has a row. Buckets are compared by their place in the period.
        """
        parts = self._buckets(span)
        now = self._figures(span)
        if not self.by:
            now = {(start, ()): now.get((start, ()), Figures()) for start in {*parts, *(at for at, _ in now)}}
        then: dict[_Key, Figures] = {}
        if compared_span:
            starts = dict(zip(self._buckets(compared_span), parts, strict=False))
            compared = self._figures(compared_span).items()
            then = {
                (starts.get(at), values): figures for (at, values), figures in compared if at in starts or not self.step
            }
        keys = [*now, *(key for key in then if key not in now)]
        rows = [
            FigureRow(
                values,
                at,
                at in parts and parts[at].partial,
                now.get((at, values), Figures()),
                then.get((at, values), Figures()) if compared_span else None,
            )
            for at, values in keys
        ]
        return sorted(rows, key=self._place)

    def _place(self, row: FigureRow) -> tuple[object, ...]:
        currency = row.values[: len(self.by) and self.by[0] == "currency"]
        return row.at or datetime.min, currency, -or_zero(self.metrics[0].value(row.figures)), row.values

    def _buckets(self, span: Span | None) -> dict[datetime | None, Bucket]:
        if not (self.step and span):
            return {}
        if (span.end - span.start) / STEPS[self.step].length > MAX_GROUPS:
            raise _too_many_groups()
        return {bucket.start: bucket for bucket in buckets(self.step, span, self.calendar)}

    def _figures(self, span: Span | None) -> dict[_Key, Figures]:
        """Figures by bucket and values of dimensions."""
        self._count_groups(span)
        return {(group.at, group.values): group.figures for group in self._groups(self.by, self.step, span)}

    def _groups(self, by: Sequence[DimensionId], step: Unit | None, span: Span | None) -> list[Group]:
        customers = any(metric.customers for metric in self.metrics)
        units = any(metric.units for metric in self.metrics)
        return self.orders.groups(by, step, span, self.conditions, self.returns, customers, units)

    def _count_groups(self, span: Span | None) -> None:
        """Refuses what would take too much memory. Groups without orders, which have returns only, are not counted."""
        if self.orders.count_groups(self.by, self.step, span, self.conditions, MAX_GROUPS + 1) > MAX_GROUPS:
            raise _too_many_groups()


def _too_many_groups() -> TooManyRows:
    return TooManyRows(
        f"These are more than {MAX_GROUPS:,} groups.",
        "Ask for fewer dimensions, a longer step, a shorter period or a filter.",
    )
