"""Set-up: what the columns mean, the shop's clock and currency, how prices hold tax; and what the figures become."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import available_timezones

import streamlit as st

from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.errors import CacheError
from cache.query.filters import Condition
from cache.roles import ROLES, recognised
from cache.schema import Column as SourceColumn
from cache.storage.documents import SETUP
from cache.table_setup import Setup
from dashboard import data, formatting, frame
from dashboard.auth import access
from dashboard.auth.source import source
from dashboard.components import blocks, cards, order_cells
from dashboard.components.table import Cell, Column, Line, table

LOOKED_AT, VALUES = 50, 3  # rows, and different values of a column among them
_RECOGNISED, _NONE = "recognised", ""  # what may be chosen beside a column
_KEY = "set_up"
_TAXES: Mapping[bool | None, str] = {None: "Not decided", True: "Prices include tax", False: "Tax comes on top"}
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "The order": ("name", "created_at", "updated_at", "cancelled_at", "fulfilled_at", "financial_status",
                  "fulfillment_status", "test"),
    "Amounts": ("currency", "total", "subtotal", "discounts", "shipping", "tax", "taxes_included", "refunded",
                "refunds", "discount_code"),
    "Customer and place": ("customer_id", "email", "customer_name", "address", "country", "channel"),
    "Items": ("line_items", "line_title", "line_sku", "line_quantity", "line_price"),
}  # fmt: skip


def set_up() -> None:
    orders = frame.head("Set-up")
    if orders is None:
        return
    if not access.may("set_up"):
        st.info("Only an operator may change what the columns mean. Ask whoever runs this dashboard.")
        return
    st.caption(
        "What the columns of your table mean. Most are recognised by name; say here what is not, or not rightly. "
        "What you save counts for everyone who reads this data."
    )
    _shop(orders)
    known = orders.reading.roles
    for group, roles in _GROUPS.items():
        found = sum(role in known for role in roles)
        expander = st.expander(f"{group}: {found} of {len(roles)} known", expanded=not known.keys() & set(roles[:2]))
        with expander, st.grid(2, min_column_width=300):
            for role in roles:
                _role(orders, role)
    draft = _draft(orders)
    try:
        _preview(orders, draft)
    except CacheError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
    _save(draft)
    _values(orders, draft)


# -- what is asked


def _shop(orders: Orders) -> None:
    settings, setup = source().settings, orders.setup
    zones = ["", *sorted(available_timezones())]
    known = [code for code, _ in data.currencies(orders) if code]
    with st.container(border=True):
        st.header("The shop", anchor=False)
        with st.grid(2, min_column_width=300):
            st.selectbox(
                "The shop's time zone", zones, key=f"{_KEY} timezone", index=_place(zones, setup.timezone),
                format_func=lambda zone: zone or f"As in the settings: {settings.shop_timezone}",
                help="Decides when a day of the shop begins.",
            )  # fmt: skip
            st.selectbox(
                "Time zone of the stored times", zones, key=f"{_KEY} source_timezone",
                index=_place(zones, setup.source_timezone), format_func=lambda zone: zone or "As the sync reads them",
                help="What a date and time without a zone means in your table.",
            )  # fmt: skip
            codes = ["", *known]
            st.selectbox(
                "Currency", codes, key=f"{_KEY} currency", index=_place(codes, setup.currency),
                format_func=lambda code: code or "The one with the most orders",
                help="The one pages open with. Amounts in different currencies are never added.",
            )  # fmt: skip
            if "taxes_included" not in orders.reading.roles:
                taxes = list(_TAXES)
                st.selectbox(
                    "Tax", taxes, key=f"{_KEY} taxes", index=taxes.index(setup.taxes_included),
                    format_func=lambda included: _TAXES[included],
                    help="Shopify tells it for each order; this table has no column for it.",
                )  # fmt: skip


def _place(options: list[str], chosen: str | None) -> int:
    return options.index(chosen) if chosen in options else 0


def _role(orders: Orders, role: str) -> None:
    words_of, kinds, _ = ROLES[role]
    by_name = recognised(orders.columns).get(role)
    options = [_RECOGNISED, _NONE, *(column.name for column in orders.columns if column.kind in kinds)]

    def write(choice: str) -> str:
        if choice == _RECOGNISED:
            return f"{by_name.name} (recognised)" if by_name else "Nothing recognised"
        return choice or "None of the columns"

    label = f"{words_of[:1].upper()}{words_of[1:]}"
    chosen = orders.setup.columns.get(role, _RECOGNISED)
    st.selectbox(label, options, key=f"{_KEY} role {role}", index=_place(options, chosen), format_func=write)


def _draft(orders: Orders) -> Setup:
    """What is chosen now."""
    chosen = {role: st.session_state[f"{_KEY} role {role}"] for role in ROLES}
    return Setup(
        columns={role: column for role, column in chosen.items() if column != _RECOGNISED},
        timezone=st.session_state[f"{_KEY} timezone"] or None,
        source_timezone=st.session_state[f"{_KEY} source_timezone"] or None,
        currency=st.session_state[f"{_KEY} currency"] or None,
        taxes_included=st.session_state.get(f"{_KEY} taxes", orders.setup.taxes_included),
    )


# -- what comes of it


def _preview(orders: Orders, draft: Setup) -> None:
    before, now = data.sampled(orders.generation, orders.setup), data.sampled(orders.generation, draft)
    currency = draft.currency or next((code for code, _ in now.currencies()), "")
    conditions = (Condition("currency", "eq", currency),)
    figures, kept = now.figures(None, conditions), before.figures(None, conditions)
    with st.container(border=True):
        st.header("What the figures become", anchor=False)
        st.caption(f"Over the newest {now.sampled:,} rows of the table, compared with what is kept now.")
        shown = [METRICS[name] for name in ("total_sales", "orders", "average_order_value", "returning_customer_rate")]
        told = [
            blocks.card(metric, figures, kept, currency, "ordered") for metric in shown if metric.available(now.missing)
        ]
        cards.cards("What the figures become", told, key="set_up_cards")
        if extent := now.extent():
            st.caption(
                formatting.plain(
                    f"Orders from {formatting.moment(extent.start)} to {formatting.moment(extent.end)}, {now.timezone}."
                )
            )
        for line in now.missing.values():
            st.caption(formatting.plain(line))


def _save(draft: Setup) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        kept = source().cache.documents.read(SETUP) == draft
        st.button("Save", type="primary", key="save_set_up", on_click=_keep, args=(draft,), disabled=kept)
        st.button("Back to what is recognised", key="forget_set_up", on_click=_keep, args=(Setup(),))
        if kept:
            st.caption("This is what counts now.", width="content")
    if fault := st.session_state.pop(f"{_KEY} fault", None):
        st.error(formatting.plain(fault), icon=":material/error:")


def _keep(setup: Setup) -> None:
    if not access.may("set_up"):
        return
    try:
        source().cache.documents.change(SETUP, lambda _: setup)
    except CacheError as error:
        st.session_state[f"{_KEY} fault"] = str(error)
        return
    for role in ROLES:
        st.session_state[f"{_KEY} role {role}"] = setup.columns.get(role, _RECOGNISED)
    st.session_state[f"{_KEY} timezone"] = setup.timezone or ""
    st.session_state[f"{_KEY} source_timezone"] = setup.source_timezone or ""
    st.session_state[f"{_KEY} currency"] = setup.currency or ""
    st.session_state[f"{_KEY} taxes"] = setup.taxes_included


def _values(orders: Orders, draft: Setup) -> None:
    """The columns with a few values."""
    meaning: dict[str, list[str]] = {}
    for role, column in recognised(orders.columns, draft).items():
        meaning.setdefault(column.name, []).append(ROLES[role].words)
    found = data.page(orders, None, (), "", LOOKED_AT, 0, access.masked(orders)).rows
    with st.container(border=True):
        st.header("The columns", anchor=False)

        def samples(column: SourceColumn) -> str:
            texts = dict.fromkeys(_short(order_cells.shown(row.get(column.name))) for row in found)
            return " · ".join([text for text in texts if text != "–"][:VALUES]) or "–"

        lines = [
            Line(
                [
                    Cell(column.name, more=samples(column)),
                    column.type,
                    samples(column),
                    " and ".join(meaning.get(column.name, [])),
                ]
            )
            for column in orders.columns
        ]
        columns = [Column("Column"), Column("Type", wide=True), Column("Values", wide=True), Column("Taken to mean")]
        table("The columns", columns, lines, key="set_up_columns")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
