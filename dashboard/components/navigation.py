"""The way from page to page: the view goes along in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.components import filter_chips

_PLACES, _HERE = "places", "here"

Pages = Mapping[str, tuple[str, str, Callable[[], None]]]


def run(pages: Pages) -> None:
    """Runs the page that the address names. Parameters: `pages` are path -> title, icon, function."""
    first = next(iter(pages))
    places = {
        path: st.Page(function, title=title, icon=icon, url_path=path, default=path == first)
        for path, (title, icon, function) in pages.items()
    }
    st.session_state[_PLACES] = places
    page = st.navigation(list(places.values()))
    st.set_page_config(" · ".join(dict.fromkeys((page.title, "Orders"))))  # what screen readers say first
    parameters = {name: st.query_params.get_all(name) for name in st.query_params}
    st.session_state[_HERE] = _hash(), page.url_path, parameters
    page.run()


def go(path: str, **further: str | list[str]) -> NoReturn:
    """Opens another page with the same view. Parameters: `further` are parameters of that page."""
    st.switch_page(st.session_state[_PLACES][path], query_params=filter_chips.current().parameters() | further)


def stay() -> None:
    """Opens the page again that the visitor went to, where a timer of the one before ran once more: Streamlit takes
    such a run for a way back, and empties the page. Whatever runs by a timer calls it first.
    """
    hash, path, parameters = st.session_state[_HERE]
    if hash != _hash():
        st.switch_page(st.session_state[_PLACES][path], query_params=parameters)


def _hash() -> str:
    """Streamlit's name for the page that this run is of."""
    context = get_script_run_ctx()
    assert context
    return context.page_script_hash


def link(path: str, label: str) -> None:
    st.page_link(st.session_state[_PLACES][path], label=label, query_params=filter_chips.current().parameters())
