"""The chip that saves the page, with its address, as a view."""

from __future__ import annotations

import streamlit as st

from cache.errors import CacheError
from cache.saved.views import MAX_NAME
from dashboard.messages import says_why_it_fails
from dashboard.saved.visitor_views import VisitorViews
from dashboard.session import Session
from dashboard.text import formatting

_SAVES = "saves of views"  # how many there were, in Streamlit's state: each form begins empty
_SAID, _TAKEN = "said of views", "name of a view that is taken"


@st.fragment
@says_why_it_fails
def save_view(session: Session) -> None:
    """Draws the chip, where this process can save anything.

    Args:
        session: The session.
    """
    views = VisitorViews(session)
    if not views.may_save:
        return
    with st.popover("Save view", icon=":material/bookmark_add:", key="save_view_chip"):
        saves = st.session_state.get(_SAVES, 0)
        name, shared = f"view_name {saves}", f"view_shared {saves}"
        with st.form(f"save_view {saves}", border=False):
            st.text_input("Name of the view", key=name, max_chars=MAX_NAME, placeholder="Germany, last 90 days")
            if views.has_own and views.may_share:
                st.checkbox("Share with everyone", key=shared, help="Viewers see the name too.")
            elif views.has_own:
                st.caption(f"{views.owners} sees it." if views.owners != "Only you" else "Only you see it.")
            st.form_submit_button("Save", type="primary", on_click=_save, args=(views, name, shared))
        if taken := st.session_state.get(_TAKEN):
            st.markdown(f"There is a view **{formatting.literal(taken)}** already.")
            st.button("Replace its address", key="replace_view", on_click=_save, args=(views, name, shared, True))
        if said := st.session_state.get(_SAID):
            st.markdown(said)
        session.navigator.link("views", "All saved views", icon=":material/bookmarks:")


def _save(views: VisitorViews, name_key: str, shared_key: str, replace: bool = False) -> None:
    name, shared = st.session_state[name_key], bool(st.session_state.get(shared_key))
    st.session_state[_SAID] = st.session_state[_TAKEN] = ""
    try:
        if not replace and views.is_taken(name, shared):
            st.session_state[_TAKEN] = name
            return
        view = views.save(name, shared, replace)
    except CacheError as error:
        st.session_state[_SAID] = f":red[:material/error:] {formatting.plain(str(error))}"
        return
    st.session_state[_SAVES] = st.session_state.get(_SAVES, 0) + 1
    st.session_state[_SAID] = f":green[:material/check:] “{formatting.literal(view.name)}” is saved."
