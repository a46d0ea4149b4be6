"""Search, order and pages of a long list, and the choice between lists. All of it is in the address."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import streamlit as st

from dashboard.address import change_parameters, parameter, set_parameter
from dashboard.components.widget_values import set_value

SEARCH, SORT, PAGE, SHOW = "q", "sort", "page", "show"  # parameters of the address


def search_box(label: str, placeholder: str, width: int = 320) -> str:
    """Draws a box for a search. Returns the text to find."""

    def search() -> None:
        change_parameters({SEARCH: st.session_state["search"], PAGE: ""})

    text = parameter(SEARCH)
    set_value("search", text)
    st.text_input(
        label,
        key="search",
        type="search",
        live="300ms",
        icon=":material/search:",
        label_visibility="collapsed",
        placeholder=placeholder,
        on_change=search,
        width=width,
    )
    return text


def sorted_by(columns: Collection[str], usual: str) -> str:
    """The column that a list is sorted by, with a minus where the largest is first; `usual` without a choice."""
    chosen = parameter(SORT, usual)
    return chosen if chosen.removeprefix("-") in columns else usual


def sort_anew(column: str, current: str, usual: str, smallest_first: bool = False) -> None:
    """Sorts by a column, the largest first. Picked once more, it is the other way round.

    Args:
        column: The column.
        current: What the list is sorted by.
        usual: What it is sorted by without a choice.
        smallest_first: Whether the smallest is first when the column is picked, as of names.
    """
    first, second = (column, f"-{column}") if smallest_first else (f"-{column}", column)
    chosen = second if current == first else first
    change_parameters({SORT: "" if chosen == usual else chosen, PAGE: ""})


def page_number() -> int:
    """The number of the page in the address, from 1."""
    text = parameter(PAGE, "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def existing_page(number: int, count: int, rows: int) -> int:
    """The number of the page to show: the last one where there is none of this number, which is said.

    Args:
        number: The number in the address.
        count: How many rows the list has.
        rows: How many rows a page has at most.
    """
    last = max(1, -(-count // rows))
    if count and number > last:
        st.markdown(f":orange[:material/warning:] There is no page {number:,}. This is the last one, page {last:,}.")
    return min(number, last)


def page_choice(number: int, pages: int, key: str) -> None:
    """Draws the way to other pages, where there are any.

    Args:
        number: The number of the page that is shown.
        pages: How many there are.
        key: Streamlit's key of the list.
    """

    def turn() -> None:
        chosen: int = st.session_state["page_number"]
        # The first page has nothing in the address: the browser also chooses it by itself, when there are fewer pages.
        set_parameter(PAGE, "" if chosen == 1 else str(chosen))

    if pages > 1:
        set_value("page_number", min(number, pages))
        with st.container(horizontal_alignment="center", key=f"{key}_pages"):
            st.pagination(pages, key="page_number", on_change=turn)


def view_choice(views: Mapping[str, str], key: str) -> str:
    """Draws the choice between the views of a page.

    Args:
        views: What stands in the address -> label. The first view has nothing in the address.
        key: Streamlit's key.

    Returns:
        The chosen view, as it stands in the address.
    """
    first = next(iter(views))
    chosen = parameter(SHOW, first) if parameter(SHOW, first) in views else first
    set_value(key, chosen)

    def choose() -> None:
        view = st.session_state[key]
        change_parameters({SHOW: "" if view == first else view, SEARCH: "", SORT: "", PAGE: ""})

    st.segmented_control(
        "View",
        list(views),
        key=key,
        required=True,
        label_visibility="collapsed",
        format_func=lambda view: views[view],
        on_change=choose,
    )
    return chosen
