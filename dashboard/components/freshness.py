"""The head of every page: how old the data is, whether it is verified, the refresh and its progress, what failed.

It renews itself every second in every open tab, and reruns the page when the data behind it changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from cache.errors import NoWorker, OrdersError
from cache.storage.documents import SETUP
from cache.storage.records import Progress, Status, now
from cache.storage.snapshot import Head
from dashboard import formatting
from dashboard.auth import access
from dashboard.auth.source import source
from dashboard.components import navigation

PHASES = {
    "login": "Signing in to phpMyAdmin",
    "table": "Reading the table's structure",
    "checksums": "Comparing with the database",
    "rows": "Copying orders",
    "publish": "Publishing",
}
SHOWN, REFUSED = "shown_version", "refresh_refused"


@st.fragment(run_every=1.0)
def head(title: str) -> None:
    """Title, freshness and refresh. The page calls it with what it shows recorded by `showing`."""
    navigation.stay()
    status = source().cache.status()
    if _version(status) != st.session_state.get(SHOWN):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title(title, anchor=False, width="stretch")
        if status.head:
            _age(status)
        if status.next_sync:
            st.caption(f"Next refresh {clock(status.next_sync)}", width="content")
        busy = status.running is not None or (status.queued > 0 and bool(status.workers))
        st.button(
            "Refreshing" if busy else "Refresh",
            icon=":material/sync:" if busy else ":material/refresh:",
            key="refresh",
            disabled=busy,
            on_click=_refresh,
        )
    _progress(status)
    _troubles(status)


def showing(status: Status) -> None:
    """Records which data the page shows, so that `head` can tell when there is newer."""
    st.session_state[SHOWN] = _version(status)


def _version(status: Status) -> object:
    """Differs once pages show something else: after a publish, or another set-up."""
    return status.head.generation if status.head else None, source().cache.documents.read(SETUP)


def _refresh(accept: bool = False) -> None:
    st.session_state.pop(REFUSED, None)
    try:
        source().cache.runs.request("dashboard", accept and access.may("accept"))
    except OrdersError as error:
        st.session_state[REFUSED] = str(error)


def _age(status: Status) -> None:
    head = status.head
    assert head is not None
    age = formatting.age(status.age_seconds(now()) or 0)
    if head.verified:
        st.badge(
            f"Verified {age}",
            icon=":material/verified:",
            color="green",
            help=f"Every order was proven equal to the database at {clock(head.updated_at)}.{_newest(head)}",
        )
    else:
        reason = f" {formatting.plain(head.reason)}" if head.reason else ""
        st.badge(
            f"Not verified · {age}",
            icon=":material/help:",
            color="orange",
            help=f"The data of {clock(head.updated_at)} is not proven equal to the database.{reason}",
        )


def _newest(head: Head) -> str:
    """Where the newest orders alone were compared since."""
    if head.checked_at is None or head.checked_at == head.verified_at:
        return ""
    return f" The newest and the lately changed ones were compared again at {clock(head.checked_at)}."


def _progress(status: Status) -> None:
    run = status.running
    if run:
        st.session_state.pop(REFUSED, None)
        step = list(PHASES).index(run.progress.phase) + 1
        st.progress(_fraction(run.progress), f"{PHASES[run.progress.phase]} · step {step} of 5{_count(run.progress)}")
    elif status.queued and status.workers:
        st.progress(0.0, "Refresh requested · it starts in a moment")


def _fraction(progress: Progress) -> float:
    """How much of the whole is done: each phase has its share of the bar."""
    shares = {
        "login": (0.02, 0.1),
        "table": (0.1, 0.15),
        "checksums": (0.15, 0.3),
        "rows": (0.3, 0.95),
        "publish": (0.95, 1),
    }
    low, high = shares[progress.phase]
    return low + (high - low) * (progress.fraction or 0)


def _count(progress: Progress) -> str:
    if not progress.total:
        return f" · {progress.done:,}" if progress.done else ""
    return f" · {progress.done:,} of {progress.total:,}"


def _troubles(status: Status) -> None:
    if refused := st.session_state.get(REFUSED):
        _banner(refused, "The refresh was not started.")
    failed = status.last if status.last and status.last.outcome == "failed" and not status.running else None
    if failed and failed.error:
        when = f" at {clock(failed.finished_at)}" if failed.finished_at else ""
        kept = f"Shown is the last good data, of {clock(status.head.updated_at)}." if status.head else ""
        _banner(f"{failed.error.message} {failed.error.advice}", f"The last refresh failed{when}.", kept)
        if failed.error.code == "held_back" and access.may("accept"):
            st.button("Accept the smaller table", key="accept", on_click=_refresh, kwargs={"accept": True})
    if not status.workers and status.head and not refused:
        _banner(NoWorker.advice, "Nothing refreshes this data: no scheduler is running.", color="warning")


def _banner(text: str, title: str, after: str = "", color: Literal["error", "warning"] = "error") -> None:
    show, icon = (st.error, ":material/error:") if color == "error" else (st.warning, ":material/warning:")
    show(f"**{title}** {formatting.plain(f'{text} {after}')}", icon=icon)


@st.fragment(run_every=1.0)
def nothing_yet() -> None:
    """In place of a page, as long as there is no data at all."""
    navigation.stay()
    status = source().cache.status()
    if status.running or (status.queued and status.workers):
        title = "The first copy of your orders is on its way"
        text = "It signs in to phpMyAdmin, copies the table and proves the copy. Then this page fills itself."
    elif status.workers:
        title, text = "No orders yet", "No refresh has brought any so far. Press **Refresh** to try now."
    else:
        title = "No orders yet, and nothing that fetches them"
        text = f"No scheduler is running. {formatting.plain(NoWorker.advice)}"
    with st.container(border=True, horizontal_alignment="center", key="empty"):
        st.space("large")
        st.header(title, anchor=False, width="content", text_alignment="center")
        st.markdown(text, width="content", text_alignment="center")
        st.space("large")


def clock(at: datetime) -> str:
    """An instant on the shop's clock: the time, and the date unless it is today."""
    zone = ZoneInfo(source().cache.documents.read(SETUP).timezone or source().settings.shop_timezone)
    local = at.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now().astimezone(zone).date() else formatting.moment(local)
