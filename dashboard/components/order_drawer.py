"""One order in a drawer: its items, amounts, refunds, address, and when it last changed."""

from __future__ import annotations

from functools import partial

import streamlit as st

from cache.access.masking import Mask
from cache.analytics.order_lookup import ROW_KEY, Row
from cache.analytics.orders import Orders
from dashboard.address import parameter, set_parameter
from dashboard.components import order_cells
from dashboard.components.order_cells import NOTHING
from dashboard.components.table import Column, Line, table
from dashboard.text import formatting

ORDER = "order"  # parameter of the address
_ADDRESS_FIELDS = ("name", "address1", "zip", "city", "country")


def order_in_address(orders: Orders, mask: Mask) -> None:
    """Opens the order that the address names, if there is one.

    Args:
        orders: The generation.
        mask: What is hidden from the visitor.
    """
    key = parameter(ORDER)
    row = orders.order(key, mask) if key else None
    if row is None:
        return
    row = order_cells.by_role(orders, row)
    title = f"Order {formatting.literal(order_cells.number(row))}"
    close = partial(set_parameter, ORDER, "")
    st.dialog(title, width="medium", position="right", on_dismiss=close)(_order)(orders, row, mask)


def _order(orders: Orders, row: Row, mask: Mask) -> None:
    _badges(row)
    _items(orders, row, mask)
    _amounts(orders, row)
    _details(row)


def _badges(row: Row) -> None:
    with st.container(horizontal=True, gap="small"):
        for role, label_of in (("financial_status", formatting.status), ("fulfillment_status", formatting.fulfilment)):
            if role in row:
                label = label_of(order_cells.text(row, role))
                st.markdown(f":{label.tone}-badge[{formatting.literal(label.text)}]", width="content")
        if row.get("cancelled_at"):
            st.badge("Cancelled", color="red")


def _items(orders: Orders, row: Row, mask: Mask) -> None:
    items = orders.lookup.lines(str(row[ROW_KEY]), mask)
    if not items:
        return
    lines = [
        Line([item["title"] or "Item", item["sku"], f"{item['quantity']:,}", order_cells.amount(item["price"], row)])
        for item in items
    ]
    columns = [Column("Item"), Column("SKU", wide=True), Column("Quantity", number=True), Column("Price", number=True)]
    table("Items", columns, lines, key="order_items")


def _amounts(orders: Orders, row: Row) -> None:
    lines = [
        Line([label, order_cells.money(row, role)], look="strong" if role == "total" else "")
        for label, role in (
            ("Subtotal, after discounts", "subtotal"),
            ("Discounts", "discounts"),
            ("Shipping", "shipping"),
            ("Taxes, included" if row.get("taxes_included") else "Taxes", "tax"),
            ("Total", "total"),
        )
        if row.get(role) is not None
    ]
    given_back = orders.lookup.reversals(str(row[ROW_KEY]))
    for each in given_back:
        kind = "Refund" if each["kind"] == "return" else "Cancellation"
        lines.append(Line([f"{kind}, {formatting.day(each['local'])}", order_cells.amount(each["amount"], row, -1)]))
    charged = orders.lookup.charged(str(row[ROW_KEY]))
    if given_back and charged is not None:
        left = charged - sum(each["amount"] for each in given_back)
        lines.append(Line(["Net", order_cells.amount(left, row)], look="strong"))
    if lines:
        table("Amounts", [Column(""), Column("", number=True)], lines, key="order_amounts", headed=False)


def _details(row: Row) -> None:
    address = order_cells.address(row)
    place = ", ".join(str(address[name]) for name in _ADDRESS_FIELDS if address.get(name))
    details = [
        ("Placed", order_cells.shown(row.get("created_at"))),
        ("Customer", order_cells.text(row, "customer_name") or NOTHING),
        ("E-mail", order_cells.text(row, "email") or NOTHING),
        ("Ships to", place or order_cells.text(row, "country") or NOTHING),
        ("Channel", formatting.channel(order_cells.text(row, "channel")) if "channel" in row else NOTHING),
        ("Discount code", order_cells.text(row, "discount_code") or NOTHING),
        ("Fulfilled", order_cells.shown(row.get("fulfilled_at"))),
        ("Cancelled", order_cells.shown(row.get("cancelled_at"))),
        ("Last changed", order_cells.shown(row.get("updated_at"))),
        ("Tags", str(row.get("tags") or NOTHING)),
        ("Note", str(row.get("note") or NOTHING)),
        ("Id", str(row[ROW_KEY])),
    ]
    st.subheader("Details", anchor=False)
    lines = [Line([label, text]) for label, text in details if text != NOTHING]
    table("Details", [Column(""), Column("")], lines, key="order_details", headed=False)
