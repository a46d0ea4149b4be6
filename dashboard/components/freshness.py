"""The head of each page: how old the data is, whether it is verified, the refresh with its progress, and its errors.

It updates every two seconds in every open tab, and runs the page again when the data or the shop's
day has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cache.errors import NoWorker, OrdersError
from cache.storage.documents import SETUP
from cache.storage.records import Progress, Status, now
from cache.storage.snapshot import Head
from dashboard.messages import message
from dashboard.session import Session
from dashboard.text import checks, formatting
from dashboard.text.formatting import counted

PHASES: Mapping[str, str] = {
    "login": "Signing in to phpMyAdmin",
    "table": "Reading the table's structure",
    "checksums": "Comparing with the database",
    "rows": "Copying orders",
    "publish": "Publishing",
}
LOOK_EVERY = 2.0
"""Seconds between two looks at the state of syncs; each takes an open tab 60 ms of processor time."""

_BAR: Mapping[str, tuple[float, float]] = {  # the part of the progress bar for each phase
    "login": (0.02, 0.1),
    "table": (0.1, 0.15),
    "checksums": (0.15, 0.3),
    "rows": (0.3, 0.95),
    "publish": (0.95, 1),
}

_GONE = "The copy of your orders is gone"


def page_head(session: Session, title: str, status: Status) -> None:
    """Draws title, freshness and refresh.

    Args:
        session: The session.
        title: The title of the page.
        status: What the page shows. The page runs again once there is newer data, and at the shop's midnight.
    """
    session.shown_version = _version(session, status)
    _head(session, title)


@st.fragment(run_every=LOOK_EVERY)
def _head(session: Session, title: str) -> None:
    session.navigator.stay()
    status = session.cache.status()
    if _version(session, status) != session.shown_version:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title(title, anchor=False, width="stretch")
        if status.head:
            _age(session, status, status.head)
            _checks(session, status.head)
        if status.next_sync:
            st.caption(f"Next sync {session.clock(status.next_sync)}", width="content")
        busy = status.running is not None or (status.queued > 0 and bool(status.workers))
        st.button(
            "Refreshing" if busy else "Refresh",
            icon=":material/sync:" if busy else ":material/refresh:",
            key="refresh",
            disabled=busy,
            on_click=_refresh,
            args=(session,),
        )
        _progress(session, status)
    with st.container(key="problems"):
        _problems(session, status)


def _version(session: Session, status: Status) -> object:
    """Differs once pages show something else.

    That is after a publish, after a refresh that found no change but moved the end of the data, with another set-up,
    on another day, and after a sign-out.
    """
    known = (status.head.generation, status.head.updated_at) if status.head else None
    return known, session.cache.documents.read(SETUP), session.today, session.visitor.role()


def _refresh(session: Session, accept: bool = False) -> None:
    session.refresh_error = ""
    try:
        session.cache.runs.request("dashboard", accept and session.visitor.may("accept_shrunk_table"))
    except OrdersError as error:
        session.refresh_error = str(error)


def _age(session: Session, status: Status, head: Head) -> None:
    seconds = status.age_seconds(now())
    age = "at an unknown time" if seconds is None else formatting.age(seconds)
    at = session.clock(head.updated_at)
    if head.verified:
        st.badge(
            f"Verified {age}",
            icon=":material/verified:",
            color="green",
            help=f"At {at} every order was compared with the database and was equal.{_partial_check(session, head)}",
        )
    else:
        reason = f" {formatting.plain(head.reason)}" if head.reason else ""
        st.badge(
            f"Not verified · {age}",
            icon=":material/help:",
            color="orange",
            help=f"The data of {at} could not be compared with the database completely.{reason}",
        )


def _checks(session: Session, head: Head) -> None:
    """Draws how many orders add up, as a link to the checks."""
    report = session.checks(head.generation)
    badge = report and checks.badge(report, session.settings.checks_amber_below)
    if report and badge:
        icon = ":material/check_circle:" if badge.tone == "green" else ":material/warning:"
        help = f"{report.agree:,} of {counted(report.orders, 'order')} pass every check that applies to them."
        if not report.confirmed:
            help += " How the table is read is not confirmed."
        label = f":{badge.tone}-badge[{icon} {formatting.plain(badge.text)}]"
        session.navigator.link("data", label, icon="", help=f"{help} Open the checks.")


def _partial_check(session: Session, head: Head) -> str:
    """When a part of the orders was compared since."""
    if head.checked_at is None or head.checked_at == head.verified_at:
        return ""
    return f" New and recently changed orders were compared again at {session.clock(head.checked_at)}."


def _progress(session: Session, status: Status) -> None:
    """Draws how far a refresh is. It lies over the page, so that nothing moves."""
    run = status.running
    if run:
        session.refresh_error = ""
        phase = run.progress.phase
        step = f"step {list(PHASES).index(phase) + 1} of {len(PHASES)}"
        done, text = _fraction(run.progress), f"{PHASES[phase]} · {step}{_count(run.progress)}"
    elif status.queued and status.workers:
        done, text = 0.0, "Refresh requested · starts in a moment"
    else:
        return
    with st.container(key="progress"):
        st.progress(done, text)


def _fraction(progress: Progress) -> float:
    """How much of the sync is done, from 0 to 1."""
    low, high = _BAR[progress.phase]
    return low + (high - low) * (progress.fraction or 0)


def _count(progress: Progress) -> str:
    if not progress.total:
        return f" · {progress.done:,}" if progress.done else ""
    return f" · {progress.done:,} of {progress.total:,}"


def _problems(session: Session, status: Status) -> None:
    if session.refresh_error:
        message("error", session.refresh_error, "The refresh did not start.")
    failed = status.last if status.last and status.last.outcome == "failed" and not status.running else None
    if failed and failed.error:
        when = f" at {session.clock(failed.finished_at)}" if failed.finished_at else ""
        shown = (
            f"This page shows the last good data, of {session.clock(status.head.updated_at)}." if status.head else ""
        )
        message("error", f"{failed.error.message} {failed.error.advice} {shown}", f"The last refresh failed{when}.")
        if failed.error.code == "held_back" and session.visitor.may("accept_shrunk_table"):
            arguments = {"session": session, "accept": True}
            st.button("Accept the smaller table", key="accept", on_click=_refresh, kwargs=arguments)
    if status.head and (error := status.cache_error):
        message("warning", f"{error.message} {error.advice}", "This data is not refreshed.")
    elif not status.workers and status.head and not session.refresh_error:
        message("warning", NoWorker.advice, "This data is not refreshed: no scheduler is running.")


@st.fragment(run_every=LOOK_EVERY)
def nothing_yet(session: Session) -> None:
    """Draws what happens until there is data, in place of a page."""
    session.navigator.stay()
    was_there = session.backend.orders.has_loaded
    status = session.cache.status()
    if status.running or (status.queued and status.workers):
        title = "The first copy of your orders is being made"
        text = "The sync signs in to phpMyAdmin, copies the table and verifies the copy. Then this page shows it."
    elif status.workers:
        title, text = "No orders yet", "No refresh has copied any orders so far. Press **Refresh** to try now."
        if was_there:
            title, text = _GONE, "Its folder was removed or emptied. Press **Refresh** to copy all orders again."
    else:
        title = _GONE if was_there else "No orders yet, and no scheduler to fetch them"
        text = formatting.plain(NoWorker.advice)
    with st.container(border=True, horizontal_alignment="center", key="empty"):
        st.space("large")
        st.header(title, anchor=False, width="content", text_alignment="center")
        st.markdown(text, width="content", text_alignment="center")
        st.space("large")
