"""Settings: how the table is read, what its columns mean, the shop's clock, currency and tax; with a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.errors import CacheError
from cache.interpretation.chosen_reading import forget_reading
from cache.query.filters import Condition
from cache.reading import Question
from cache.roles import ROLES, recognise_roles, role_groups
from cache.schema import Column as SourceColumn
from cache.storage.documents import SETUP
from cache.table_setup import Setup
from dashboard import data, frame
from dashboard.components import order_cells
from dashboard.components.blocks import card
from dashboard.components.cards import cards
from dashboard.components.open_questions import open_question
from dashboard.components.order_cells import NOTHING
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message
from dashboard.question_options import FIELDS, text_dates
from dashboard.session import Session
from dashboard.text import formatting, readings

SAMPLED_ROWS = 50  # that example values are taken from
MAX_EXAMPLES = 3  # different values of a column
MAX_EXAMPLE_LENGTH = 40
_RECOGNISED, _NONE = "recognised", ""  # choices for a role beside the columns
_PREVIEWED = ("total_sales", "orders", "average_order_value", "returning_customer_rate")


def settings(session: Session) -> None:
    """Draws the page."""
    loaded = frame.head(session, "Settings")
    if loaded is None:
        return
    orders, _ = loaded
    if not session.visitor.may("change_settings"):
        message("note", "Only operators can change these settings.")
        return
    st.caption(
        "Set what the columns of your table mean. Most columns are recognised by name; correct what is missing or "
        "wrong. The settings apply to everyone who uses this data."
    )
    _reading(session, orders)
    _shop(session, orders)
    _roles(orders)
    draft = _draft(orders)
    try:
        _preview(session, orders, draft)
    except CacheError as error:
        message("error", str(error))
    _save_buttons(session, draft)
    _columns(session, orders, draft)


# -- widgets


def _key(field: str) -> str:
    """Streamlit's key of the widget for a field of Setup."""
    return f"set_up {field}"


def _role_key(role: str) -> str:
    """Streamlit's key of the widget for a role."""
    return _key(f"role {role}")


def _select(label: str, key: str, options: Sequence[Any], value: Any, write: Callable[[Any], str], help: str) -> None:
    """Draws a choice, which begins with `value`."""
    index = options.index(value) if value in options else 0
    st.selectbox(label, options, key=key, index=index, format_func=write, help=help or None)


def _shop(session: Session, orders: Orders) -> None:
    setup = orders.setup
    zones = ["", *sorted(available_timezones())]
    codes = ["", *(code for code, _ in data.currencies(orders) if code)]
    with st.container(border=True):
        st.header("Shop", anchor=False)
        with st.grid(2, min_column_width=300):
            _select(
                "Time zone of the shop",
                _key("timezone"),
                zones,
                setup.timezone,
                lambda zone: zone or f"Default: {session.settings.shop_timezone}",
                "Determines when a day of the shop begins.",
            )
            _select(
                "Time zone of stored times",
                _key("source_timezone"),
                zones,
                setup.source_timezone,
                lambda zone: zone or "Default: as the sync reads them",
                "For dates and times without a time zone in your table.",
            )
            _select(
                "Currency",
                _key("currency"),
                codes,
                setup.currency,
                lambda code: code or "Default: the one with the most orders",
                "The currency that pages open with. Amounts in different currencies are never added.",
            )
            if "taxes_included" not in orders.roles:
                _select(
                    "Tax",
                    _key("taxes_included"),
                    [None, *readings.TAXES],
                    setup.taxes_included,
                    lambda included: "Not set" if included is None else readings.TAXES[included],
                    "Shopify stores this with each order. Your table has no column for it.",
                )


def _reading(session: Session, orders: Orders) -> None:
    """Draws how the table is read, by what evidence, and what to choose where the data leaves something open."""
    reading, setup = orders.reading, orders.setup
    with st.container(border=True):
        st.header("How the table is read", anchor=False)
        for question in reading.questions:
            _question(session, orders, question)
        evidence = [*readings.evidence(reading, orders.roles), *readings.unread(orders)]
        lines = [Line([label, text]) for label, text in evidence]
        table("How the table is read", [Column(""), Column("")], lines, key="reading", headed=False)
        with st.grid(2, min_column_width=300):
            _select(
                "One row of the table is",
                _key("grain"),
                [None, *readings.GRAINS],
                setup.grain,
                lambda grain: readings.GRAINS[grain] if grain else "Decided by the data",
                "",
            )
            if text_dates(orders):
                _select(
                    "Order of day and month",
                    _key("instants"),
                    [None, *readings.DATE_ORDERS],
                    _answer(setup, "instants"),
                    lambda style: readings.DATE_ORDERS[style] if style else "Decided by the data",
                    "For dates such as 04/05/2025.",
                )
            if reading.amounts:
                _select(
                    "Decimal mark of amounts",
                    _key("amounts"),
                    [None, *readings.MARKS],
                    _answer(setup, "amounts"),
                    lambda style: readings.MARKS[style] if style else "Decided by the data",
                    "For amounts that are stored as text.",
                )
        _counted(orders)


def _question(session: Session, orders: Orders, question: Question) -> None:
    """Draws an open question. Its answer is chosen by a click, and counts once it is saved."""
    if question not in FIELDS:
        open_question(session, orders, question)
        st.button("Read the table anew", key="read_anew", on_click=forget_reading, args=(session.cache,))
        return
    key = _key(FIELDS[question])
    chosen = st.session_state.get(key, _answer(orders.setup, FIELDS[question]))
    open_question(session, orders, question, chosen, lambda value: st.session_state.update({key: value}))


def _answer(setup: Setup, field: str) -> Any:
    """The value of a field as its widget has it. Columns are answered together."""
    value = getattr(setup, field)
    return next(iter(value.values()), None) if isinstance(value, dict) else value


def _counted(orders: Orders) -> None:
    """Draws which rows count as orders although they are none, where the table has any of them."""
    known = [why for why, (_, roles) in readings.NO_ORDERS.items() if orders.roles.keys() & set(roles)]
    if known:
        with st.container(horizontal=True, key="counted"):
            st.caption("Count as orders:", width="content")
            for why in known:
                st.checkbox(readings.NO_ORDERS[why][0], why in orders.setup.counted, key=_key(f"counted {why}"))


def _roles(orders: Orders) -> None:
    assigned = orders.roles
    for group, roles in role_groups().items():
        count = sum(role in assigned for role in roles)
        expanded = not assigned.keys() & set(roles[:2])
        with (
            st.expander(f"{group}: {count} of {len(roles)} found", expanded=expanded),
            st.grid(2, min_column_width=300),
        ):
            for role in roles:
                _role(orders, role)


def _role(orders: Orders, role: str) -> None:
    by_name = recognise_roles(orders.columns).get(role)
    options = [_RECOGNISED, _NONE, *(c.name for c in orders.columns if c.kind in ROLES[role].kinds)]

    def write(choice: str) -> str:
        if choice == _RECOGNISED:
            return f"{by_name.name} (recognised)" if by_name else "Not recognised"
        return choice or "No column"

    words = ROLES[role].words
    _select(
        f"{words[:1].upper()}{words[1:]}",
        _role_key(role),
        options,
        orders.setup.columns.get(role, _RECOGNISED),
        write,
        "",
    )


def _draft(orders: Orders) -> Setup:
    """The settings as the widgets show them."""
    chosen = {role: st.session_state[_role_key(role)] for role in ROLES}
    instants = st.session_state.get(_key("instants"))
    amounts = st.session_state.get(_key("amounts"))
    return Setup(
        columns={role: column for role, column in chosen.items() if column != _RECOGNISED},
        timezone=st.session_state[_key("timezone")] or None,
        source_timezone=st.session_state[_key("source_timezone")] or None,
        currency=st.session_state[_key("currency")] or None,
        taxes_included=st.session_state.get(_key("taxes_included"), orders.setup.taxes_included),
        grain=st.session_state[_key("grain")],
        instants=dict.fromkeys(text_dates(orders), instants) if instants else {},
        amounts=dict.fromkeys(orders.reading.amounts, amounts) if amounts else {},
        counted=tuple(
            why
            for why in readings.NO_ORDERS
            if st.session_state.get(_key(f"counted {why}"), why in orders.setup.counted)
        ),
    )


# -- preview and save


def _preview(session: Session, orders: Orders, draft: Setup) -> None:
    loader = session.backend.orders
    before, now = loader.sample(orders.generation, orders.setup), loader.sample(orders.generation, draft)
    currency = draft.currency or next((code for code, _ in now.currencies()), "")
    conditions = (Condition("currency", "eq", currency),)
    figures, saved_figures = now.figures(None, conditions), before.figures(None, conditions)
    with st.container(border=True):
        st.header("Preview", anchor=False)
        st.caption(f"Figures of the newest {formatting.counted(now.rows, 'row')}, compared with the saved settings.")
        metrics = [METRICS[name] for name in _PREVIEWED if METRICS[name].available(now.missing)]
        shown = [card(metric, figures, saved_figures, currency, "ordered") for metric in metrics]
        cards("Preview", shown, key="set_up_cards")
        if extent := now.extent():
            first, last = formatting.moment(extent.start), formatting.moment(extent.end)
            st.caption(formatting.literal(f"Orders from {first} to {last}, {now.timezone}."))
        if now.missing:
            st.caption("  \n".join(formatting.plain(sentence) for sentence in now.missing.values()))  # a line each


def _save_buttons(session: Session, draft: Setup) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        saved = session.cache.documents.read(SETUP) == draft
        st.button("Save", type="primary", key="save_set_up", on_click=_save, args=(session, draft), disabled=saved)
        st.button("Reset to recognised columns", key="forget_set_up", on_click=_save, args=(session, Setup()))
        if saved:
            st.caption("These settings are saved.", width="content")
    if session.save_error:
        message("error", session.save_error)
        session.save_error = ""


def _save(session: Session, setup: Setup) -> None:
    if not session.visitor.may("change_settings"):
        return
    try:
        session.cache.documents.change(SETUP, lambda _: setup)
    except CacheError as error:
        session.save_error = str(error)
        return
    for role in ROLES:
        st.session_state[_role_key(role)] = setup.columns.get(role, _RECOGNISED)
    st.session_state[_key("timezone")] = setup.timezone or ""
    st.session_state[_key("source_timezone")] = setup.source_timezone or ""
    st.session_state[_key("currency")] = setup.currency or ""
    st.session_state[_key("taxes_included")] = setup.taxes_included
    st.session_state[_key("grain")] = setup.grain
    st.session_state[_key("instants")] = _answer(setup, "instants")
    st.session_state[_key("amounts")] = _answer(setup, "amounts")
    for why in readings.NO_ORDERS:
        st.session_state[_key(f"counted {why}")] = why in setup.counted


def _columns(session: Session, orders: Orders, draft: Setup) -> None:
    """Draws the columns of the table with example values."""
    meanings: dict[str, list[str]] = {}
    for role, column in recognise_roles(orders.columns, draft).items():
        meanings.setdefault(column.name, []).append(ROLES[role].words)
    rows = data.page(orders, None, (), "", SAMPLED_ROWS, 0, session.visitor.mask(orders)).rows

    def line(column: SourceColumn) -> Line:
        texts = dict.fromkeys(_short(order_cells.shown(row.get(column.name))) for row in rows)
        examples = " · ".join([text for text in texts if text != NOTHING][:MAX_EXAMPLES]) or NOTHING
        meaning = " and ".join(meanings.get(column.name, []))
        return Line([Cell(column.name, more=examples), column.type, examples, meaning])

    with st.container(border=True):
        st.header("Columns", anchor=False)
        headers = [Column("Column"), Column("Type", wide=True), Column("Values", wide=True), Column("Meaning")]
        table("Columns", headers, [line(column) for column in orders.columns], key="set_up_columns")


def _short(text: str) -> str:
    return text if len(text) <= MAX_EXAMPLE_LENGTH else f"{text[: MAX_EXAMPLE_LENGTH - 1]}…"
