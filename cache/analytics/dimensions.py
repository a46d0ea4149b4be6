"""Dimensions: what figures are grouped and filtered by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cache.access.masking import Mask
from cache.calendar.periods import Span
from cache.interpretation.requirements import Requirement, roles_of
from cache.query.filters import Condition, where
from cache.reading import Reading
from cache.schema import Column

DimensionId = Literal["status", "fulfilment", "channel", "country", "currency", "discount"]
OrderFilterId = DimensionId | Literal["refunded"]
FilterId = OrderFilterId | Literal["product"]

REFUNDED: Literal["refunded"] = "refunded"
"""The filter by whether goods of an order came back, at any time: `yes` or `no`."""
PRODUCT: Literal["product"] = "product"
PRODUCT_SQL = "coalesce(nullif(sku, ''), title)"
"""What identifies the product of a line item: its SKU, without one its title."""


@dataclass(frozen=True)
class Dimension:
    """What orders can be grouped or filtered by.

    Attributes:
        label: What it is called on its own.
        noun: What it is called in a sentence.
        needs: What it needs of the table (`Orders.missing`).
        role: The role of the column that holds its values as they are (cache/roles.py); "" where they are computed.
    """

    label: str
    noun: str
    needs: Requirement
    role: str = ""

    def available(self, missing: Collection[Requirement]) -> bool:
        """Whether a table has it. `missing` is what the table does not have."""
        return self.needs not in missing


DIMENSIONS: Mapping[DimensionId, Dimension] = {
    "status": Dimension("Payment", "payment status", "payment status", "financial_status"),
    "fulfilment": Dimension("Fulfilment", "fulfilment", "fulfilment status", "fulfillment_status"),
    "channel": Dimension("Channel", "channel", "channel", "channel"),
    "country": Dimension("Country", "country", "country"),
    "currency": Dimension("Currency", "currency", "currency", "currency"),
    "discount": Dimension("Discount", "discount code", "discount code", "discount_code"),
}
"""Each order has one value of each of them."""

FILTERS: Mapping[FilterId, Dimension] = {
    **{name: dimension for name, dimension in DIMENSIONS.items() if name != "currency"},
    REFUNDED: Dimension("Refunded", "refunds", "returns"),
    PRODUCT: Dimension("Product", "product", "products"),
}
"""What people filter by. A filter on products selects the orders with such a line item."""

COLUMNS = tuple(
    Column(name=name, type="varchar", kind="text", nullable=False) for name in dict.fromkeys([*DIMENSIONS, *FILTERS])
)
"""Dimensions and filters as columns of texts, for conditions."""


def hidden_dimensions(reading: Reading, mask: Mask) -> frozenset[FilterId]:
    """The dimensions and filters whose values come from a hidden column.

    Args:
        reading: What the columns mean.
        mask: What is hidden.
    """
    return frozenset(
        name
        for name, dimension in FILTERS.items()
        for role in roles_of(dimension.needs)
        if mask.hides_one_of({reading.roles.get(role, ""), reading.fallbacks.get(role, "")})
    )


def order_filter(span: Span | None, conditions: Sequence[Condition], lines: str) -> tuple[str, list[object]]:
    """SQL that selects orders.

    Args:
        span: The period; None for all time.
        conditions: Conditions on `FILTERS` and the currency.
        lines: SQL of the line items, each with the `key` of its order, `sku` and `title`.

    Returns:
        A condition on a table of facts `o`, and its parameters.

    Raises:
        BadFilter: A condition does not fit.
    """
    clauses: list[str] = []
    parameters: list[object] = []
    for condition in conditions:
        clause, operands = where([condition], COLUMNS)
        if condition.column == PRODUCT:
            clause = f"o.key IN (SELECT key FROM (SELECT key, {PRODUCT_SQL} AS {PRODUCT} FROM {lines}) WHERE {clause})"
        clauses.append(f"({clause})")
        parameters += operands
    if span:
        clauses.append("o.local >= ? AND o.local < ?")
        parameters += span
    return " AND ".join(clauses) or "true", parameters
