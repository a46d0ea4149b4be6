"""Roles: what a column can mean, and by which names and kinds it is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cache.schema import Column, Kind
from cache.table_setup import NO_SETUP, Setup

_AMOUNT: tuple[Kind, ...] = ("decimal", "integer", "unsigned", "float", "double", "text", "json")
_INSTANT: tuple[Kind, ...] = ("datetime", "timestamp", "date", "text", "integer", "unsigned")
_TEXT: tuple[Kind, ...] = ("text",)
_NAME: tuple[Kind, ...] = ("text", "integer", "unsigned")
_FLAG: tuple[Kind, ...] = ("boolean", "integer", "unsigned", "text")
_MARK: tuple[Kind, ...] = (*_FLAG, "datetime", "timestamp", "date")
_NESTED: tuple[Kind, ...] = ("json", "text")
_NESTED_TEXT: tuple[Kind, ...] = ("text", "json")


class Role(NamedTuple):
    """What a column can mean.

    Attributes:
        group: The group of roles it belongs to, for people.
        words: The meaning, for people.
        kinds: Kinds of columns that can play the role.
        names: Column names it is recognised by, the most telling first; lower-case letters and digits alone.
        others: Names of columns that may play it instead of one of `names`, if the data says so.
    """

    group: str
    words: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]
    others: tuple[str, ...] = ()


_ORDER, _AMOUNTS, _CUSTOMER, _ITEMS = "Order", "Amounts", "Customer and place", "Items"

ROLES: Mapping[str, Role] = {
    "name": Role(
        _ORDER,
        "the order's number",
        _NAME,
        (
            "name",
            "ordername",
            "ordernumber",
            "orderno",
            "number",
            "orderid",
            "shopifyordernumber",
            "shopifyorderid",
            "shopifyid",
            "id",
        ),
    ),
    "created_at": Role(
        _ORDER,
        "the date of the order",
        _INSTANT,
        (
            "processedat",
            "shopifycreatedat",
            "createdatshopify",
            "ordercreatedat",
            "orderdate",
            "placedat",
            "orderplacedat",
            "datecreated",
            "datecreatedgmt",
            "createdat",
            "created",
            "dateadded",
        ),
    ),
    "updated_at": Role(
        _ORDER,
        "the date of the last change",
        _INSTANT,
        ("shopifyupdatedat", "updatedatshopify", "updatedat", "updated", "modifiedat", "datemodified"),
    ),
    "cancelled_at": Role(_ORDER, "the date of cancellation", _INSTANT, ("cancelledat", "canceledat")),
    "fulfilled_at": Role(
        _ORDER,
        "the date of fulfilment",
        _INSTANT,
        ("fulfilledat", "shippedat", "fulfillmentdate", "datecompleted", "completedat"),
    ),
    "financial_status": Role(
        _ORDER, "the payment status", _TEXT, ("financialstatus", "displayfinancialstatus", "paymentstatus")
    ),
    "fulfillment_status": Role(
        _ORDER,
        "the fulfilment status",
        _TEXT,
        ("fulfillmentstatus", "displayfulfillmentstatus", "fulfilmentstatus", "shippingstatus"),
    ),
    "order_status": Role(_ORDER, "the status of the order", _TEXT, ("orderstatus", "status")),
    "test": Role(_ORDER, "whether it is a test order", _FLAG, ("test", "istest", "testorder")),
    "draft_status": Role(_ORDER, "the status of a draft", _TEXT, ("draftstatus", "draftorderstatus")),
    "deleted": Role(
        _ORDER,
        "whether or when the row was deleted",
        _MARK,
        ("deletedat", "isdeleted", "fivetrandeleted", "abcdcdeletedat", "deleted"),
    ),
    "tags": Role(_ORDER, "the tags", _NESTED_TEXT, ("tags", "ordertags")),
    "shop": Role(
        _ORDER, "the shop", _NAME, ("shopdomain", "shopname", "shopid", "shop", "storename", "storeid", "store")
    ),
    "currency": Role(_AMOUNTS, "the currency", _TEXT, ("currency", "currencycode", "shopcurrency", "ordercurrency")),
    "total": Role(
        _AMOUNTS,
        "the total",
        _AMOUNT,
        (
            "totalprice",
            "totalpricesetshopmoneyamount",
            "totalpricesetshopamount",
            "ordertotal",
            "total",
            "grandtotal",
            "totalamount",
            "totalpriceset",
            "orderamount",
            "ordervalue",
            "amount",
        ),
        ("currenttotalprice", "currenttotalpriceset", "currenttotalpricesetshopamount", "price"),
    ),
    "subtotal": Role(
        _AMOUNTS,
        "the subtotal after discounts",
        _AMOUNT,
        (
            "subtotalprice",
            "subtotalpricesetshopmoneyamount",
            "subtotalpricesetshopamount",
            "ordersubtotal",
            "subtotal",
            "subtotalpriceset",
        ),
        ("currentsubtotalprice", "currentsubtotalpriceset", "currentsubtotalpricesetshopamount"),
    ),
    "discounts": Role(
        _AMOUNTS,
        "the discounts",
        _AMOUNT,
        (
            "totaldiscounts",
            "totaldiscountssetshopmoneyamount",
            "totaldiscountssetshopamount",
            "discountamount",
            "discounttotal",
            "totaldiscount",
            "discounts",
            "discount",
            "totaldiscountsset",
        ),
        ("currenttotaldiscounts", "currenttotaldiscountsset", "currenttotaldiscountssetshopamount"),
    ),
    "shipping": Role(
        _AMOUNTS,
        "the shipping",
        _AMOUNT,
        (
            "totalshippingprice",
            "totalshippingpricesetshopmoneyamount",
            "totalshippingpricesetshopamount",
            "totalshipping",
            "shippingtotal",
            "shippingprice",
            "shippingamount",
            "shipping",
            "totalshippingpriceset",
        ),
    ),
    "tax": Role(
        _AMOUNTS,
        "the tax",
        _AMOUNT,
        (
            "totaltax",
            "totaltaxsetshopmoneyamount",
            "totaltaxsetshopamount",
            "taxtotal",
            "taxamount",
            "taxes",
            "tax",
            "totaltaxes",
            "totaltaxset",
        ),
        ("currenttotaltax", "currenttotaltaxset", "currenttotaltaxsetshopamount"),
    ),
    "line_total": Role(
        _AMOUNTS,
        "the price of all line items before discounts",
        _AMOUNT,
        (
            "totallineitemsprice",
            "totallineitemspricesetshopmoneyamount",
            "totallineitemspricesetshopamount",
            "totallineitemspriceset",
        ),
    ),
    "duties": Role(
        _AMOUNTS,
        "the duties",
        _AMOUNT,
        (
            "totalduties",
            "originaltotaldutiessetshopamount",
            "originaltotaldutiesset",
            "currenttotaldutiesset",
            "duties",
        ),
    ),
    "fees": Role(
        _AMOUNTS,
        "the additional fees",
        _AMOUNT,
        (
            "totaladditionalfees",
            "originaltotaladditionalfeesset",
            "currenttotaladditionalfeesset",
            "additionalfees",
            "fees",
        ),
    ),
    "tips": Role(
        _AMOUNTS, "the tips", _AMOUNT, ("totaltipreceived", "totaltips", "tips", "tip", "totaltipreceivedset")
    ),
    "shipping_lines": Role(_AMOUNTS, "the shipping as JSON", _NESTED, ("shippinglines",)),
    "tax_lines": Role(_AMOUNTS, "the taxes as JSON", _NESTED, ("taxlines",)),
    "taxes_included": Role(
        _AMOUNTS, "whether prices include tax", _FLAG, ("taxesincluded", "taxincluded", "pricesincludetax")
    ),
    "refunded": Role(
        _AMOUNTS,
        "the amount refunded",
        _AMOUNT,
        (
            "totalrefunded",
            "totalrefundedsetshopmoneyamount",
            "totalrefundedsetshopamount",
            "refundedamount",
            "refundedtotal",
            "amountrefunded",
            "totalrefundedset",
        ),
    ),
    "refunds": Role(_AMOUNTS, "the refunds, each with its date", _NESTED, ("refunds",)),
    "discount_code": Role(_AMOUNTS, "the discount code", _TEXT, ("discountcode", "discountcodes", "couponcode")),
    "customer_id": Role(_CUSTOMER, "the customer's number", _NAME, ("customerid",)),
    "email": Role(
        _CUSTOMER, "the customer's e-mail", _TEXT, ("email", "customeremail", "contactemail", "billingemail")
    ),
    "customer_name": Role(_CUSTOMER, "the customer's name", _TEXT, ("customername", "billingname", "shippingname")),
    "address": Role(_CUSTOMER, "the address as JSON", _NESTED, ("destination", "shippingaddress", "deliveryaddress")),
    "country": Role(
        _CUSTOMER, "the country", _TEXT, ("shippingcountry", "country", "countrycode", "shippingcountrycode")
    ),
    "region": Role(
        _CUSTOMER,
        "the state or province",
        _TEXT,
        ("shippingprovince", "shippingprovincename", "shippingstate", "shippingregion", "province", "region"),
    ),
    "city": Role(_CUSTOMER, "the city", _TEXT, ("shippingcity", "shipcity", "deliverycity", "city")),
    "channel": Role(_CUSTOMER, "the sales channel", _TEXT, ("sourcename", "source", "channel", "saleschannel")),
    "line_items": Role(_ITEMS, "the line items as JSON", _NESTED, ("lineitems", "items")),
    "line_title": Role(
        _ITEMS, "the product of a line", _TEXT, ("lineitemname", "producttitle", "itemname", "productname", "title")
    ),
    "line_sku": Role(_ITEMS, "the SKU of a line", _TEXT, ("lineitemsku", "itemsku", "productsku", "sku")),
    "line_vendor": Role(
        _ITEMS, "the vendor of a line", _TEXT, ("lineitemvendor", "itemvendor", "productvendor", "vendor")
    ),
    "line_quantity": Role(
        _ITEMS, "the quantity of a line", _AMOUNT, ("lineitemquantity", "itemquantity", "quantity", "qty")
    ),
    "line_price": Role(_ITEMS, "the price of a line", _AMOUNT, ("lineitemprice", "itemprice", "unitprice", "price")),
}


DESCRIPTIVE_ROLES = frozenset(("tags", "region", "city", "line_vendor"))
"""Roles that no figure depends on. What plays them may change, and opens no question."""


def role_groups() -> dict[str, list[str]]:
    """Group -> its roles, both in the order of `ROLES`. The first two roles of a group matter most."""
    groups: dict[str, list[str]] = {}
    for name, role in ROLES.items():
        groups.setdefault(role.group, []).append(name)
    return groups


def candidates(columns: Iterable[Column], role: str) -> list[Column]:
    """The columns that may play a role, by name and kind, the most telling name first."""
    by_plain_name: dict[str, Column] = {}
    for column in columns:
        by_plain_name.setdefault(re.sub(r"[^a-z0-9]", "", column.name.casefold()), column)

    def fitting(names: Iterable[str]) -> list[Column]:
        named = (by_plain_name.get(name) for name in names)
        return [column for column in named if column is not None and column.kind in ROLES[role].kinds]

    listed = fitting(ROLES[role].names)
    return listed and [*listed, *fitting(ROLES[role].others)]


def recognise_roles(columns: Iterable[Column], setup: Setup = NO_SETUP) -> dict[str, Column]:
    """Assigns columns to roles by their names alone.

    Args:
        columns: The columns of the table.
        setup: The set-up, which decides for the roles that it names.

    Returns:
        Role -> the column that plays it. Where the set-up does not decide, that is the column with the first of the
        role's names that the table has. Roles without a column of a fitting kind are left out.
    """
    listed = list(columns)
    by_name = {column.name: column for column in listed}
    assigned: dict[str, Column] = {}
    for name, role in ROLES.items():
        if name in setup.columns:
            chosen = by_name.get(setup.columns[name])
            fitting = [chosen] if chosen is not None and chosen.kind in role.kinds else []
        else:
            fitting = candidates(listed, name)
        if fitting:
            assigned[name] = fitting[0]
    return assigned
