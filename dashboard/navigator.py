"""The way from page to page: the view goes along in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.address import parameters, set_parameter
from dashboard.view_address import ViewAddress

_PASSING = "passing"  # in addresses that only lead to another one, which are no steps of the history (history.js)


class PageEntry(NamedTuple):
    """A page of the navigation: its title, its icon, and the function that draws it."""

    title: str
    icon: str
    draw: Callable[[], None]


class _Visit(NamedTuple):
    """The page that the visitor went to last."""

    hash: str
    path: str


class Navigator:
    """Opens pages for one visitor."""

    def __init__(self, address: ViewAddress) -> None:
        self._address = address
        self._pages: dict[str, StreamlitPage] = {}
        self._visit: _Visit | None = None

    def run(self, entries: Mapping[str, PageEntry], shop: str, below: Callable[[], None] = lambda: None) -> None:
        """Draws the navigation and the page that the address names.

        Args:
            entries: Path -> page, in the order of the navigation. The first one stands at the root.
            shop: What stands in titles beside the title of the page.
            below: Draws what stands below the navigation. Drawn before, it would be pushed down.
        """
        first = next(iter(entries))
        self._pages = {
            path: st.Page(entry.draw, title=entry.title, icon=entry.icon, url_path=path, default=path == first)
            for path, entry in entries.items()
        }
        page = st.navigation(list(self._pages.values()))
        st.set_page_config(" · ".join(dict.fromkeys((page.title, shop))))  # screen readers read it first
        set_parameter(_PASSING, "")
        self._visit = _Visit(_page_hash(), page.url_path)
        below()
        page.run()

    def go(self, path: str, **parameters: str | list[str]) -> NoReturn:
        """Opens another page with the same view.

        Args:
            path: The page.
            **parameters: Further parameters of its address.
        """
        # Streamlit first puts the parameters into the address of the page that is left.
        query = {**self._address.view().parameters(), **parameters, _PASSING: "1"}
        st.switch_page(self._pages[path], query_params=query)

    def stay(self) -> None:
        """Opens the visitor's page again where a timer of the page before ran once more.

        Streamlit takes such a run for a way back, and empties the page. Whatever runs by a timer calls this first.
        """
        now = parameters()
        if self._visit and self._visit.hash != _page_hash():
            st.switch_page(self._pages[self._visit.path], query_params=now)

    def link(self, path: str, label: str, icon: str | None = None, help: str | None = None, **parameters: str) -> None:
        """Draws a link to another page with the same view.

        Args:
            path: The page.
            label: The text of the link.
            icon: Its icon; "" for none, None for that of the page.
            help: What a pointer on it shows.
            **parameters: Further parameters of its address.
        """
        query = {**self._address.view().parameters(), **parameters}
        st.page_link(self._pages[path], label=label, icon=icon, help=help, query_params=query)


def _page_hash() -> str:
    """Streamlit's name for the page of this run."""
    context = get_script_run_ctx()
    assert context
    return context.page_script_hash
