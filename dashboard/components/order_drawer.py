"""One order in a drawer: its items, amounts, refunds, address, and when it last changed."""

from __future__ import annotations

from functools import partial

import streamlit as st

from cache.access.masking import MASK, Mask
from cache.analytics.order_lookup import ROW_KEY, Row
from cache.analytics.orders import Orders
from dashboard.address import parameter, set_parameter
from dashboard.components import order_cells
from dashboard.components.order_cells import NOTHING
from dashboard.components.order_list.addresses import addresses
from dashboard.components.table import Cell, Column, Line, table
from dashboard.text import formatting
from dashboard.web.report import can_print

ORDER = "order"  # parameter of the address
_PRINT = '<button type="button" class="print-page">Print</button>'
_WAYS_TO_PRINT = f'{_PRINT}<a class="report-link" href="report">Order as PDF</a>'


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
    with st.container(key="order_document"):  # what print.css prints as a document
        with st.container(horizontal=True, vertical_alignment="center"):
            _badges(row)
            st.html(_WAYS_TO_PRINT if can_print() else _PRINT, width="content")
        _parties(orders, row)
        _items(orders, row, mask)
        _amounts(orders, row)
        _details(row)


def _badges(row: Row) -> None:
    with st.container(horizontal=True, gap="small", width="stretch"):
        for role, label_of in (("financial_status", formatting.status), ("fulfillment_status", formatting.fulfilment)):
            if role in row:
                label = label_of(order_cells.text(row, role))
                st.markdown(f":{label.tone}-badge[{formatting.literal(label.text)}]", width="content")
        if row.get("cancelled_at"):
            st.badge("Cancelled", color="red")


def _parties(orders: Orders, row: Row) -> None:
    """Draws who ordered, and the addresses."""
    texts = [order_cells.text(row, role) for role in ("customer_name", "email")]
    buyer = [text for text in texts if text not in ("", MASK)]
    parties = {"Customer": buyer, **addresses(orders.columns, row)}
    with st.container(horizontal=True, gap="medium", key="order_parties"):
        for title, lines in parties.items():
            if lines:
                text = "  \n".join(map(formatting.literal, lines))
                st.markdown(f"**{title}**  \n{text}", width="content")


def _items(orders: Orders, row: Row, mask: Mask) -> None:
    items = orders.lookup.lines(str(row[ROW_KEY]), mask)
    if not items:
        return
    columns = [
        Column("Item"),
        Column("SKU", wide=True),
        Column("Quantity", number=True),
        Column("Price", number=True),
        Column("Amount", number=True, wide=True),
    ]
    table("Items", columns, [Line(_item(item, row)) for item in items], key="order_items")


def _item(item: Row, row: Row) -> list[str | Cell]:
    """The cells of a line item."""
    quantity, price = item["quantity"], item["price"]
    known = quantity is not None and price is not None
    return [
        Cell(item["title"] or "Item", under=item["variant"]),
        item["sku"],
        NOTHING if quantity is None else f"{quantity:,}",
        order_cells.amount(price, row),
        order_cells.amount(quantity * price, row) if known else NOTHING,
    ]


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
    details = [
        ("Placed", order_cells.shown(row.get("created_at"))),
        ("Country", NOTHING if order_cells.address(row) else order_cells.text(row, "country") or NOTHING),
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
