"""The way from page to page: the view goes along in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.address import Parameters, parameters, replace_parameters, set_parameter
from dashboard.view_address import ViewAddress

_PASSING = "passing"  # in addresses that only lead to another one, which are no steps of the history (history.js)


class PageEntry(NamedTuple):
    """A page of the navigation: its title, its icon, and the function that draws it."""

    title: str
    icon: str
    draw: Callable[[], None]


class Place(NamedTuple):
    """A page with the parameters of its address."""

    path: str
    parameters: Parameters


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

    @property
    def path(self) -> str:
        """The path of the page that is drawn."""
        assert self._visit
        return self._visit.path

    def has(self, path: str) -> bool:
        """Whether there is a page of a path."""
        return path in self._pages

    def title(self, path: str) -> str:
        """The title of a page in the navigation."""
        return self._pages[path].title

    def run(
        self,
        entries: Mapping[str, PageEntry],
        shop: str,
        below: Callable[[], None] = lambda: None,
        opening: Callable[[], Place | None] = lambda: None,
    ) -> None:
        """Draws the navigation and the page that the address names.

        Args:
            entries: Path -> page, in the order of the navigation. The first one stands at the root.
            shop: What stands in titles beside the title of the page.
            below: Draws what stands below the navigation. Drawn before, it would be pushed down.
            opening: Returns where a visitor begins who comes to the root without parameters; None: there.
        """
        first = next(iter(entries))
        begins = self._visit is None
        self._pages = {
            path: st.Page(entry.draw, title=entry.title, icon=entry.icon, url_path=path, default=path == first)
            for path, entry in entries.items()
        }
        page = st.navigation(list(self._pages.values()))
        st.set_page_config(" · ".join(dict.fromkeys((page.title, shop))))  # screen readers read it first
        set_parameter(_PASSING, "")
        self._visit = _Visit(_page_hash(), page.url_path or first)
        if begins and self.path == first and not parameters() and (place := opening()):
            self._begin(place)
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

    def open(self, place: Place) -> NoReturn:
        """Opens a page with the parameters of a place, such as those of a saved view, and no others."""
        if place.path == self.path:
            replace_parameters(place.parameters)
            st.rerun()
        st.switch_page(self._pages[place.path], query_params={**place.parameters, _PASSING: "1"})

    def _begin(self, place: Place) -> None:
        """Opens a place without a step of the history."""
        if place.path == self.path:
            replace_parameters(place.parameters)
        else:
            self.open(place)

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

    def place_link(self, place: Place, label: str, icon: str, help: str) -> None:
        """Draws a link to a place, as `open` opens it. For the arguments see `link`."""
        st.page_link(self._pages[place.path], label=label, icon=icon, help=help, query_params=place.parameters)


def _page_hash() -> str:
    """Streamlit's name for the page of this run."""
    context = get_script_run_ctx()
    assert context
    return context.page_script_hash
