"""One order in a drawer: its items, amounts, refunds, address, and when it last changed."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cache.analytics.fact_tables import ROW_KEY
from cache.analytics.order_lookup import Row
from cache.analytics.orders import Orders
from dashboard import formatting
from dashboard.components import order_cells
from dashboard.components.table import Cell, Column, Line, table


def drawer(orders: Orders, row: Row, on_close: Callable[[], None]) -> None:
    """Parameters: `row` has its roles beside its columns (`order_cells.by_role`)."""
    title = f"Order {formatting.plain(order_cells.name(row))}"
    st.dialog(title, width="medium", position="right", on_dismiss=on_close)(_order)(orders, row)


def _order(orders: Orders, row: Row) -> None:
    with st.container(horizontal=True, gap="small"):
        for role, written in (("financial_status", formatting.status), ("fulfillment_status", formatting.fulfilment)):
            if role in row:
                word = written(order_cells.code(row, role))
                st.badge(formatting.plain(word.text), color=word.tone)
        if row.get("cancelled_at"):
            st.badge("Cancelled", color="red")
    _items(orders, row)
    _amounts(row)
    address = order_cells.address(row)
    place = ", ".join(
        str(address[part]) for part in ("name", "address1", "zip", "city", "country") if address.get(part)
    )
    facts = [
        ("Placed", order_cells.at(row, "created_at")),
        ("Customer", order_cells.code(row, "customer_name") or "–"),
        ("E-mail", order_cells.code(row, "email") or "–"),
        ("Ships to", place or order_cells.code(row, "country") or "–"),
        ("Channel", formatting.channel(order_cells.code(row, "channel")) if "channel" in row else "–"),
        ("Discount code", order_cells.code(row, "discount_code") or "–"),
        ("Fulfilled", order_cells.at(row, "fulfilled_at")),
        ("Cancelled", order_cells.at(row, "cancelled_at")),
        ("Last changed", order_cells.at(row, "updated_at")),
        ("Tags", str(row.get("tags") or "–")),
        ("Note", str(row.get("note") or "–")),
        ("Id", str(row[ROW_KEY])),
    ]
    st.subheader("Details", anchor=False)
    lines = [Line([label, text]) for label, text in facts if text != "–"]
    table("Details", [Column(""), Column("")], lines, key="order_details", headed=False)


def _items(orders: Orders, row: Row) -> None:
    items = orders.lookup.lines(str(row[ROW_KEY]))
    if not items:
        return
    lines = [
        Line([item["title"] or "Item", item["sku"], f"{item['quantity']:,}", order_cells.amount(item["price"], row)])
        for item in items
    ]
    columns = [Column("Item"), Column("SKU", wide=True), Column("Quantity", number=True), Column("Price", number=True)]
    table("Items", columns, lines, key="order_items")


def _amounts(row: Row) -> None:
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
    for refund in order_cells.parsed(row, "refunds"):
        on = str(refund.get("created_at") or "")[:10]
        lines.append(Line([Cell(f"Refund {on}".strip()), order_cells.amount(refund.get("amount"), row, -1)]))
    if lines:
        table("Amounts", [Column(""), Column("", number=True)], lines, key="order_amounts", headed=False)
