"""The orders themselves."""

from __future__ import annotations

from dashboard import frame
from dashboard.components.orders_table import orders_table


def orders() -> None:
    shown = frame.page("Orders")
    if shown is None:
        return
    orders_table(shown.orders, shown.span, shown.conditions)
    frame.foot(shown)
