"""The table of orders: searched, paged by SQL, and one order in a drawer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson
import streamlit as st

from cache.analytics import Orders, Span
from cache.facts import ROW_KEY
from cache.lookup import Row
from cache.values import unwrap
from dashboard import data, words
from dashboard.data import Conditions
from dashboard.filters import ORDER, country
from dashboard.table import Cell, Column, Line, table

ROWS = 50


@st.fragment
def orders_table(orders: Orders, span: Span | None, conditions: Conditions) -> None:
    """Orders of the period that pass the filters; picking one opens it in a drawer."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="orders_head"):
            st.header("Orders", anchor=False, width="stretch")
            st.session_state["search"] = st.query_params.get("q", "")
            st.text_input(
                "Search",
                key="search",
                type="search",
                live="300ms",
                icon=":material/search:",
                label_visibility="collapsed",
                placeholder="Order, customer or e-mail",
                on_change=_search,
                width=280,
            )
        search = st.query_params.get("q", "")
        at = _page_number()
        found = data.page(orders.generation, orders, span, conditions, search, ROWS, (at - 1) * ROWS)
        pages = max(1, -(-found.count // ROWS))
        st.caption(_counted(found.count, at, len(found.rows), search))
        if found.rows:
            names = {column.name for column in orders.columns}
            shown = [each for each in _COLUMNS if not each.needs or each.needs in names]
            lines = [Line([each.cell(orders, row) for each in shown], id=row[ROW_KEY]) for row in found.rows]
            table("Orders", [each.column for each in shown], lines, key="orders", on_pick=_open)
        if pages > 1:
            st.session_state["page_number"] = min(at, pages)
            with st.container(horizontal_alignment="center", key="orders_pages"):
                st.pagination(pages, key="page_number", on_change=_turn)
    if (key := st.query_params.get(ORDER)) and (row := orders.order(key)):
        _drawer(orders, row)


def _page_number() -> int:
    text = st.query_params.get("page", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def _search() -> None:
    _put("q", st.session_state["search"])
    _put("page", "")


def _turn() -> None:
    _put("page", str(st.session_state["page_number"]))


def _open(key: str) -> None:
    _put(ORDER, key)


def _close() -> None:
    _put(ORDER, "")


def _put(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def _counted(count: int, page: int, shown: int, search: str) -> str:
    if not count:
        return f"No order matches “{words.plain(search)}”." if search else "No orders in this period."
    first = (page - 1) * ROWS + 1
    return f"{first:,}–{first + shown - 1:,} of {count:,} orders, newest first" if shown else f"{count:,} orders"


class _Shown(NamedTuple):
    """A column of the table; it goes where the source has no column `needs`."""

    column: Column
    needs: str
    cell: Callable[[Orders, Row], str | Cell]


def _named(orders: Orders, row: Row) -> Cell:
    parts = [_at(row, "created_at"), _customer(row)]
    return Cell(str(row.get("name") or row[ROW_KEY]), more=" · ".join(part for part in parts if part != "–"))


def _payment(orders: Orders, row: Row) -> Cell:
    word = words.status(_code(row, "financial_status"))
    return Cell(word.text, pill=word.tone)


def _fulfilment(orders: Orders, row: Row) -> Cell:
    word = words.fulfilment(_code(row, "fulfillment_status"))
    return Cell(word.text, pill=word.tone)


def _where(orders: Orders, row: Row) -> str:
    address = _address(row)
    return country(orders, str(address.get("country_code") or address.get("country") or ""))


def _pieces(orders: Orders, row: Row) -> str:
    items = _parsed(row, "line_items")
    return str(sum(_whole(item.get("quantity")) for item in items)) if items else "–"


_COLUMNS = (
    _Shown(Column("Order"), "", _named),
    _Shown(Column("Date", wide=True), "created_at", lambda _, row: _at(row, "created_at")),
    _Shown(Column("Customer", wide=True), "customer_name", lambda _, row: _customer(row)),
    _Shown(Column("Payment"), "financial_status", _payment),
    _Shown(Column("Fulfilment", wide=True), "fulfillment_status", _fulfilment),
    _Shown(Column("Channel", wide=True), "source_name", lambda _, row: words.channel(_code(row, "source_name"))),
    _Shown(Column("Country", wide=True), "destination", _where),
    _Shown(Column("Items", number=True, wide=True), "line_items", _pieces),
    _Shown(Column("Total", number=True), "total_price", lambda _, row: _money(row, "total_price")),
)


# -- one order


def _drawer(orders: Orders, row: Row) -> None:
    title = f"Order {words.plain(str(row.get('name') or row['key']))}"
    st.dialog(title, width="medium", position="right", on_dismiss=_close)(_order)(orders, row)


def _order(orders: Orders, row: Row) -> None:
    with st.container(horizontal=True, gap="small"):
        for name, written in (("financial_status", words.status), ("fulfillment_status", words.fulfilment)):
            if name in row:
                word = written(_code(row, name))
                st.badge(word.text, color=word.tone)
        if row.get("cancelled_at"):
            st.badge("Cancelled", color="red")
    _items(row)
    _amounts(row)
    address = _address(row)
    place = ", ".join(
        str(address[part]) for part in ("name", "address1", "zip", "city", "country") if address.get(part)
    )
    facts = [
        ("Placed", _at(row, "created_at")),
        ("Customer", _customer(row)),
        ("E-mail", str(row.get("email") or "–")),
        ("Ships to", place or "–"),
        ("Channel", words.channel(_code(row, "source_name")) if "source_name" in row else "–"),
        ("Discount code", str(row.get("discount_code") or "–")),
        ("Fulfilled", _at(row, "fulfilled_at")),
        ("Cancelled", _at(row, "cancelled_at")),
        ("Last changed", _at(row, "updated_at")),
        ("Tags", str(row.get("tags") or "–")),
        ("Note", str(row.get("note") or "–")),
        ("Id", str(row[ROW_KEY])),
    ]
    st.subheader("Details", anchor=False)
    lines = [Line([label, text]) for label, text in facts if text != "–"]
    table("Details", [Column(""), Column("")], lines, key="order_details", headed=False)


def _items(row: Row) -> None:
    items = _parsed(row, "line_items")
    if not items:
        return
    lines = [
        Line(
            [
                Cell(str(item.get("title") or item.get("name") or "Item")),
                str(item.get("sku") or ""),
                str(_whole(item.get("quantity"))),
                _amount(item.get("price"), row),
            ]
        )
        for item in items
    ]
    columns = [Column("Item"), Column("SKU", wide=True), Column("Quantity", number=True), Column("Price", number=True)]
    table("Items", columns, lines, key="order_items")


def _amounts(row: Row) -> None:
    lines = [
        Line([label, _money(row, name)], look="strong" if name == "total_price" else "")
        for label, name in (
            ("Subtotal, after discounts", "subtotal_price"),
            ("Discounts", "total_discounts"),
            ("Shipping", "total_shipping"),
            ("Taxes, included" if row.get("taxes_included") else "Taxes", "total_tax"),
            ("Total", "total_price"),
        )
        if row.get(name) is not None
    ]
    for refund in _parsed(row, "refunds"):
        on = str(refund.get("created_at") or "")[:10]
        lines.append(Line([Cell(f"Refund {on}".strip()), _amount(refund.get("amount"), row, sign=-1)]))
    if lines:
        table("Amounts", [Column(""), Column("", number=True)], lines, key="order_amounts", headed=False)


# -- values of a row


def _code(row: Row, name: str) -> str:
    return str(row.get(name) or "")


def _customer(row: Row) -> str:
    return str(row.get("customer_name") or row.get("email") or "–")


def _at(row: Row, name: str) -> str:
    at = row.get(name)
    return words.moment(at) if isinstance(at, datetime) else str(at or "–")


def _money(row: Row, name: str) -> str:
    return _amount(row.get(name), row)


def _amount(value: object, row: Row, sign: int = 1) -> str:
    try:
        return words.money(sign * Decimal(str(value)), _code(row, "currency"))
    except InvalidOperation:
        return "–"


def _parsed(row: Row, name: str) -> list[Mapping[str, Any]]:
    """The objects of a JSON list; none where it is no such list."""
    found = _json(row.get(name))
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _address(row: Row) -> Mapping[str, Any]:
    found = _json(row.get("destination"))
    return found if isinstance(found, dict) else {}


def _json(value: object) -> object:
    text = unwrap(value) if isinstance(value, str) else None
    return None if text is None else orjson.loads(text)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
