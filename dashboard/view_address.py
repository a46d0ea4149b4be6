"""The view in the address of the page, which goes along from page to page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cache.analytics.dimensions.catalogue import DimensionId
from cache.analytics.dimensions.ranges import Bounds, RangeId
from cache.calendar.periods import Span
from dashboard.address import left_parameters, parameter, parameters, replace_parameters, set_parameter
from dashboard.view import View, is_view_parameter, last_day

_OLD_STEPS = {"1 hour": "hour", "1 day": "day", "7 days": "week", "1 month": "month"}  # in old addresses
_OLD_METRICS = {"fulfilment_time": "time_to_fulfil"}
# What is open on a page.
_OPEN_PARAMETERS = frozenset(("explain", "side", "check", "check_currency", "page", "order", "who"))
ORDER_PARAMETERS = frozenset(("page", "order"))
"""Which orders these name depends on the filters."""


class ViewAddress:
    """Reads and changes the view in the address of one visitor."""

    def __init__(self) -> None:
        self._last: View | None = None

    def view(self) -> View:
        """The view in the address."""
        return View.read(parameters())

    def restore(self, days: Span | None = None) -> View:
        """The view in the address.

        An address without one gets the view that the visitor saw last, and what the page had when the visitor left it,
        such as a search; but nothing that was open on the page.

        Args:
            days: The days that an address without a period gets at first; None: the default period.
        """
        if (step := parameter("step")) in _OLD_STEPS:
            set_parameter("step", _OLD_STEPS[step])
        if (metric := parameter("metric")) in _OLD_METRICS:
            set_parameter("metric", _OLD_METRICS[metric])
        found = parameters()
        if not any(map(is_view_parameter, found)) and self._last:
            left = {
                name: values
                for name, values in left_parameters().items()
                if not is_view_parameter(name) and name not in _OPEN_PARAMETERS
            }
            replace_parameters({**self._last.parameters(), **left, **found})
        elif "period" not in found:
            view = self.view()
            self.put(replace(view, period="custom", start=days[0].date(), end=last_day(days)) if days else view)
        self._last = self.view()
        return self._last

    def change(self, **fields: Any) -> None:
        """Changes some fields of the view, as `View` names them."""
        self.put(replace(self.view(), **fields))

    def filter(self, name: DimensionId, values: tuple[str, ...]) -> None:
        """Sets a filter; without values it lets everything through."""
        self.put(self.view().filtered({name: values}))

    def toggle(self, name: DimensionId, value: str) -> None:
        """Adds a value to a filter, or removes it."""
        self.put(self.view().toggled(name, value))

    def limit(self, name: RangeId, bounds: Bounds | None) -> None:
        """Sets a range; None lets everything through."""
        self.put(self.view().within(name, bounds))

    def clear_filters(self) -> None:
        """Removes all filters and ranges."""
        self.put(self.view().without_filters())

    def put(self, view: View) -> None:
        """Writes a view into the address. Parameters of the page itself stay, such as a search."""
        others = {
            name: values
            for name, values in parameters().items()
            if not is_view_parameter(name) and name not in ORDER_PARAMETERS
        }
        replace_parameters({**view.parameters(), **others})
