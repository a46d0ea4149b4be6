"""The orders that a page shows, and their figures."""

from __future__ import annotations

from dataclasses import dataclass

from cache.analytics.figures import Figures, Returns
from cache.analytics.orders import Orders
from cache.calendar.periods import ShopCalendar, Span
from dashboard import data
from dashboard.data import Conditions
from dashboard.view import View


@dataclass(frozen=True)
class Selection:
    """The orders that a page shows.

    Attributes:
        orders: The generation.
        view: The view in the address.
        calendar: The shop's day, and how far its orders are known.
        currency: The currency whose amounts are added.
        span: The days of the period; None where the orders have no dates.
        compared_span: What the period is compared with; None where nothing is compared.
        conditions: The filters and the currency.
        all_currencies: Whether orders in all currencies are listed. Their amounts are not added.
    """

    orders: Orders
    view: View
    calendar: ShopCalendar
    currency: str
    span: Span | None
    compared_span: Span | None
    conditions: Conditions
    all_currencies: bool = False

    @property
    def returns(self) -> Returns:
        """The date that refunds count on."""
        return self.view.returns

    def figures(self, units: bool = False) -> Figures:
        """Figures of the period. `units` says whether to count units."""
        return data.figures(self.orders, self.span, self.conditions, self.returns, units)

    def compared_figures(self, units: bool = False) -> Figures | None:
        """Figures of the compared period; None where nothing is compared."""
        if self.compared_span is None:
            return None
        return data.figures(self.orders, self.compared_span, self.conditions, self.returns, units)
