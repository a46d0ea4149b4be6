"""What figures, dimensions and pages need of a table. Where a column is missing, `missing` names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from cache.roles import ROLES

Requirement = Literal[
    "gross sales",
    "discounts",
    "shipping",
    "taxes",
    "tax rates",
    "duties",
    "fees",
    "tips",
    "total sales",
    "returns",
    "cancellations",
    "adjustments",
    "gift cards",
    "dates of returns",
    "dates",
    "payment status",
    "fulfilment status",
    "fulfilment time",
    "channel",
    "country",
    "region",
    "city",
    "tags",
    "variants",
    "vendors",
    "currency",
    "discount code",
    "customers",
    "products",
]
"""What figures, dimensions and pages need of a table."""

NAMED_CHOICES = 2  # lists of roles that a sentence names; further ones are rare

# The roles that each requirement needs. Where there are several lists, any one of them is enough.
_ROLES: Mapping[Requirement, tuple[tuple[str, ...], ...]] = {
    "gross sales": (
        ("subtotal", "discounts"),
        ("line_items",),
        ("line_price", "line_quantity"),
        ("line_total",),
        ("total", "shipping", "tax"),
        ("total", "shipping", "tax_lines"),
        ("total", "shipping_lines", "tax"),
        ("total", "shipping_lines", "tax_lines"),
    ),
    "discounts": (("discounts",), ("line_items",)),
    "shipping": (("shipping",), ("shipping_lines",)),
    "taxes": (("tax",), ("tax_lines",)),
    "tax rates": (("tax_lines",),),
    "duties": (("duties",),),
    "fees": (("fees",),),
    "tips": (("tips",),),
    "total sales": (("total",),),
    "returns": (("refunded",), ("refunds",)),
    "cancellations": (("cancelled_at",),),
    "adjustments": (("refunds",),),
    "gift cards": (("line_items",),),
    "dates of returns": (("refunds",),),
    "dates": (("created_at",),),
    "payment status": (("financial_status",),),
    "fulfilment status": (("fulfillment_status",),),
    "fulfilment time": (("fulfilled_at", "created_at"),),
    "channel": (("channel",),),
    "country": (("address",), ("country",)),
    "region": (("address",), ("region",)),
    "city": (("address",), ("city",)),
    "tags": (("tags",),),
    "variants": (("line_items",),),
    "vendors": (("line_items",), ("line_vendor", "line_quantity")),
    "currency": (("currency",),),
    "discount code": (("discount_code",),),
    "customers": (("customer_id",), ("email",)),
    "products": (("line_items",), ("line_title", "line_quantity", "line_price")),
}


def roles_of(requirement: Requirement) -> frozenset[str]:
    """The roles whose columns may meet a requirement."""
    return frozenset(role for choice in _ROLES[requirement] for role in choice)


def missing(roles: Collection[str], gift_cards: bool = True) -> dict[Requirement, str]:
    """What a table does not have.

    Args:
        roles: The roles that its columns play.
        gift_cards: Whether line items say which of them are gift cards.

    Returns:
        Requirement that the table does not meet -> a sentence that names the missing column.
    """
    sentences: dict[Requirement, str] = {}
    for requirement, choices in _ROLES.items():
        if not any(all(role in roles for role in needed) for needed in choices):
            wanted = " or ".join(
                " and ".join(ROLES[role].words for role in needed if role not in roles)
                for needed in choices[:NAMED_CHOICES]
            )
            sentences[requirement] = f"No {requirement}: the table has no column for {wanted}."
    if gross := sentences.get("gross sales"):  # a cancellation takes back the goods
        sentences.setdefault("cancellations", gross.replace("gross sales", "cancellations", 1))
    if not gift_cards:
        sentences.setdefault("gift cards", "No gift cards: line items do not say which of them are gift cards.")
    if "returns" in sentences:
        sentences.pop("dates of returns", None)
    return sentences
