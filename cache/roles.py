"""Roles: what a column can mean, and by which names and kinds it is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cache.schema import Column, Kind
from cache.table_setup import OPEN, Setup

_AMOUNT: tuple[Kind, ...] = ("decimal", "integer", "unsigned", "float", "double", "text")
_INSTANT: tuple[Kind, ...] = ("datetime", "timestamp", "date", "text")
_TEXT: tuple[Kind, ...] = ("text",)
_NAME: tuple[Kind, ...] = ("text", "integer", "unsigned")
_FLAG: tuple[Kind, ...] = ("boolean", "integer", "unsigned", "text")
_NESTED: tuple[Kind, ...] = ("json", "text")


class Role(NamedTuple):
    """What a column can mean.

    Attributes:
        words: The meaning, for people.
        kinds: Kinds of columns that can play the role.
        names: Column names it is recognised by, the most telling first; lower-case letters and digits alone.
    """

    words: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]


ROLES: Mapping[str, Role] = {
    "name": Role("the order's number", _NAME, ("name", "ordername", "ordernumber", "orderid", "id")),
    "created_at": Role(
        "the date of the order", _INSTANT, ("createdat", "created", "orderdate", "datecreated", "placedat")
    ),
    "updated_at": Role("the date of the last change", _INSTANT, ("updatedat", "updated", "modifiedat")),
    "cancelled_at": Role("the date of cancellation", _INSTANT, ("cancelledat", "canceledat")),
    "fulfilled_at": Role("the date of fulfilment", _INSTANT, ("fulfilledat", "shippedat", "fulfillmentdate")),
    "financial_status": Role("the payment status", _TEXT, ("financialstatus", "paymentstatus")),
    "fulfillment_status": Role(
        "the fulfilment status", _TEXT, ("fulfillmentstatus", "fulfilmentstatus", "shippingstatus")
    ),
    "currency": Role("the currency", _TEXT, ("currency", "currencycode")),
    "taxes_included": Role("whether prices hold tax", _FLAG, ("taxesincluded", "taxincluded")),
    "subtotal": Role("the subtotal after discounts", _AMOUNT, ("subtotalprice", "subtotal")),
    "discounts": Role("the discounts", _AMOUNT, ("totaldiscounts", "discountamount", "totaldiscount", "discounts")),
    "shipping": Role(
        "the shipping", _AMOUNT, ("totalshipping", "shipping", "totalshippingprice", "shippingprice", "shippingtotal")
    ),
    "tax": Role("the tax", _AMOUNT, ("totaltax", "taxes", "tax", "totaltaxes")),
    "total": Role("the total", _AMOUNT, ("totalprice", "total", "ordertotal", "grandtotal", "totalamount")),
    "refunded": Role("the amount refunded", _AMOUNT, ("totalrefunded", "refundedamount", "amountrefunded")),
    "refunds": Role("the refunds, each with its date", _NESTED, ("refunds",)),
    "discount_code": Role("the discount code", _TEXT, ("discountcode", "discountcodes", "couponcode")),
    "channel": Role("the sales channel", _TEXT, ("sourcename", "source", "channel", "saleschannel")),
    "customer_id": Role("the customer's number", _NAME, ("customerid",)),
    "email": Role("the customer's e-mail", _TEXT, ("email", "customeremail", "contactemail")),
    "customer_name": Role("the customer's name", _TEXT, ("customername", "billingname", "shippingname")),
    "address": Role("the address as JSON", _NESTED, ("destination", "shippingaddress", "deliveryaddress")),
    "country": Role("the country", _TEXT, ("shippingcountry", "country", "countrycode", "shippingcountrycode")),
    "line_items": Role("the line items as JSON", _NESTED, ("lineitems", "items")),
    "test": Role("whether it is a test", _FLAG, ("test", "istest")),
    "line_title": Role("the product of a line", _TEXT, ("lineitemname", "producttitle", "itemname")),
    "line_sku": Role("the SKU of a line", _TEXT, ("lineitemsku", "itemsku")),
    "line_quantity": Role("the quantity of a line", _AMOUNT, ("lineitemquantity", "itemquantity")),
    "line_price": Role("the price of a line", _AMOUNT, ("lineitemprice", "itemprice")),
}


def recognised(columns: Iterable[Column], setup: Setup = OPEN) -> dict[str, Column]:
    """Assigns columns to roles.

    Args:
        columns: The columns of the table.
        setup: The set-up, which decides for the roles that it names.

    Returns:
        Role -> the column that plays it. Where the set-up does not decide, that is the column with the first of the
        role's names that the table has. Roles without a column of a fitting kind are left out.
    """
    listed = list(columns)
    by_name = {column.name: column for column in listed}
    by_plain_name: dict[str, Column] = {}
    for column in listed:
        by_plain_name.setdefault(re.sub(r"[^a-z0-9]", "", column.name.casefold()), column)
    assigned: dict[str, Column] = {}
    for role, (_, kinds, names) in ROLES.items():
        if role in setup.columns:
            candidates: list[Column | None] = [by_name.get(setup.columns[role])]
        else:
            candidates = [by_plain_name.get(name) for name in names]
        fitting = [column for column in candidates if column is not None and column.kind in kinds]
        if fitting:
            assigned[role] = fitting[0]
    return assigned
