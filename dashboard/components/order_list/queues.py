"""The queues above the list of orders: each is one click, and stands in the address."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import streamlit as st

from cache.analytics.dimensions.catalogue import DimensionId, find_filter
from cache.analytics.order_list.queues import QUEUES, Queue, QueueId, queue_conditions
from cache.analytics.orders import Orders
from cache.storage.records import now
from dashboard import data
from dashboard.address import change_parameters, parameter
from dashboard.components.listing import PAGE
from dashboard.components.marks import CHECK, CHECK_CURRENCY
from dashboard.data import Conditions
from dashboard.selection import Selection
from dashboard.text import formatting

QUEUE = "queue"  # parameter of the address


class OpenQueue(NamedTuple):
    """A queue that is listed.

    Attributes:
        queue: The queue.
        conditions: The conditions on its orders, beside the filters.
    """

    queue: Queue
    conditions: Conditions


def queue_choice(selection: Selection) -> OpenQueue | None:
    """Draws the queues with the numbers of their orders under the filters. The period does not apply.

    Returns:
        The queue in the address; None where there is none.
    """
    orders = selection.orders
    reasons = {name: _not_offered(orders, queue) for name, queue in QUEUES.items()}
    offered = {name: _conditions(selection, name) for name in QUEUES if not reasons[name]}
    chosen = next((name for name in offered if name == parameter(QUEUE)), None)
    if offered:
        _pills(selection, offered, chosen)
    if unknown := parameter(QUEUE) if chosen is None else "":
        named = next((queue.label for name, queue in QUEUES.items() if name == unknown), unknown)
        st.markdown(f":orange[:material/warning: There is no queue “{formatting.literal(named)}” here.]")
    if lacking := [f"“{QUEUES[name].label}” is not offered. {reason}" for name, reason in reasons.items() if reason]:
        st.caption(formatting.plain(" ".join(lacking)))
    return OpenQueue(QUEUES[chosen], offered[chosen]) if chosen else None


def _pills(selection: Selection, offered: dict[QueueId, Conditions], chosen: QueueId | None) -> None:
    def label(name: QueueId) -> str:
        conditions = (*selection.conditions, *offered[name])
        count = data.count(selection.orders, None, conditions, QUEUES[name].failing)
        return f"{QUEUES[name].label} · {count:,}"

    def choose() -> None:
        none = dict.fromkeys((CHECK, CHECK_CURRENCY, PAGE), "")
        change_parameters({**none, QUEUE: st.session_state[QUEUE] or ""})

    st.session_state[QUEUE] = chosen  # the browser knows a choice by its text, which has a number that changes
    st.pills("Queues", list(offered), format_func=label, key=QUEUE, label_visibility="collapsed", on_change=choose)


def draw_queue(open_queue: OpenQueue) -> None:
    """Draws what is in a queue, and a button that leaves it."""
    with st.container(horizontal=True, vertical_alignment="center", key="queue_about"):
        about = f"{open_queue.queue.about} The period and the currency above do not apply."
        st.markdown(f"**{open_queue.queue.label}.** {formatting.plain(about)}", width="stretch")
        st.button(
            "All orders",
            icon=":material/close:",
            type="tertiary",
            key="leave_queue",
            on_click=partial(change_parameters, {QUEUE: "", PAGE: ""}),
        )


def _conditions(selection: Selection, name: QueueId) -> Conditions:
    def values(dimension: DimensionId) -> list[str]:
        return data.values(selection.orders, dimension, None, ())

    return queue_conditions(name, values, selection.calendar, now())


def _not_offered(orders: Orders, queue: Queue) -> str:
    """Why a queue is not offered, as a sentence; "" where it is."""
    if reason := queue.lacks(orders.missing):
        return reason
    found = (find_filter(name) for name in queue.filters)
    if not all(each and orders.has(each) for each in found):
        return "A column behind it is hidden from viewers."
    if queue.failing and not data.are_checked(orders):
        return "No two values of this table must agree with each other, so there is nothing to check."
    return ""
