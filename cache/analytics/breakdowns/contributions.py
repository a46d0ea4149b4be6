"""What changed between two periods: how much each value of a dimension adds to the change of a figure.

The change of a sum is the sum of the changes of its parts. That of gross sales by product, SKU, variant or vendor is
split further. With u pieces at an average price of q now, u0 and q0 before, and P0 the average price of all pieces
before:

    volume = (u - u0) * P0          more or fewer pieces
    price  = (q - q0) * u           the same pieces at another price
    mix    = (u - u0) * (q0 - P0)   more or fewer pieces of what costs more, or less, than the average

What was not sold in one of the periods has no change of price. The three add up to the change: volume and price are
rounded to the cent, and mix is what they leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from cache.analytics.breakdowns.pivot import PivotQuery, pivot
from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figures import Figures, Returns
from cache.analytics.grouped_figures import Grouping, Summed, grouped_sums
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.orders import Orders
from cache.analytics.values import or_zero
from cache.calendar.periods import Span
from cache.query.filters import Condition

EFFECTS = ("volume", "price", "mix")
Fate = Literal["", "gained", "lost"]
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Contribution:
    """What one value adds to the change.

    Attributes:
        value: The value of the dimension; None for what belongs to none.
        now: The figure now.
        before: The figure before.
        effects: How much of the change came from volume, price and mix; empty where that cannot be told.
    """

    value: str | None
    now: Decimal
    before: Decimal
    effects: Mapping[str, Decimal]

    @property
    def change(self) -> Decimal:
        """What it adds to the change."""
        return self.now - self.before

    @property
    def fate(self) -> Fate:
        """Whether it has nothing before, or nothing now."""
        return "gained" if self.now and not self.before else "lost" if self.before and not self.now else ""


@dataclass(frozen=True)
class Change:
    """The change of a figure, and what it consists of.

    Attributes:
        now: The figure now.
        before: The figure before.
        contributions: One for each value, the largest changes first, whatever their sign. They add up to the change,
            with those that belong to no value.
        is_overlapping: Whether an order may count in several, so that they do not add up.
        effects: The sums of theirs; empty where these cannot be told.
    """

    now: Decimal
    before: Decimal
    contributions: Sequence[Contribution]
    is_overlapping: bool
    effects: Mapping[str, Decimal]

    @property
    def change(self) -> Decimal:
        """The change of the figure."""
        return self.now - self.before


def contributions(
    orders: Orders,
    metric: Metric,
    by: DimensionId,
    spans: tuple[Span, Span],
    conditions: Sequence[Condition] = (),
    returns: Returns = "returned",
) -> Change:
    """What the change of a figure consists of.

    Args:
        orders: The orders.
        metric: The figure; one that is a sum (`Metric.is_sum`).
        by: The dimension.
        spans: The period, and the one before.
        conditions: Conditions on dimensions.
        returns: The date that refunds count on.

    Raises:
        BadFilter: A condition, or the dimension, does not fit the table.
        ColumnMasked: A mask hides the dimension.
    """
    dimension = orders.dimension(by)
    splits = dimension.level == "line" and metric.id == "gross_sales"
    metrics = (metric, METRICS["units"]) if splits else (metric,)
    now, before = (_groups(orders, metrics, by, span, conditions, returns) for span in spans)
    totals = [pivot(orders, PivotQuery((metric,), ""), span, conditions, returns).total.total for span in spans]
    whole = [Decimal(or_zero(metric.value(figures))) for figures in totals]
    units = [sum(or_zero(figures.units) for figures in groups.values()) if splits else 0 for groups in (now, before)]
    usual = sum((_of(metric, each) for each in before.values()), Decimal(0)) / units[1] if units[1] else None
    found = [_contribution(metric, value, now, before, usual) for value in {**now, **before}]
    if dimension.level not in ("list", "tax"):
        rest = [
            all - sum((_of(metric, each) for each in groups.values()), Decimal(0))
            for all, groups in zip(whole, (now, before), strict=True)
        ]
        if any(rest) and metric.unit == "money":
            found.append(Contribution(None, rest[0], rest[1], {}))
    found.sort(key=lambda each: (-abs(each.change), each.value or ""))
    effects = {name: sum((each.effects.get(name, Decimal(0)) for each in found), Decimal(0)) for name in EFFECTS}
    overlapping = dimension.level in ("list", "tax") or (
        dimension.level == "line" and metric.unit != "money" and not metric.units
    )
    return Change(whole[0], whole[1], found, overlapping, effects if usual is not None else {})


def _groups(
    orders: Orders,
    metrics: Sequence[Metric],
    by: DimensionId,
    span: Span,
    conditions: Sequence[Condition],
    returns: Returns,
) -> dict[str, Figures]:
    """The figures by value."""
    orders.check_shown([by])
    sources = orders.sources(False, any(metric.units for metric in metrics))
    compositions = [orders.no_figures.composition(metric.id) for metric in metrics]
    names = frozenset(name for each in compositions for name in each.parts)
    summed = Summed(sources, returns, orders.order_filter(span, conditions), names)
    sums = grouped_sums(orders.facts, Grouping((orders.dimension(by),)), summed) or {}
    return {key[0]: orders.figures_of(values, sources, names) for key, values in sums.items()}


def _of(metric: Metric, figures: Figures | None) -> Decimal:
    return Decimal(or_zero(metric.value(figures))) if figures else Decimal(0)


def _contribution(
    metric: Metric, value: str, now: Mapping[str, Figures], before: Mapping[str, Figures], usual: Decimal | None
) -> Contribution:
    """What a value adds. `usual` is the average price of a piece before; None where prices are not told apart."""
    amounts = [_of(metric, groups.get(value)) for groups in (now, before)]
    effects: dict[str, Decimal] = {}
    if usual is not None:
        pieces = [Decimal(or_zero(groups[value].units)) if value in groups else Decimal(0) for groups in (now, before)]
        price = amounts[0] - amounts[1] / pieces[1] * pieces[0] if pieces[0] and pieces[1] else Decimal(0)
        volume = (pieces[0] - pieces[1]) * usual
        effects = {
            name: number.quantize(_CENT, ROUND_HALF_UP) for name, number in (("volume", volume), ("price", price))
        }
        effects["mix"] = amounts[0] - amounts[1] - effects["volume"] - effects["price"]
    return Contribution(value, amounts[0], amounts[1], effects)
