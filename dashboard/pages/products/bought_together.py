"""Products that are bought together. A row leads to the orders that hold both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import cast

import streamlit as st

from cache.analytics.breakdowns.bought_together import MAX_PAIRS, PAIR_SORTS, Pair, PairPage, PairSort, pair_page
from cache.analytics.dimensions.catalogue import BOUGHT_WITH, PRODUCT
from dashboard import data
from dashboard.address import change_parameters, parameter
from dashboard.components.listing import PAGE, existing_page, page_choice, page_number, sort_anew, sorted_by
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import says_why_it_fails
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import place

LEAST = "least"  # parameter of the address
LEASTS = (2, 5, 10, 25, 50, 100, 250)
USUAL_LEAST = 5
ROWS = 50  # of a page
_USUAL_SORT = "-lift"
_COLUMNS = (
    Column("Product"),
    Column("Bought with"),
    Column("Orders", number=True, sort="orders"),
    Column("Support", number=True, wide=True, sort="support"),
    Column("Confidence", number=True, sort="confidence"),
    Column("The other way", number=True, wide=True),
    Column("Lift", number=True, sort="lift"),
)


@st.fragment
@says_why_it_fails
def together(session: Session, selection: Selection) -> None:
    """Draws them."""
    with st.container(border=True):
        least = _head()
        chosen = selection.view.values(PRODUCT)
        pairs = data.product_pairs(selection.orders, selection.span, selection.conditions, chosen, least)
        sort = sorted_by(PAIR_SORTS, _USUAL_SORT)
        find = partial(pair_page, selection.orders, pairs, cast(PairSort, sort.removeprefix("-")), sort.startswith("-"))
        number = existing_page(page_number(), pairs.num_rows, ROWS)
        page = find(ROWS, (number - 1) * ROWS)
        st.caption(formatting.plain(_note(page, number, least)))
        if not page.count:
            return
        picked = table(
            "Bought together",
            _COLUMNS,
            _lines(page),
            key="together",
            on_pick=lambda _: None,
            on_sort=lambda column: sort_anew(column, sort, _USUAL_SORT),
            sorted_by=sort,
            exported=lambda: _lines(find(MAX_PAIRS)),
        )
        page_choice(number, -(-page.count // ROWS), "together")
        if picked:
            first, second = json.loads(picked)
            session.navigator.go("orders", **{PRODUCT: first, BOUGHT_WITH: second})


def _head() -> int:
    """Draws title and choice. Returns how many orders hold both products, at least."""
    with st.container(horizontal=True, vertical_alignment="center", key="together_head"):
        st.header(
            "Bought together",
            anchor=False,
            width="stretch",
            help="Support: orders with both ÷ all orders. Confidence: orders with both ÷ orders with the first one, "
            "which is the rarer. The other way: ÷ orders with the other one. Lift: orders with both × all orders ÷ "
            "(orders with one × orders with the other). 1 is chance, 2 is twice as often. Select a row to see the "
            "orders that hold both.",
        )
        text = parameter(LEAST)
        least = int(text) if text.isdecimal() and int(text) in LEASTS else USUAL_LEAST
        set_value("pairs_least", least)
        with st.container(key="together_least", width="content"):
            st.selectbox(
                "Orders with both, at least",
                LEASTS,
                key="pairs_least",
                width=200,
                on_change=lambda: change_parameters({LEAST: str(st.session_state["pairs_least"]), PAGE: ""}),
            )
    return least


def _note(page: PairPage, number: int, least: int) -> str:
    if not page.count:
        return f"No two products are in {least} or more orders together. Choose a longer period, or a lower minimum."
    shown = place(number, ROWS, len(page.pairs), page.count, "pair")
    most = f", the {MAX_PAIRS:,} most frequent ones" if page.count == MAX_PAIRS else ""
    return f"{shown}{most} in at least {least} orders."


def _lines(page: PairPage) -> Sequence[Line]:
    return [_line(page, pair) for pair in page.pairs]


def _line(page: PairPage, pair: Pair) -> Line:
    # The rarer product comes first: its buyers are the ones to whom the other one is offered.
    cells: list[str | Cell] = [
        page.titles[pair.second],
        page.titles[pair.first],
        f"{pair.orders:,}",
        Cell(formatting.percent(pair.support, 2), value=pair.support),
        Cell(formatting.percent(pair.of_second), value=pair.of_second),
        Cell(formatting.percent(pair.of_first), value=pair.of_first),
        Cell(f"{pair.lift:,.2f}", value=pair.lift),
    ]
    return Line(cells, json.dumps([pair.second, pair.first]))
