"""The view in the address of the page, which goes along from page to page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cache.analytics.dimensions import FilterId
from dashboard.address import parameter, parameters, replace_parameters, set_parameter
from dashboard.view import VIEW_PARAMETERS, View

_OLD_STEPS = {"1 hour": "hour", "1 day": "day", "7 days": "week", "1 month": "month"}  # in old addresses
_OLD_METRICS = {"fulfilment_time": "time_to_fulfil"}
_ORDER_PARAMETERS = frozenset(("page", "order"))  # which orders these name depends on the filters


class ViewAddress:
    """Reads and changes the view in the address of one visitor."""

    def __init__(self) -> None:
        self._last: View | None = None

    def view(self) -> View:
        """The view in the address."""
        return View.read(parameters())

    def restore(self) -> View:
        """The view in the address. Where the address has none, it gets the one that the visitor saw last."""
        if (step := parameter("step")) in _OLD_STEPS:
            set_parameter("step", _OLD_STEPS[step])
        if (metric := parameter("metric")) in _OLD_METRICS:
            set_parameter("metric", _OLD_METRICS[metric])
        if "period" not in parameters() and self._last:
            self.put(self._last)
        self._last = self.view()
        return self._last

    def change(self, **fields: Any) -> None:
        """Changes some fields of the view, as `View` names them."""
        self.put(replace(self.view(), **fields))

    def toggle(self, name: FilterId, value: str) -> None:
        """Adds a value to a filter, or removes it."""
        self.put(self.view().toggled(name, value))

    def clear_filters(self) -> None:
        """Removes all filters."""
        self.put(self.view().without_filters())

    def put(self, view: View) -> None:
        """Writes a view into the address. Parameters of the page itself stay, such as a search."""
        others = {
            name: values for name, values in parameters().items() if name not in VIEW_PARAMETERS | _ORDER_PARAMETERS
        }
        replace_parameters({**view.parameters(), **others})
