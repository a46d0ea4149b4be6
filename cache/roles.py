"""Roles: what a column can mean, and by which names and kinds it is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cache.schema import Column, Kind
from cache.table_setup import NO_SETUP, Setup

_AMOUNT: tuple[Kind, ...] = ("decimal", "integer", "unsigned", "float", "double", "text")
_INSTANT: tuple[Kind, ...] = ("datetime", "timestamp", "date", "text")
_TEXT: tuple[Kind, ...] = ("text",)
_NAME: tuple[Kind, ...] = ("text", "integer", "unsigned")
_FLAG: tuple[Kind, ...] = ("boolean", "integer", "unsigned", "text")
_NESTED: tuple[Kind, ...] = ("json", "text")


class Role(NamedTuple):
    """What a column can mean.

    Attributes:
        group: The group of roles it belongs to, for people.
        words: The meaning, for people.
        kinds: Kinds of columns that can play the role.
        names: Column names it is recognised by, the most telling first; lower-case letters and digits alone.
    """

    group: str
    words: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]


_ORDER, _AMOUNTS, _CUSTOMER, _ITEMS = "Order", "Amounts", "Customer and place", "Items"

ROLES: Mapping[str, Role] = {
    "name": Role(_ORDER, "the order's number", _NAME, ("name", "ordername", "ordernumber", "orderid", "id")),
    "created_at": Role(
        _ORDER, "the date of the order", _INSTANT, ("createdat", "created", "orderdate", "datecreated", "placedat")
    ),
    "updated_at": Role(_ORDER, "the date of the last change", _INSTANT, ("updatedat", "updated", "modifiedat")),
    "cancelled_at": Role(_ORDER, "the date of cancellation", _INSTANT, ("cancelledat", "canceledat")),
    "fulfilled_at": Role(_ORDER, "the date of fulfilment", _INSTANT, ("fulfilledat", "shippedat", "fulfillmentdate")),
    "financial_status": Role(_ORDER, "the payment status", _TEXT, ("financialstatus", "paymentstatus")),
    "fulfillment_status": Role(
        _ORDER, "the fulfilment status", _TEXT, ("fulfillmentstatus", "fulfilmentstatus", "shippingstatus")
    ),
    "test": Role(_ORDER, "whether it is a test order", _FLAG, ("test", "istest")),
    "currency": Role(_AMOUNTS, "the currency", _TEXT, ("currency", "currencycode")),
    "total": Role(_AMOUNTS, "the total", _AMOUNT, ("totalprice", "total", "ordertotal", "grandtotal", "totalamount")),
    "subtotal": Role(_AMOUNTS, "the subtotal after discounts", _AMOUNT, ("subtotalprice", "subtotal")),
    "discounts": Role(
        _AMOUNTS, "the discounts", _AMOUNT, ("totaldiscounts", "discountamount", "totaldiscount", "discounts")
    ),
    "shipping": Role(
        _AMOUNTS,
        "the shipping",
        _AMOUNT,
        ("totalshipping", "shipping", "totalshippingprice", "shippingprice", "shippingtotal"),
    ),
    "tax": Role(_AMOUNTS, "the tax", _AMOUNT, ("totaltax", "taxes", "tax", "totaltaxes")),
    "taxes_included": Role(_AMOUNTS, "whether prices include tax", _FLAG, ("taxesincluded", "taxincluded")),
    "refunded": Role(_AMOUNTS, "the amount refunded", _AMOUNT, ("totalrefunded", "refundedamount", "amountrefunded")),
    "refunds": Role(_AMOUNTS, "the refunds, each with its date", _NESTED, ("refunds",)),
    "discount_code": Role(_AMOUNTS, "the discount code", _TEXT, ("discountcode", "discountcodes", "couponcode")),
    "customer_id": Role(_CUSTOMER, "the customer's number", _NAME, ("customerid",)),
    "email": Role(_CUSTOMER, "the customer's e-mail", _TEXT, ("email", "customeremail", "contactemail")),
    "customer_name": Role(_CUSTOMER, "the customer's name", _TEXT, ("customername", "billingname", "shippingname")),
    "address": Role(_CUSTOMER, "the address as JSON", _NESTED, ("destination", "shippingaddress", "deliveryaddress")),
    "country": Role(
        _CUSTOMER, "the country", _TEXT, ("shippingcountry", "country", "countrycode", "shippingcountrycode")
    ),
    "channel": Role(_CUSTOMER, "the sales channel", _TEXT, ("sourcename", "source", "channel", "saleschannel")),
    "line_items": Role(_ITEMS, "the line items as JSON", _NESTED, ("lineitems", "items")),
    "line_title": Role(_ITEMS, "the product of a line", _TEXT, ("lineitemname", "producttitle", "itemname")),
    "line_sku": Role(_ITEMS, "the SKU of a line", _TEXT, ("lineitemsku", "itemsku")),
    "line_quantity": Role(_ITEMS, "the quantity of a line", _AMOUNT, ("lineitemquantity", "itemquantity")),
    "line_price": Role(_ITEMS, "the price of a line", _AMOUNT, ("lineitemprice", "itemprice")),
}


def role_groups() -> dict[str, list[str]]:
    """Group -> its roles, both in the order of `ROLES`. The first two roles of a group matter most."""
    groups: dict[str, list[str]] = {}
    for name, role in ROLES.items():
        groups.setdefault(role.group, []).append(name)
    return groups


def recognise_roles(columns: Iterable[Column], setup: Setup = NO_SETUP) -> dict[str, Column]:
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
    for name, role in ROLES.items():
        if name in setup.columns:
            candidates: list[Column | None] = [by_name.get(setup.columns[name])]
        else:
            candidates = [by_plain_name.get(each) for each in role.names]
        fitting = [column for column in candidates if column is not None and column.kind in role.kinds]
        if fitting:
            assigned[name] = fitting[0]
    return assigned
