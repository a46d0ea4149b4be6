"""API: where it answers, which keys there are (never a key itself), and the current view as a request to it."""

from __future__ import annotations

import streamlit as st

from cache.errors import CacheError
from cache.listen_address import local_url
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from dashboard import code_samples, formatting, frame
from dashboard.auth.source import source
from dashboard.components.freshness import clock
from dashboard.components.table import Cell, Column, Line, table


def api() -> None:
    shown = frame.page("API")
    address = local_url(source().settings.api_host, source().settings.api_port)
    if shown:
        parameters, left = code_samples.request(shown)
        with st.container(border=True):
            st.header("This view as a request", anchor=False)
            if left:
                named = ", ".join(left)
                st.caption(f"The API cannot filter by {named} as this page does: leave them to your program.")
            writers = (code_samples.curl, code_samples.python, code_samples.javascript)
            for tab, write in zip(st.tabs(["curl", "Python", "JavaScript"]), writers, strict=True):
                tab.code(write(address, parameters), language=None, wrap_lines=True)
    with st.grid(2, min_column_width=340):
        with st.container(border=True, height="stretch"):
            st.header("Address", anchor=False)
            st.code(address, language=None)
            st.markdown(
                f"[How to use it]({address}/docs) · [Try it]({address}/demo) · [Description]({address}/openapi.json)"
            )
            st.caption("Decided by the settings API_HOST and API_PORT. It runs beside the dashboard, or by itself:")
            st.code("python api_sidecar.py", language=None)
        _keys()


def _keys() -> None:
    settings = source().settings
    if settings.shopify_api_key:
        kept = "set in SHOPIFY_API_KEY"
    else:
        kept = (
            f"kept in {settings.api_key_file}"
            if settings.api_key_file.exists()
            else "made when the API starts for the first time"
        )
    lines = [Line([Cell("default", more=kept), kept, Cell("Valid", pill="green")])]
    try:
        others = source().cache.documents.read(API_KEYS).keys
    except CacheError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        others = ()
    for key in others:
        ended = key.expires_at is not None and key.expires_at <= now()
        until = f"until {clock(key.expires_at)}" if key.expires_at else "no end"
        scopes = " and ".join(key.scopes) + (", personal data hidden" if key.masked else "")
        state = Cell("Ended", pill="red") if ended else Cell("Valid", pill="green")
        lines.append(Line([Cell(key.name, more=f"{scopes}, {until}"), f"{scopes}, {until}", state]))
    with st.container(border=True, height="stretch"):
        st.header("Keys", anchor=False, help="A key is shown once, where it is made: python -m api keys add NAME.")
        table("Keys", [Column("Name"), Column("What it may", wide=True), Column("State")], lines, key="api_keys")
        st.caption("Make one for each client:")
        st.code("python -m api keys add NAME", language=None)
