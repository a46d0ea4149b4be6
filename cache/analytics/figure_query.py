"""Which figures a program asks for: metrics by dimensions, over time, beside those of another period.

It loads no engine: the serving process makes it of the parameters of a request.
"""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.figures import Returns
from cache.calendar.periods import Unit
from cache.query.filters import Condition

ALL_CURRENCIES = "all"


class FigureQuery(BaseModel, frozen=True):
    """Which figures. The defaults are those of `GET /figures`.

    Attributes:
        metrics: Names of metrics; empty for all that the table can tell.
        by: The dimensions that they are grouped by.
        step: The step of time; None for the period as a whole.
        period: One of `PERIODS`.
        days: First and last day of a custom period, both included.
        compare: One of `COMPARISONS`.
        compared_days: First and last day of a custom comparison, both included.
        currency: ISO 4217 code; `ALL_CURRENCIES` for each on its own; "" for the main one.
        returns: The date that refunds count on.
        conditions: Conditions on dimensions and products.
    """

    metrics: tuple[str, ...] = ()
    by: tuple[DimensionId, ...] = ()
    step: Unit | None = None
    period: str = "all"
    days: tuple[date, date] | None = None
    compare: str = "none"
    compared_days: tuple[date, date] | None = None
    currency: str = ""
    returns: Returns = "returned"
    conditions: tuple[Condition, ...] = ()

    @property
    def filters(self) -> tuple[str, ...]:
        """The dimensions that figures are grouped or filtered by."""
        return (*self.by, *(condition.column for condition in self.conditions))
