"""The view in the address of the page, which goes along from page to page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from cache.analytics.dimensions import FILTERS, FilterId
from dashboard.view import View

_PERIOD_PARAMETERS = ("period", "from", "to", "hour", "compare", "compare_from", "compare_to")
_VIEW_PARAMETERS = frozenset((*_PERIOD_PARAMETERS, "currency", "convert", "returns", *FILTERS))
_OLD_STEPS = {"1 hour": "hour", "1 day": "day", "7 days": "week", "1 month": "month"}  # in old addresses
_OLD_METRICS = {"fulfilment_time": "time_to_fulfil"}
_ORDER_PARAMETERS = frozenset(("page", "order"))  # which orders these name depends on the filters


class ViewAddress:
    """Reads and changes the view in the address of one visitor."""

    def __init__(self) -> None:
        self._last: View | None = None

    def view(self) -> View:
        """The view in the address."""
        return View.read(st.query_params)

    def restore(self) -> View:
        """The view in the address. Where the address has none, it gets the one that the visitor saw last."""
        if (step := st.query_params.get("step", "")) in _OLD_STEPS:
            set_parameter("step", _OLD_STEPS[step])
        if (metric := st.query_params.get("metric", "")) in _OLD_METRICS:
            set_parameter("metric", _OLD_METRICS[metric])
        if "period" not in st.query_params and self._last:
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
            name: values for name, values in _parameters().items() if name not in _VIEW_PARAMETERS | _ORDER_PARAMETERS
        }
        _write(view.parameters() | others)


def set_parameter(name: str, values: str | list[str]) -> None:
    """Writes a parameter of the page into the address, or removes it where `values` is empty."""
    others = _parameters()
    others.pop(name, None)
    _write(others | {name: values} if values else others)


def _parameters() -> dict[str, str | list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _write(parameters: dict[str, str | list[str]]) -> None:
    """Writes the address: the view as it stands, then parameters of the page by name.

    What is chosen twice in another order has the same address. Two quick clicks may also reach the server as one.
    """
    of_page = {name: values for name, values in sorted(parameters.items()) if name not in _VIEW_PARAMETERS}
    of_view = {name: values for name, values in parameters.items() if name in _VIEW_PARAMETERS}
    st.query_params.from_dict(of_view | of_page)
