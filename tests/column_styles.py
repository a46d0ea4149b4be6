"""How tables of orders name and write things: names of columns, styles of amounts and dates, columns of no meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

_FIELDS = """
id name email date row_date updated cancelled fulfilled status currency included subtotal discounts shipping
tax total refunded customer items refunds shipping_lines tax_lines line_sku line_title line_quantity
line_price
"""
# The columns of these fields, in their order; `-` where there is none. Blanks in names are written as +.
_COLUMNS = {
    "rest": """
        id name email processed_at created_at updated_at cancelled_at fulfilled_at financial_status currency
        taxes_included subtotal_price total_discounts total_shipping total_tax total_price total_refunded
        customer_id line_items refunds shipping_lines tax_lines sku title quantity price
    """,
    "camel": """
        shopifyId orderNumber customerEmail shopifyCreatedAt createdAt updatedAt cancelledAt fulfilledAt
        financialStatus currencyCode taxesIncluded subtotalPrice totalDiscounts totalShippingPrice totalTax
        totalPrice totalRefunded customerId lineItems refunds shippingLines taxLines itemSku productTitle
        itemQuantity unitPrice
    """,
    "export": """
        Id Name Email Created+at - - Cancelled+at Fulfilled+at Financial+Status Currency - Subtotal
        Discount+Amount Shipping Taxes Total Refunded+Amount - - - - - Lineitem+sku Lineitem+name
        Lineitem+quantity Lineitem+price
    """,
    "airbyte": """
        id name email processed_at created_at updated_at cancelled_at - display_financial_status currency_code
        taxes_included subtotal_price_set_shop_amount total_discounts_set_shop_amount
        total_shipping_price_set_shop_amount total_tax_set_shop_amount total_price_set_shop_amount
        total_refunded_set_shop_amount customer_id line_items refunds - - sku title quantity unit_price
    """,
    "laravel": """
        shopify_order_id order_number customer_email created_at_shopify created_at updated_at cancelled_at
        fulfilled_at financial_status currency prices_include_tax subtotal_price total_discounts total_shipping
        total_tax total_price refunded_amount customer_id line_items refunds - - product_sku product_title quantity
        unit_price
    """,
    "headers": """
        Shopify+ID Order+Number Customer+Email Order+Date - Updated+At Canceled+At Shipped+At Payment+Status Currency
        Tax+Included Subtotal Discount Shipping Tax Grand+Total Amount+Refunded Customer+ID Items Refunds
        Shipping+Lines Tax+Lines SKU Product+Name Qty Item+Price
    """,
    "woocommerce": """
        order_id order_number billing_email date_created - date_modified cancelled_at date_completed
        payment_status order_currency - - discount_total shipping_total tax_total order_total refunded_total -
        line_items - - - product_sku product_name qty item_price
    """,
}
NAMES: Mapping[str, Mapping[str, str]] = {
    style: {
        field: name.replace("+", " ") for field, name in zip(_FIELDS.split(), names.split(), strict=True) if name != "-"
    }
    for style, names in _COLUMNS.items()
}
"""Style -> field of an order -> its column."""

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "JPY": "¥"}


def _comma(text: str) -> str:
    """Points and commas exchanged."""
    return text.translate(str.maketrans(",.", ".,"))


def _natural(amount: Decimal, currency: str) -> str:
    return f"{amount:,.0f}" if currency == "JPY" else f"{amount:,.2f}"


def _in_set(amount: Decimal, currency: str) -> str:
    money = {"amount": f"{amount:.2f}", "currency_code": currency}
    return json.dumps({"shop_money": money, "presentment_money": money})


AMOUNTS: Mapping[str, tuple[str, Callable[[Decimal, str], str]]] = {
    "decimal": ("decimal(12,2)", lambda amount, _: f"{amount:.2f}"),
    "long decimal": ("decimal(26,8)", lambda amount, _: f"{amount:.8f}"),
    "float": ("float(10,2)", lambda amount, _: f"{amount:.2f}"),
    "double": ("double", lambda amount, _: f"{float(amount)!r}"),
    "text": ("varchar(255)", lambda amount, _: f"{amount:.2f}"),
    "short text": ("varchar(255)", lambda amount, _: f"{float(amount):g}" if amount < 10_000 else f"{amount:.2f}"),
    "thousands": ("varchar(255)", lambda amount, _: f"{amount:,.2f}"),
    "apostrophes": ("varchar(255)", lambda amount, _: f"{amount:,.2f}".replace(",", "'")),
    "comma": ("varchar(255)", lambda amount, _: _comma(f"{amount:.2f}")),
    "comma thousands": ("varchar(255)", lambda amount, _: _comma(f"{amount:,.2f}")),
    "french": ("varchar(255)", lambda amount, _: f"{amount:,.2f} €".replace(",", "\u202f").replace(".", ",")),
    "sign before": ("varchar(255)", lambda amount, currency: f"{_SIGNS[currency]}{_natural(amount, currency)}"),
    "code before": ("varchar(255)", lambda amount, currency: f"{currency} {amount:,.2f}"),
    "code after": ("varchar(255)", lambda amount, currency: f"{amount:.2f} {currency}"),
    "money set": ("json", _in_set),
}


def _in_zone(style: str) -> Callable[[datetime, ZoneInfo], str]:
    return lambda at, zone: at.astimezone(zone).strftime(style)


def _in_utc(style: str) -> Callable[[datetime, ZoneInfo], str]:
    return lambda at, _: at.strftime(style)


INSTANTS: Mapping[str, tuple[str, Callable[[datetime, ZoneInfo], str]]] = {
    "datetime": ("datetime", _in_utc("%Y-%m-%d %H:%M:%S")),
    "timestamp": ("timestamp", _in_utc("%Y-%m-%d %H:%M:%S")),
    "iso": ("varchar(64)", _in_utc("%Y-%m-%d %H:%M:%S")),
    "iso utc": ("varchar(64)", _in_utc("%Y-%m-%dT%H:%M:%SZ")),
    "iso offset": ("varchar(64)", lambda at, zone: at.astimezone(zone).isoformat()),
    "export": ("varchar(64)", _in_zone("%Y-%m-%d %H:%M:%S %z")),
    "slashes": ("varchar(64)", _in_utc("%Y/%m/%d %H:%M")),
    "german": ("varchar(64)", _in_utc("%d.%m.%Y %H:%M:%S")),
    "british": ("varchar(64)", _in_utc("%d/%m/%Y %H:%M")),
    "american": ("varchar(64)", _in_utc("%m/%d/%Y %I:%M %p")),
    "spreadsheet": ("varchar(64)", _in_utc("%m/%d/%y %H:%M")),
    "rfc 2822": ("varchar(64)", _in_zone("%a, %d %b %Y %H:%M:%S %z")),
    "day": ("date", _in_zone("%Y-%m-%d")),
    "day in text": ("varchar(64)", _in_zone("%Y-%m-%d")),
    "german day": ("varchar(64)", _in_zone("%d.%m.%Y")),
    "seconds": ("int", lambda at, _: f"{at.timestamp():.0f}"),
    "milliseconds": ("bigint", lambda at, _: f"{at.timestamp() * 1000:.0f}"),
}

FLAGS: Mapping[str, tuple[str, tuple[str, str]]] = {
    "number": ("tinyint(1)", ("0", "1")),
    "words": ("varchar(8)", ("false", "true")),
    "capitals": ("varchar(8)", ("No", "Yes")),
}
CODES: Mapping[str, Callable[[str], str]] = {
    "capitals": str,
    "lower case": str.lower,
    "padded": lambda code: f" {code} ",
}

# Columns of other meaning that such tables have too: name, type, value of an order.
DECOYS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "file": ("varchar(20)", lambda order: "a.csv"),
    "key": ("int", lambda order: str(order["id"] % 7)),
    "l": ("varchar(20)", lambda order: ""),
    "segment": ("int", lambda order: "3"),
    "presentment_currency": ("char(3)", lambda order: "XAF"),
    "current_total_price": ("decimal(12,2)", lambda order: f"{order['total'] - order['refunded']:.2f}"),
    "current_subtotal_price": ("decimal(12,2)", lambda order: f"{order['subtotal'] - order['refunded']:.2f}"),
    "current_total_tax": ("decimal(12,2)", lambda order: "0.00" if order["refunded"] else f"{order['tax']:.2f}"),
    "total": ("decimal(12,2)", lambda order: f"{order['subtotal']:.2f}"),
    "amount": ("decimal(12,2)", lambda order: f"{order['total'] * 2:.2f}"),
    "price": ("decimal(12,2)", lambda order: f"{order['subtotal'] + order['discounts']:.2f}"),
    "total_outstanding": ("decimal(12,2)", lambda order: "0.00"),
    "total_weight": ("int", lambda order: str(order["id"] % 5000)),
    "number": ("int", lambda order: order["name"].strip("#")),
    "_synced_at": ("datetime", lambda order: "2025-07-01 00:00:00"),
    "note": ("text", lambda order: "leave at door, €5"),
}
