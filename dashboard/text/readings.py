"""How a reading is told to people: what it decided, by what evidence, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping

from cache.analytics.orders import Orders
from cache.reading import MIN_ORDERS, QUESTIONS, AmountStyle, Grain, InstantStyle, Reading
from cache.roles import ROLES
from cache.schema import Column
from cache.table_setup import NoOrder
from dashboard.text.formatting import counted

GRAINS: Mapping[Grain, str] = {
    "order": "an order",
    "line": "a line item of an order",
    "version": "a version of an order",
}
DATE_ORDERS: Mapping[InstantStyle, str] = {"day_first": "Day before month", "month_first": "Month before day"}
MARKS: Mapping[AmountStyle, str] = {"point": "Decimal point: 1,234.50", "comma": "Decimal comma: 1.234,50"}
NO_ORDERS: Mapping[NoOrder, tuple[str, tuple[str, ...]]] = {
    "test": ("Test orders", ("test",)),
    "deleted": ("Deleted rows", ("deleted",)),
    "draft": ("Open drafts", ("order_status", "draft_status")),
}
"""Rows that are no orders, and the roles whose columns say so."""
TAXES: Mapping[bool, str] = {True: "Prices include tax", False: "Prices exclude tax"}
_INSTANTS: Mapping[InstantStyle, str] = {
    "iso": "year first, as 2025-12-31",
    "day_first": "day before month, as 31/12/2025",
    "month_first": "month before day, as 12/31/2025",
    "rfc2822": "as Wed, 31 Dec 2025 10:00:00 +0100",
    "seconds": "seconds since 1970",
    "milliseconds": "milliseconds since 1970",
}


def evidence(reading: Reading, roles: Mapping[str, Column]) -> list[tuple[str, str]]:
    """What a reading decided, as lines with a name and a text.

    Args:
        reading: The reading.
        roles: Role -> the column that plays it.
    """
    grain = GRAINS[reading.grain]
    if reading.identity:
        grain += f"; orders are told apart by {' and '.join(reading.identity)}"
    lines = [("One row is", grain)]
    if "created_at" in roles:
        name = roles["created_at"].name
        style = reading.instants.get(name)
        text = f"{name}, {_INSTANTS[style]}" if style else name
        if fallback := reading.fallbacks.get("created_at"):
            text += f"; where it is empty, {fallback}"
        lines.append(("Date of an order", text))
    if reading.amounts:
        styles = ", ".join(sorted({MARKS[style] for style in reading.amounts.values()}))
        lines.append(("Amounts in text", styles))
    if "taxes_included" in roles:
        lines.append(("Tax", f"as the column {roles['taxes_included'].name} says"))
    elif {"tax", "tax_lines"} & roles.keys():
        lines.append(("Tax", "included in prices" if reading.taxes_included else "on top of prices"))
    if reading.adds_up is not None:
        share = f"{reading.adds_up:.2%} of {counted(reading.orders, 'order')} in the sample"
        if reading.adds_up_by_name is not None:
            share += f"; {reading.adds_up_by_name:.2%} with {' and '.join(reading.passed_over.values())}"
        lines.append(("Totals that are the sum of their parts", share))
    return lines


def unread(orders: Orders) -> list[tuple[str, str]]:
    """The values that cannot be read, as lines with the role and a text. Names keys of orders, never values."""
    lines = []
    for role, each in orders.unread.items():
        text = f"{each.count:,} of {counted(each.values, 'value')} of {orders.roles[role].name} could not be read"
        if orders.facts.key_columns:
            text += f"; for example {'order' if len(each.keys) == 1 else 'orders'} {', '.join(each.keys)}"
        words = ROLES[role].words
        lines.append((f"{words[:1].upper()}{words[1:]}", text))
    return lines


def doubt(reading: Reading) -> str:
    """Why figures are not confirmed; "" where they are."""
    if reading.questions:
        return f"Figures are not confirmed. {' '.join(questions(reading))}"
    if not reading.confirmed:
        return f"Figures are not confirmed: {MIN_ORDERS} orders are needed to be sure how the table is read."
    return ""


def questions(reading: Reading) -> list[str]:
    """What a reading leaves open, as sentences."""
    return [QUESTIONS[question] for question in reading.questions]
