"""The reading of a table: the decision what its columns mean.

It is chosen from names and data (cache/interpretation/evidence.py), and is plain data, so that it can be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from cache.roles import DESCRIPTIVE_ROLES
from cache.table_setup import NO_SETUP, NoOrder, Setup

AmountStyle = Literal["point", "comma"]
"""The decimal mark of amounts in text: `1,234.50` or `1.234,50`. Blanks and apostrophes group thousands in both."""

InstantStyle = Literal["iso", "day_first", "month_first", "rfc2822", "seconds", "milliseconds"]
"""How instants are written: ISO 8601, `31/12/2025`, `12/31/2025`, `Wed, 31 Dec 2025 10:00:00 +0100`, or as numbers of
seconds or milliseconds since 1970."""

Grain = Literal["order", "line", "version"]
"""What one row of the source is: an order, a line item of an order, or a version of an order."""

Question = Literal["grain", "dates", "amounts", "tax", "changed"]
QUESTIONS: Mapping[Question, str] = {
    "grain": "Nothing shows whether a row is an order or only a part of one.",
    "dates": "Day and month of the dates can be read in two ways.",
    "amounts": "The decimal mark of the amounts can be read in two ways.",
    "tax": "Nothing shows whether prices include tax.",
    "changed": "The data now suggests another reading than the one in use.",
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
        numbers_repeat: Whether several orders may have one number, such as those of several shops.
        gift_cards: Whether line items say which of them are gift cards.
        taxes_included: Whether prices include tax, where no column says so.
        counted: Rows that count as orders although they are none.
        subtotal_before_discounts: Whether discounts are still to be taken off the subtotal.
        questions: What the data leaves open.
        orders: How many orders it was chosen from.
        adds_up: The share of orders whose total is the sum of its parts, from 0 to 1; None where it cannot be told.
        passed_over: Role -> the column that its name suggests, where more orders add up with another one.
        adds_up_by_name: The share of orders that add up with these columns; None without any.
    """

    roles: dict[str, str]
    fallbacks: dict[str, str] = {}
    amounts: dict[str, AmountStyle] = {}
    instants: dict[str, InstantStyle] = {}
    connections: tuple[str, ...] = ()
    grain: Grain = "order"
    identity: tuple[str, ...] = ()
    numbers_repeat: bool = False
    gift_cards: bool = False
    taxes_included: bool = False
    counted: tuple[NoOrder, ...] = ()
    subtotal_before_discounts: bool = False
    questions: tuple[Question, ...] = ()
    orders: int = 0
    adds_up: float | None = None
    passed_over: dict[str, str] = {}
    adds_up_by_name: float | None = None

    def decides_as(self, other: Reading) -> bool:
        """Whether both say the same about the columns that figures depend on. What they were chosen from may differ."""
        return self._decisions_on_figures() == other._decisions_on_figures()

    def describing_as(self, other: Reading) -> Reading:
        """The same reading with the columns of the other one for roles that no figure depends on."""
        described = {role: column for role, column in other.roles.items() if role in DESCRIPTIVE_ROLES}
        return self.model_copy(update={"roles": {**self._roles_of_figures(), **described}})

    def _roles_of_figures(self) -> dict[str, str]:
        return {role: column for role, column in self.roles.items() if role not in DESCRIPTIVE_ROLES}

    def _decisions_on_figures(self) -> Reading:
        return self.decisions().model_copy(update={"roles": self._roles_of_figures()})

    def decisions(self) -> Reading:
        """The reading without what it was chosen from and what it leaves open."""
        return Reading(**self.model_dump(exclude={"questions", "orders", "adds_up", "passed_over", "adds_up_by_name"}))

    @property
    def confirmed(self) -> bool:
        """Whether the data leaves nothing open, and there are enough orders to say so."""
        return not self.questions and self.orders >= MIN_ORDERS


class StoredReading(BaseModel, frozen=True):
    """The reading in use. Later data never changes it: it opens a question.

    Attributes:
        columns: The columns that it was chosen for, with their types.
        setup: The set-up that it was chosen with.
        reading: The reading; None before the first one.
    """

    columns: tuple[str, ...] = ()
    setup: Setup = NO_SETUP
    reading: Reading | None = None
