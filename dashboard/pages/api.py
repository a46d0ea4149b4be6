"""API: the current view as a request, the address, and which keys there are (never a key itself)."""

from __future__ import annotations

import streamlit as st

from cache.access.api_keys import ApiKey
from cache.errors import CacheError
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from dashboard import code_samples, frame
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message
from dashboard.selection import Selection
from dashboard.session import Session


def api(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "API")
    if selection:
        _request(selection, session.api_address)
    with st.grid(2, min_column_width=340):
        _address(session)
        _keys(session)


def _request(selection: Selection, address: str) -> None:
    parameters, unsupported = code_samples.request_parameters(selection)
    with st.container(border=True, key="api_request"):
        st.header("This view as a request", anchor=False)
        if unsupported:
            names = ", ".join(unsupported)
            st.caption(f"The API cannot filter by {names} as this page does. Apply this filter in your program.")
        writers = (code_samples.curl, code_samples.python, code_samples.javascript)
        for tab, write in zip(st.tabs(["curl", "Python", "JavaScript"]), writers, strict=True):
            tab.code(write(address, parameters), language=None, wrap_lines=True)


def _address(session: Session) -> None:
    address = session.api_address
    with st.container(border=True, height="stretch"):
        st.header("Address", anchor=False)
        st.code(address, language=None, wrap_lines=True)
        st.markdown(f"[Documentation]({address}/docs) · [Try it]({address}/demo) · [OpenAPI]({address}/openapi.json)")
        if session.settings.has_one_address:
            st.caption("The API shares the address of the dashboard. All paths are also available under /v1.")
            return
        set_by = "The proxy passes it to" if session.settings.public_path else "Set by"
        st.caption(
            f"{set_by} API_HOST and API_PORT. python serve.py starts the API together with the dashboard. "
            "To start it alone:"
        )
        st.code("python api_sidecar.py", language=None, wrap_lines=True)


def _keys(session: Session) -> None:
    settings = session.settings
    if settings.set_api_key:
        place = f"set in {settings.set_api_key[0]}"
    elif settings.api_key_file.exists():
        place = f"stored in {settings.api_key_file}"
    else:
        place = "created when the API starts for the first time"
    lines = [Line([Cell("default", more=place), place, Cell("Valid", pill="green")])]
    try:
        keys = session.cache.documents.read(API_KEYS).keys
    except CacheError as error:
        message("error", str(error))
        keys = ()
    lines += [_key(session, key) for key in keys]
    with st.container(border=True, height="stretch"):
        help = "A key is shown only once, when you create it with python -m api keys add NAME."
        st.header("Keys", anchor=False, help=help)
        table("Keys", [Column("Name"), Column("Permissions", wide=True), Column("State")], lines, key="api_keys")
        st.caption("Create one for each client:")
        st.code("python -m api keys add NAME", language=None, wrap_lines=True)


def _key(session: Session, key: ApiKey) -> Line:
    expired = key.expires_at is not None and key.expires_at <= now()
    expiry = f"until {session.clock(key.expires_at)}" if key.expires_at else "does not expire"
    permissions = " and ".join(key.scopes) + (", personal data masked" if key.masked else "") + f", {expiry}"
    state = Cell("Expired", pill="red") if expired else Cell("Valid", pill="green")
    return Line([Cell(key.name, more=permissions), permissions, state])
