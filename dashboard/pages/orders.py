"""The orders themselves."""

from __future__ import annotations

from dashboard import frame
from dashboard.components.orders_table import orders_table
from dashboard.session import Session


def orders(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Orders", all_currencies=True)
    if selection is None:
        return
    orders_table(session, selection)
    frame.foot(selection)
