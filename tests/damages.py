"""Ways in which the rows of a table get damaged, for tests of the checks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

Row = dict[str, str | None]


class Damage(NamedTuple):
    """A way to damage every `step`-th row that has a value.

    Attributes:
        role: The role whose column is damaged.
        change: The new value for an old one.
        step: 1: every such row.
    """

    role: str
    change: Callable[[str], str | None]
    step: int = 8

    def apply(self, rows: Sequence[Row], column: str) -> list[Row]:
        """The damaged rows."""
        filled = [place for place, row in enumerate(rows) if row[column] not in (None, "", "[]")]
        damaged = set(filled[:: self.step] if self.step == 1 else filled[3 :: self.step])
        return [
            {**row, column: self.change(row[column] or "")} if place in damaged else row
            for place, row in enumerate(rows)
        ]


def _digits(change: Callable[[str], str]) -> Callable[[str], str]:
    """Changes the first number in a text."""
    return lambda text: re.sub(r"\d[\d.,' ]*", lambda match: change(match.group(0)), text, count=1)


def _elements(change: Callable[[list[Any]], list[Any]]) -> Callable[[str], str]:
    """Changes a JSON list, in the REST or in the GraphQL shape."""

    def changed(text: str) -> str:
        held = json.loads(text)
        if isinstance(held, list):
            return json.dumps(change(held))
        nodes = held.get("nodes") or [edge["node"] for edge in held["edges"]]
        return json.dumps({"edges": [{"node": node} for node in change(nodes)]})

    return changed


def _later(days: int) -> Callable[[str], str]:
    def moved(text: str) -> str:
        if text.isdigit():
            return str(int(text) + days * 86_400 * (1_000 if len(text) > 11 else 1))
        day = datetime.fromisoformat(text[:10]) + timedelta(days=days)
        return f"{day:%Y-%m-%d}{text[10:]}"

    return moved


DAMAGES = {
    "totals have a digit too many": Damage("total", _digits(lambda digits: f"9{digits}")),
    "subtotals have a digit too many": Damage("subtotal", _digits(lambda digits: f"9{digits}")),
    "discounts are lost": Damage("discounts", lambda _: None, 1),
    "discounts are wrong": Damage("discounts", _digits(lambda digits: f"7{digits}")),
    "shipping is lost": Damage("shipping", lambda _: None),
    "shipping is wrong": Damage("shipping", _digits(lambda digits: f"7{digits}")),
    "tax is wrong": Damage("tax", _digits(lambda digits: f"7{digits}")),
    "the currency is lost": Damage("currency", lambda _: ""),
    "dates are lost": Damage("created_at", lambda _: None),
    "dates cannot be read": Damage("created_at", lambda _: "soon"),
    "dates are moved by weeks": Damage("created_at", _later(45)),
    "dates are in the future": Damage("created_at", _later(5000)),
    "line items stand twice": Damage("line_items", _elements(lambda items: items * 2)),
    "line items are cut off": Damage("line_items", lambda text: text[: len(text) // 2]),
    "a line item is lost": Damage("line_items", _elements(lambda items: items[1:])),
    "refunds stand twice": Damage("refunds", _elements(lambda refunds: refunds * 2), 1),
    "refunds are lost": Damage("refunds", lambda _: "[]", 1),
    "refunds are cut off": Damage("refunds", lambda text: text[: len(text) // 2], 1),
    "quantities are wrong": Damage("line_quantity", lambda _: "9"),
    "prices are wrong": Damage("line_price", _digits(lambda digits: f"9{digits}")),
}
