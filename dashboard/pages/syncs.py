"""Data: whether orders add up, each sync, whether the copy is verified, its size on disk, and the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import streamlit as st

from cache.errors import CacheError
from cache.roles import ROLES
from cache.schema import Column as SourceColumn
from cache.storage.documents import FAILURE_PICTURE
from cache.storage.local.failure_pages import screenshot
from cache.storage.records import Run, Status, now
from cache.storage.snapshot import CHECKSUMS, COLUMNS, GZIP, JSON, OFFSETS, PARQUET, Head, Manifest
from dashboard.address import parameter, set_parameter
from dashboard.components import freshness
from dashboard.components.checks_table import checks_table
from dashboard.components.freshness import LOOK_EVERY, PHASES
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message, says_why_it_fails
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import Label

MAX_RUNS = 20
_OPEN = "sync"  # parameter of the address
_OUTCOMES: Mapping[str, Label] = {
    "running": Label("Running", "blue"),
    "published": Label("New data", "green"),
    "unchanged": Label("No changes", "green"),
    "unverified": Label("Not verified", "orange"),
    "failed": Label("Failed", "red"),
}
_INTERRUPTED = Label("Interrupted", "red")  # recorded as running, but silent; the next sync records its end
_TRIGGERS: Mapping[str, str] = {
    "schedule": "Schedule",
    "request": "Request",
    "first": "First copy",
    "command": "Command",
    "import": "Import of a file",
}
_FILES: Mapping[str, str] = {
    JSON: "Orders as JSON, for the API",
    GZIP: "Orders as JSON, compressed",
    PARQUET: "Orders with exact types, for figures",
    COLUMNS: "Index for filters and sorting",
    OFFSETS: "Position of each order",
    CHECKSUMS: "Checksum of each order",
}


def syncs(session: Session) -> None:
    """Draws the page."""
    status = session.cache.status()
    freshness.page_head(session, "Data", status)
    if status.head is None:
        freshness.nothing_yet(session)
    else:
        with suppress(CacheError):  # named below
            with st.skeleton(height=420):  # after a start the first visitor waits until the table is read
                orders = session.backend.orders.newest(status.head.generation)
            checks_table(session, orders, session.checks(status.head.generation))
    _runs(session)
    if status.head is None:
        return
    try:
        manifest = session.cache.snapshots.inspect(status.head.generation).manifest
    except CacheError as error:
        message("error", str(error))
        return
    with st.grid(2, min_column_width=340):
        _verification(session, status, status.head, manifest)
        _storage(manifest)
    _columns(session, manifest)


# -- syncs


@st.fragment(run_every=LOOK_EVERY)
@says_why_it_fails
def _runs(session: Session) -> None:
    session.navigator.stay()
    runs = session.cache.runs.recent(MAX_RUNS)
    running = session.cache.runs.running()
    with st.container(border=True):
        st.header("Syncs", anchor=False, help="Each sync copies what changed in phpMyAdmin's table, and verifies it.")
        if not runs:
            st.caption("None yet. Each sync is listed here with its duration and its result.")
            return
        columns = [
            Column("Started"),
            Column("Trigger", wide=True),
            Column("Result"),
            Column("Duration", number=True),
            Column("Rows changed", number=True),
            Column("Received", number=True, wide=True),
        ]
        lines = [_run(session, run, running) for run in runs]
        table("Syncs", columns, lines, key="syncs", on_pick=lambda id: set_parameter(_OPEN, id))
    if chosen := next((run for run in runs if run.id == parameter(_OPEN)), None):
        _details(session, chosen)


def _run(session: Session, run: Run, running: Run | None) -> Line:
    is_silent = run.outcome == "running" and (running is None or run.id != running.id)
    outcome = _INTERRUPTED if is_silent else _OUTCOMES[run.outcome]
    trigger = _TRIGGERS.get(run.trigger, run.trigger)
    return Line(
        [
            Cell(session.clock(run.started_at), more=trigger),
            trigger,
            Cell(outcome.text, pill=outcome.tone),
            _seconds(sum(run.seconds.values())),
            _changes(run),
            formatting.size(run.bytes),
        ],
        id=run.id,
    )


def _details(session: Session, run: Run) -> None:
    """Draws one sync, phase by phase, below the table of syncs."""
    with st.container(border=True, key="sync_details"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(f"Sync of {session.clock(run.started_at)}", anchor=False, width="stretch")
            st.button(
                "Close",
                type="tertiary",
                icon=":material/close:",
                key="close_sync",
                on_click=lambda: set_parameter(_OPEN, ""),
            )
        if run.error:
            message("error", f"{run.error.message} {run.error.advice}")
            st.caption(f"Error code: {run.error.code}")
            # phpMyAdmin's page may show what a viewer need not know.
            if session.visitor.may("accept_shrunk_table") and (page := _screenshot(session, run)):
                st.image(page, caption="What phpMyAdmin showed", width=640)
        facts = [
            *((PHASES[phase], _seconds(seconds)) for phase, seconds in run.seconds.items() if phase in PHASES),
            ("Rows in the table", f"{run.rows:,}"),
            ("Ranges compared", f"{run.ranges:,}"),
            ("Ranges copied", f"{run.exported_ranges:,}"),
            *((name, version) for name, version in run.versions.items()),
            ("Host", f"{run.host}, process {run.pid}"),
        ]
        lines = [Line([label, text]) for label, text in facts]
        table("Details", [Column(""), Column("", number=True)], lines, key="sync_facts", headed=False)


def _screenshot(session: Session, run: Run) -> str | bytes | None:
    """The page on which a sync failed: from the files of this host, or from a shared cache."""
    if path := screenshot(session.settings.diagnostics_dir, run):
        return str(path)
    return session.cache.documents.read(FAILURE_PICTURE).of(run.id, now())


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else formatting.length(seconds)


def _changes(run: Run) -> str:
    if run.changes is None or not run.changes.total:
        return "–"
    counts = (("+", run.changes.inserted), ("~", run.changes.updated), ("−", run.changes.deleted))
    return " ".join(f"{sign}{count:,}" for sign, count in counts if count)


# -- the copy


def _verification(session: Session, status: Status, head: Head, manifest: Manifest) -> None:
    workers = ", ".join(f"{worker.host}{'' if worker.leader else ' (standby)'}" for worker in status.workers)
    facts = [
        ("Last full verification", session.clock(head.verified_at) if head.verified_at else "never"),
        ("Last check of new orders", session.clock(head.checked_at) if head.checked_at else "never"),
        ("Ranges", f"{len(manifest.segments):,}, {'all verified' if head.verified else 'not all verified'}"),
        ("Orders", f"{manifest.rows:,}"),
        ("Source", f"{manifest.source.database}.{manifest.source.table}"),
        ("Database", manifest.source.server or "–"),
        ("phpMyAdmin", manifest.source.phpmyadmin or "–"),
        ("Next sync", session.clock(status.next_sync) if status.next_sync else _no_sync(status)),
        ("Scheduler on", workers or "–"),
    ]
    with st.container(border=True, height="stretch"):
        st.header(
            "Verification",
            anchor=False,
            help="The table is divided into ranges. For each range the database computes a checksum, which must equal "
            "that of the copy.",
        )
        lines = [Line([label, text]) for label, text in facts]
        table("Verification", [Column(""), Column("")], lines, key="proof", headed=False)


def _no_sync(status: Status) -> str:
    if status.cache_error:
        return "unknown: see above"
    return "not planned: see the last sync" if status.workers else "none: no scheduler is running"


def _storage(manifest: Manifest) -> None:
    sizes: dict[str, int] = {}
    for segment in manifest.segments:
        for name, file in segment.files.items():
            sizes[name] = sizes.get(name, 0) + file.size
    largest_first = sorted(sizes.items(), key=lambda item: -item[1])
    lines = [Line([_FILES[name], formatting.size(size)]) for name, size in largest_first]
    lines.append(Line(["Total", formatting.size(sum(sizes.values()))], look="strong"))
    with st.container(border=True, height="stretch"):
        help = "Files of the newest generation. Older generations share the files that did not change."
        st.header("Storage", anchor=False, help=help)
        table("Storage", [Column("Content"), Column("Size", number=True)], lines, key="storage")


def _columns(session: Session, manifest: Manifest) -> None:
    orders = session.backend.orders.newest(manifest.generation)
    meanings = {column.name: ROLES[role].words for role, column in orders.roles.items()}
    misfits, zero_dates = _counts(manifest, "misfits"), _counts(manifest, "zero_dates")
    lines = []
    for column in manifest.columns:
        notes = ["Key"] if column.key else []
        notes += [f"values that do not fit the type: {misfits[column.name]:,}"] if column.name in misfits else []
        notes += [f"invalid dates: {zero_dates[column.name]:,}"] if column.name in zero_dates else []
        name = Cell(column.name, more=column.type)
        lines.append(Line([name, column.type, meanings.get(column.name, ""), " · ".join(notes)]))
    with st.container(border=True):
        st.header("Columns", anchor=False)
        if changes := _changes_since_parent(session, manifest):
            st.markdown(formatting.literal(f"Changed since the previous copy: {changes}."))
        headers = [Column("Column"), Column("Type", wide=True), Column("Meaning"), Column("Notes", wide=True)]
        table("Columns", headers, lines, key="source_columns")


def _counts(manifest: Manifest, name: str) -> dict[str, int]:
    """Column -> count, added up over the segments. `name` is an attribute of Segment."""
    counts: dict[str, int] = {}
    for segment in manifest.segments:
        for column, count in getattr(segment, name).items():
            counts[column] = counts.get(column, 0) + count
    return counts


def _changes_since_parent(session: Session, manifest: Manifest) -> str:
    """How the columns differ from those of the previous copy; "" where they do not, or where it is not kept."""
    if manifest.parent is None:
        return ""
    try:
        before = session.cache.snapshots.inspect(manifest.parent).manifest.columns
    except CacheError:
        return ""
    return schema_changes(before, manifest.columns)


def schema_changes(before: Sequence[SourceColumn], now: Sequence[SourceColumn]) -> str:
    """The difference of columns as text, such as "added `tags`; removed `note`; `total` became decimal(14,2)"."""
    old, new = {c.name: c.type for c in before}, {c.name: c.type for c in now}
    parts = [f"added `{name}`" for name in new if name not in old]
    parts += [f"removed `{name}`" for name in old if name not in new]
    parts += [f"`{name}` became {new[name]}" for name in new if name in old and old[name] != new[name]]
    return "; ".join(parts)
