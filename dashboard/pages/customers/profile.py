"""One customer: figures, what was bought, and all orders, of all time."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import streamlit as st

from cache.analytics.customers.segments import SEGMENTS
from cache.analytics.metrics import METRICS
from cache.analytics.order_lookup import ROW_KEY, Page, Row
from cache.analytics.orders import Orders
from cache.analytics.products import product_page
from cache.query.filters import Condition
from dashboard import data, frame
from dashboard.address import change_parameters, set_parameter
from dashboard.components import order_cells
from dashboard.components.blocks import card
from dashboard.components.cards import cards
from dashboard.components.listing import PAGE, existing_page, page_choice, page_number
from dashboard.components.order_drawer import ORDER, order_in_address
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message
from dashboard.pages.customers.customer_lines import WHO
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted, place

ROWS = 50  # of a page
MAX_PRODUCTS = 10
_CARDS = ("total_sales", "orders", "average_order_value", "returns")
_ROLES = (
    *("name", "created_at", "financial_status", "fulfillment_status", "currency", "total"),
    *("customer_name", "email"),
)


def profile(session: Session, selection: Selection, customer: str) -> None:
    """Draws the customer that the dimension `customer` names so."""
    st.button(
        "All customers",
        icon=":material/arrow_back:",
        type="tertiary",
        key="leave_customer",
        on_click=change_parameters,
        args=({WHO: "", PAGE: "", ORDER: ""},),
    )
    orders = selection.orders
    if not orders.offers("customer"):
        message("note", frame.hidden_note(["customer"]))
        return
    his = (Condition("customer", "eq", customer),)
    mask = session.visitor.mask(orders)

    def page_at(number: int) -> Page:
        return data.page(orders, None, his, "", ROWS, (number - 1) * ROWS, mask, roles=_ROLES)

    page = page_at(page_number())
    if not page.count:
        message("note", "There is no such customer.")
        return
    number = existing_page(page_number(), page.count, ROWS)
    if number != page_number():
        page = page_at(number)
    _head(selection, customer, page.rows)
    in_currency = (*his, *(each for each in selection.conditions if each.column == "currency"))
    figures = data.figures(orders, None, in_currency, selection.returns)
    metrics = [METRICS[name] for name in _CARDS if METRICS[name].available(orders.missing)]
    cards(
        "Figures of the customer",
        [card(metric, figures, None, selection.currency, selection.returns) for metric in metrics],
        key="profile_cards",
        on_pick=lambda _: session.navigator.go("orders", customer=customer, period="all"),
    )
    if others := page.count - figures.orders:
        st.caption(formatting.plain(_not_counted(selection, others)))
    _orders(orders, page.rows, number, page.count)
    _products(selection, in_currency)
    order_in_address(orders, mask)


def _not_counted(selection: Selection, others: int) -> str:
    """Why so many orders of the list are not in the figures."""
    orders_are = counted(others, "order is", "orders are")
    if selection.orders.in_own_currencies is not selection.orders:
        return f"{orders_are} not in these figures: there is no exchange rate for them."
    which = f"in {selection.currency}" if selection.currency else "without a currency"
    return f"Figures are of the orders {which}. {orders_are} in another currency."


def _head(selection: Selection, customer: str, rows: list[Row]) -> None:
    """Draws who it is: name and e-mail of the newest order, since when, and the segment."""
    orders = selection.orders
    newest = order_cells.by_role(orders, rows[0])
    name, email = order_cells.text(newest, "customer_name"), order_cells.text(newest, "email")
    st.header(formatting.literal(name or email or f"Customer {customer}"), anchor=False)
    in_currency = tuple(each for each in selection.conditions if each.column == "currency")
    facts = [email] if email and name else []
    if ("dates" not in orders.missing) and (scores := data.scores_of(orders, customer, in_currency)):
        about = SEGMENTS[scores.segment]
        facts.append(f"{about.label}: R {scores.recency}, F {scores.frequency}, M {scores.money} of 5. {about.meaning}")
    facts.append("All time, whatever period and filters are chosen above.")
    st.caption(formatting.literal(" · ".join(facts)))


def _orders(orders: Orders, rows: list[Row], number: int, count: int) -> None:
    with st.container(border=True):
        st.header("Orders", anchor=False)
        newest_first = ", newest first" if "dates" not in orders.missing and count > 1 else ""
        st.caption(f"{place(number, ROWS, len(rows), count, 'order')}{newest_first}.")
        columns = [
            Column("Order"),
            Column("Date"),
            Column("Payment", wide=True),
            Column("Fulfilment", wide=True),
            Column("Items", number=True, wide=True),
            Column("Total", number=True),
        ]
        lines = [_order(order_cells.by_role(orders, row)) for row in rows]
        table("Orders", columns, lines, key="profile_orders", on_pick=partial(set_parameter, ORDER), exported=True)
        page_choice(number, -(-count // ROWS), "profile_orders")


def _order(row: Row) -> Line:
    status = formatting.status(order_cells.text(row, "financial_status"))
    fulfilment = formatting.fulfilment(order_cells.text(row, "fulfillment_status"))
    cells: list[str | Cell] = [
        order_cells.number(row),
        order_cells.shown(row.get("created_at")),
        Cell(status.text, pill=status.tone) if "financial_status" in row else order_cells.NOTHING,
        Cell(fulfilment.text, pill=fulfilment.tone) if "fulfillment_status" in row else order_cells.NOTHING,
        order_cells.quantity(row),
        order_cells.money(row, "total"),
    ]
    return Line(cells, row[ROW_KEY])


def _products(selection: Selection, conditions: data.Conditions) -> None:
    orders = selection.orders
    if not orders.offers("product"):
        return
    sold = product_page(orders, data.sold_products(orders, None, conditions), limit=MAX_PRODUCTS)
    if not sold.count:
        return
    with st.container(border=True):
        st.header("Bought most", anchor=False, help="Price × quantity of line items, of all time.")
        columns = [Column("Product"), Column("SKU", wide=True), Column("Units", True), Column("Gross sales", True)]
        lines = [
            Line(
                [
                    Cell(product.title or product.sku, share=float(product.sales / (sold.highest or 1))),
                    product.sku,
                    f"{product.units:,}",
                    Cell(formatting.money(product.sales, selection.currency), value=Decimal(product.sales)),
                ]
            )
            for product in sold.products
        ]
        table("Bought most", columns, lines, key="profile_products", exported=True)
