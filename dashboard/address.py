"""The parameters in the address of the page. No other module uses `st.query_params`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

from dashboard.view import is_view_parameter

Parameters = dict[str, list[str]]

_KEY = "address"  # in Streamlit's state of the session


class _Address:
    """What a visitor's address says, as the session knows it.

    The browser sends its address with each click and each tick of a timer. Where the session has just changed the
    address, this is still the one before. Streamlit believes it, and what the visitor clicked would be undone.
    So an address that the session has replaced does not count until the browser has sent the new one. Nor does the
    address of a run of fragments, for links and the buttons back and forward run the whole page.
    """

    def __init__(self) -> None:
        self._parameters: Parameters = {}
        self._replaced: list[Parameters] = []  # the browser may still send these
        self._page: str | None = None
        self._run: object = None
        self._of_pages: dict[str, Parameters] = {}  # page -> its parameters, as the visitor saw them last
        self.left: Parameters = {}  # what the page had when the visitor left it; empty if the visitor did not

    @classmethod
    def current(cls) -> _Address:
        """The address of the visitor whose page is being run."""
        if _KEY not in st.session_state:
            st.session_state[_KEY] = cls()
        address: _Address = st.session_state[_KEY]
        return address

    def read(self) -> Parameters:
        """The parameters."""
        context = get_script_run_ctx()
        assert context
        run = context.parallel_coordinator  # each run has one of its own
        if run is not self._run:
            self._run = run
            self._receive({name: st.query_params.get_all(name) for name in st.query_params}, context)
        return self._parameters

    def write(self, parameters: Parameters) -> None:
        """Replaces all parameters."""
        before = self.read()
        if parameters != before:
            self._replaced.append(before)
            self._parameters = parameters
            self._of_pages[self._page or ""] = parameters
            st.query_params.from_dict(parameters)  # where another run is waiting, this one ends here

    def _receive(self, sent: Parameters, context: ScriptRunContext) -> None:
        """Takes the address that the browser sent, unless it is one from before a change."""
        if sent == self._parameters:
            self._replaced.clear()
        elif self._page is not None and (
            context.fragment_ids_this_run
            or (sent in self._replaced and self._page == context.page_script_hash and not context.is_history_navigation)
        ):
            st.query_params.from_dict(self._parameters)
            return
        else:
            self._parameters = sent
            self._replaced.clear()
        page = context.page_script_hash
        self.left = self._of_pages.get(page, {}) if page != self._page else {}
        self._page = page
        self._of_pages[page] = self._parameters


def parameters() -> Parameters:
    """All parameters."""
    return dict(_Address.current().read())


def left_parameters() -> Parameters:
    """The parameters that the page had when the visitor left it; empty in the runs after the one that came back."""
    address = _Address.current()
    address.read()
    return dict(address.left)


def parameter(name: str, usual: str = "") -> str:
    """The value of a parameter, the last one where it has several; `usual` where the address has none."""
    values = _Address.current().read().get(name)
    return values[-1] if values else usual


def parameter_values(name: str) -> list[str]:
    """All values of a parameter."""
    return list(_Address.current().read().get(name, ()))


def set_parameter(name: str, values: str | Sequence[str]) -> None:
    """Writes a parameter, or removes it where `values` is empty."""
    change_parameters({name: values})


def change_parameters(changes: Mapping[str, str | Sequence[str]]) -> None:
    """Writes some parameters, and removes those whose value is empty."""
    replace_parameters({**parameters(), **changes})


def replace_parameters(new: Mapping[str, str | Sequence[str]]) -> None:
    """Writes these parameters and removes all others.

    The view comes first as it stands, then come the parameters of the page by name. So what is chosen twice in
    another order has the same address. Two quick clicks may also reach the server as one.
    """
    lists = {name: [values] if isinstance(values, str) else list(values) for name, values in new.items() if values}
    of_view = {name: values for name, values in lists.items() if is_view_parameter(name)}
    of_page = {name: values for name, values in sorted(lists.items()) if not is_view_parameter(name)}
    _Address.current().write(of_view | of_page)
