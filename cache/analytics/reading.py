"""The reading of a table: the decision what its columns mean.

It is chosen from names and data (cache/analytics/evidence.py), and is plain data, so that it can be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from cache.analytics.text_values import AmountStyle, InstantStyle

Grain = Literal["order", "line", "version"]
"""What one row of the source is: an order, a line item of an order, or a version of an order."""

Question = Literal["grain", "dates", "amounts", "tax"]
QUESTIONS: Mapping[Question, str] = {
    "grain": "The same order number stands in several rows, and nothing shows why.",
    "dates": "Day and month of the dates can be read in two ways.",
    "amounts": "The decimal mark of the amounts can be read in two ways.",
    "tax": "Nothing shows whether prices include tax.",
}
"""What the data leaves open, and the sentence that says so."""

MIN_ORDERS = 50  # a reading of fewer orders is not confirmed


class Reading(BaseModel, frozen=True):
    """What the columns of one table mean.

    Attributes:
        roles: Role (see cache/roles.py) -> name of the column that plays it.
        fallbacks: Role -> name of the column that gives the value where that of `roles` has none.
        amounts: Column of amounts in text -> how they are written.
        instants: Column of instants in text or whole numbers -> how they are written.
        connections: Columns with JSON lists in the GraphQL shape: `edges` with a `node` each, or `nodes`.
        grain: What one row is.
        identity: Names of the columns that tell orders apart, where several rows belong to one order.
        gift_cards: Whether line items say which of them are gift cards.
        taxes_included: Whether prices include tax, where no column says so.
        questions: What the data leaves open.
        orders: How many orders it was chosen from.
        adds_up: The share of orders whose total is the sum of its parts, from 0 to 1; None where it cannot be told.
    """

    roles: dict[str, str]
    fallbacks: dict[str, str] = {}
    amounts: dict[str, AmountStyle] = {}
    instants: dict[str, InstantStyle] = {}
    connections: tuple[str, ...] = ()
    grain: Grain = "order"
    identity: tuple[str, ...] = ()
    gift_cards: bool = False
    taxes_included: bool = False
    questions: tuple[Question, ...] = ()
    orders: int = 0
    adds_up: float | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the data leaves nothing open, and there are enough orders to say so."""
        return not self.questions and self.orders >= MIN_ORDERS
