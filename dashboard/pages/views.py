"""Saved views: open, rename, share, pin and remove them, and choose the one that opens first."""

from __future__ import annotations

import streamlit as st

from cache.analytics.orders import Orders
from cache.errors import CacheError
from cache.saved.views import MAX_NAME, SavedView
from dashboard import frame
from dashboard.address import parameter, set_parameter
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message
from dashboard.pages.saved_view import in_vain, summary
from dashboard.saved.visitor_views import VisitorViews, place_of
from dashboard.session import Session
from dashboard.text import formatting

EDITED = "view"  # the parameter of the address: the view that is edited
_OPEN, _EDIT = "open ", "edit "  # what a row and its button are picked with, before the id
_COLUMNS = [Column("Name"), Column("Shows", wide=True), Column("Seen by", wide=True), Column("Place"), Column("")]


def views(session: Session) -> None:
    """Draws the page."""
    loaded = frame.head(session, "Saved views")
    if loaded is None:
        return
    orders, _ = loaded
    saved = VisitorViews(session)
    seen = saved.seen(orders)
    text = "A saved view is a page with its period, filters and choices. “Save view” among its filters saves it."
    st.caption(text if saved.may_save else f"{text} Nothing can be saved: the dashboard may only read.")
    if not seen:
        message("note", "No views are saved yet.")
        return
    if edited := next((view for view in seen if view.id == parameter(EDITED)), None):
        _editor(session, saved, edited, orders)
    elif parameter(EDITED):
        st.markdown(":orange[:material/warning:] The view in this URL was removed, or you may not see it.")
    _list(session, saved, seen, orders)


def _list(session: Session, saved: VisitorViews, seen: list[SavedView], orders: Orders) -> None:
    first = saved.first(orders)
    lines = [_line(session, saved, view, orders, view == first) for view in seen]
    with st.container(border=True):
        picked = table("Saved views", _COLUMNS, lines, key="saved_views", on_pick=_pick)
    if picked and picked.startswith(_OPEN):
        view = next(view for view in seen if view.id == picked.removeprefix(_OPEN))
        session.navigator.open(place_of(view))


def _pick(id: str) -> None:
    if id.startswith(_EDIT):
        set_parameter(EDITED, id.removeprefix(_EDIT))


def _line(session: Session, saved: VisitorViews, view: SavedView, orders: Orders, is_first: bool) -> Line:
    exists = session.navigator.has(view.page)
    trouble = in_vain(view, orders) if exists else f"The page “{view.page}” is gone."
    shows = summary(session, view, orders) if exists else ""
    seen_by = "Everyone" if view.owner is None else saved.owners
    places = [*(["Pinned"] if view.pinned else []), *(["Opens first"] if is_first else [])]
    edit = Cell("Edit", pick=f"{_EDIT}{view.id}") if saved.may_save else ""
    return Line(
        [Cell(view.name, note=trouble, more=shows), shows, seen_by, ", ".join(places), edit],
        f"{_OPEN}{view.id}" if exists else None,
        look="chosen" if parameter(EDITED) == view.id else "",
    )


def _editor(session: Session, saved: VisitorViews, view: SavedView, orders: Orders) -> None:
    """Draws the form that changes a view, as far as the visitor may."""
    mine = saved.may_change(view)
    keys = {field: f"view_{field} {view.id}" for field in ("name", "shared", "pinned", "first")}
    with st.container(border=True, key="view_editor"):
        st.header(f"Edit “{formatting.literal(view.name)}”", anchor=False)
        with st.form(f"edit_view {view.id}", border=False):
            if mine:
                st.text_input("Name", view.name, key=keys["name"], max_chars=MAX_NAME)
                if saved.has_own and saved.may_share:
                    st.checkbox("Share with everyone", view.owner is None, key=keys["shared"])
                whose = "everyone" if view.owner is None else "everyone who sees it"
                st.checkbox(f"Pin to the overview of {whose}", view.pinned, key=keys["pinned"])
            else:
                st.caption("Only operators can change shared views.")
            for_whom = saved.owners.lower().replace("only ", "") if saved.has_own else "everyone on this computer"
            is_first = saved.first(orders) == view
            st.checkbox(f"Opens first, for {for_whom}", is_first, key=keys["first"])
            st.form_submit_button(
                "Save", type="primary", on_click=_change, args=(session, saved, view, keys), key="save_edited_view"
            )
        with st.container(horizontal=True):
            st.button("Close", key="close_view", on_click=set_parameter, args=(EDITED, ""))
            if mine:
                with st.popover("Remove", icon=":material/delete:"):
                    st.markdown("This cannot be undone.")
                    st.button("Remove the view", key="remove_view", on_click=_remove, args=(session, saved, view))
        if session.save_error:
            message("error", session.save_error)
            session.save_error = ""


def _change(session: Session, saved: VisitorViews, view: SavedView, keys: dict[str, str]) -> None:
    chosen = {field: st.session_state.get(key) for field, key in keys.items()}
    shared = view.owner is None if chosen["shared"] is None else bool(chosen["shared"])
    name, pinned = chosen["name"], bool(chosen["pinned"])
    try:
        saved.change(view, view.name if name is None else name, shared, pinned, bool(chosen["first"]))
    except CacheError as error:
        session.save_error = str(error)
        return
    set_parameter(EDITED, "")


def _remove(session: Session, saved: VisitorViews, view: SavedView) -> None:
    try:
        saved.remove(view)
    except CacheError as error:
        session.save_error = str(error)
        return
    set_parameter(EDITED, "")
