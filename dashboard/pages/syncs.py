"""Data: how fresh and how proven the copy is, every sync, what the table's columns are, what it takes on disk."""

from __future__ import annotations

import streamlit as st

from cache.errors import CacheError
from cache.roles import ROLES
from cache.schema import Column as SourceColumn
from cache.storage.failure_pages import screenshot
from cache.storage.records import Run, Status
from cache.storage.snapshot import CHECKSUMS, COLUMNS, GZIP, JSON, OFFSETS, PARQUET, Manifest
from dashboard import data, formatting
from dashboard.auth import access
from dashboard.auth.source import source
from dashboard.components import freshness, navigation
from dashboard.components.freshness import PHASES, clock
from dashboard.components.table import Cell, Column, Line, table
from dashboard.formatting import Tone

RUNS = 20
_OPEN = "sync"  # parameter of the address
_OUTCOMES: dict[str, tuple[str, Tone]] = {
    "running": ("Running", "blue"),
    "published": ("New data", "green"),
    "unchanged": ("No changes", "green"),
    "unverified": ("Not verified", "orange"),
    "failed": ("Failed", "red"),
}
_SILENT: tuple[str, Tone] = ("Broken off", "red")  # nothing is heard of it, and the next sync will say so
_WHY = {"schedule": "on schedule", "request": "someone asked", "first": "first copy", "command": "by command",
        "import": "from a file"}  # fmt: skip
_FILES = {JSON: "Orders as the API sends them", GZIP: "The same, compressed", PARQUET: "Orders with their types",
          COLUMNS: "What filters and sorts look up", OFFSETS: "Where each order begins",
          CHECKSUMS: "What proves each order"}  # fmt: skip


def syncs() -> None:
    status = source().cache.status()
    freshness.showing(status)
    freshness.head("Data")
    if status.head is None:
        freshness.nothing_yet()
    _runs()
    if status.head is None:
        return
    try:
        manifest = source().cache.snapshots.inspect(status.head.generation).manifest
    except CacheError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        return
    with st.grid(2, min_column_width=340):
        _proof(status, manifest)
        _storage(manifest)
    _columns(manifest)


@st.fragment(run_every=2.0)
def _runs() -> None:
    navigation.stay()
    found = source().cache.runs.recent(RUNS)
    running = source().cache.status().running
    alive = running.id if running else None
    with st.container(border=True):
        st.header("Syncs", anchor=False, help="Each reads what changed in phpMyAdmin's table, and proves the copy.")
        if not found:
            st.caption("None so far. Each sync is listed here with how long it took and what it found.")
            return
        lines = []
        for run in found:
            text, tone = _OUTCOMES[run.outcome] if run.outcome != "running" or run.id == alive else _SILENT
            lines.append(
                Line(
                    [
                        Cell(clock(run.started_at), more=_why(run)),
                        _why(run),
                        Cell(text, pill=tone),
                        _seconds(sum(run.seconds.values())),
                        _changed(run),
                        formatting.size(run.bytes),
                    ],
                    id=run.id,
                )
            )
        columns = [Column("Started"), Column("Why", wide=True), Column("Result"), Column("Took", True),
                   Column("Rows changed", True), Column("Received", True, True)]  # fmt: skip
        table("Syncs", columns, lines, key="syncs", on_pick=lambda id: st.query_params.update({_OPEN: id}))
    chosen = next((run for run in found if run.id == st.query_params.get(_OPEN)), None)
    if chosen:
        _details(chosen)


def _details(run: Run) -> None:
    """One sync, phase by phase, below the table of them."""
    with st.container(border=True, key="sync_details"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(f"Sync of {clock(run.started_at)}", anchor=False, width="stretch")
            st.button("Close", type="tertiary", icon=":material/close:", key="close_sync", on_click=_close)
        if run.error:
            st.error(formatting.plain(f"{run.error.message} {run.error.advice}"), icon=":material/error:")
            st.caption(f"Its code is {run.error.code}.")
            # phpMyAdmin's page may tell what a viewer need not know.
            if access.may("accept") and (page := screenshot(source().settings.diagnostics_dir, run)):
                st.image(page, caption="What phpMyAdmin showed", width=640)
        facts = [
            *((PHASES[phase], _seconds(seconds)) for phase, seconds in run.seconds.items() if phase in PHASES),
            ("Rows in the table", f"{run.rows:,}"),
            ("Ranges compared", f"{run.ranges:,}"),
            ("Ranges copied", f"{run.exported_ranges:,}"),
            *((name, version) for name, version in run.versions.items()),
            ("Ran on", f"{run.host}, process {run.pid}"),
        ]
        lines = [Line([label, text]) for label, text in facts]
        table("Details", [Column(""), Column("", True)], lines, key="sync_facts", headed=False)


def _close() -> None:
    st.query_params.pop(_OPEN, None)


def _why(run: Run) -> str:
    return _WHY.get(run.trigger, run.trigger)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else formatting.length(seconds)


def _changed(run: Run) -> str:
    if run.changes is None or not run.changes.total:
        return "–"
    signs = (("+", run.changes.inserted), ("~", run.changes.updated), ("−", run.changes.deleted))
    return " ".join(f"{sign}{count:,}" for sign, count in signs if count)


def _proof(status: Status, manifest: Manifest) -> None:
    head = status.head
    assert head is not None
    facts = [
        ("Proven equal to the database", clock(head.verified_at) if head.verified_at else "never"),
        ("Newest orders compared", clock(head.checked_at) if head.checked_at else "never"),
        ("Ranges", f"{len(manifest.segments):,}, {'each proven' if head.verified else 'not all proven'}"),
        ("Orders", f"{manifest.rows:,}"),
        ("Source", f"{manifest.source.database}.{manifest.source.table}"),
        ("Database", manifest.source.server or "–"),
        ("phpMyAdmin", manifest.source.phpmyadmin or "–"),
        ("Next sync", clock(status.next_sync) if status.next_sync else "none: no scheduler is running"),
        ("Scheduler on", ", ".join(f"{w.host}{'' if w.leader else ' (stands by)'}" for w in status.workers) or "–"),
    ]
    with st.container(border=True, height="stretch"):
        st.header(
            "How far the copy is proven", anchor=False,
            help="The table is cut into ranges. The database tells a checksum of each, which the copy must have too.",
        )  # fmt: skip
        table("Proof", [Column(""), Column("")], [Line(list(fact)) for fact in facts], key="proof", headed=False)


def _storage(manifest: Manifest) -> None:
    files: dict[str, int] = {}
    for segment in manifest.segments:
        for name, file in segment.files.items():
            files[name] = files.get(name, 0) + file.size
    lines = [
        Line([_FILES[name], formatting.size(size)]) for name, size in sorted(files.items(), key=lambda part: -part[1])
    ]
    lines.append(Line(["Together", formatting.size(sum(files.values()))], look="strong"))
    with st.container(border=True, height="stretch"):
        st.header("Storage", anchor=False, help="Files of the newest copy. Older copies share what did not change.")
        table("Storage", [Column("What for"), Column("Size", True)], lines, key="storage")


def _columns(manifest: Manifest) -> None:
    orders = data.newest(manifest.generation)
    meaning = {column.name: ROLES[role].words for role, column in orders.reading.roles.items()}
    misfits, zeros = _counted(manifest, "misfits"), _counted(manifest, "zero_dates")
    with st.container(border=True):
        st.header("Columns", anchor=False)
        if changed := _schema_changes(manifest):
            st.markdown(formatting.plain(f"Since the copy before: {changed}."))
        lines = []
        for column in manifest.columns:
            notes = [f"values that do not fit: {misfits[column.name]:,}"] if column.name in misfits else []
            notes += [f"dates that no calendar has: {zeros[column.name]:,}"] if column.name in zeros else []
            key = "Key" if column.key else ""
            lines.append(
                Line([Cell(column.name, more=column.type), column.type, meaning.get(column.name, ""),
                      " · ".join([*([key] if key else []), *notes])])
            )  # fmt: skip
        columns = [Column("Column"), Column("Type", wide=True), Column("Taken to mean"), Column("Notes", wide=True)]
        table("Columns", columns, lines, key="source_columns")


def _counted(manifest: Manifest, what: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for segment in manifest.segments:
        for name, count in getattr(segment, what).items():
            found[name] = found.get(name, 0) + count
    return found


def _schema_changes(manifest: Manifest) -> str:
    """How the columns differ from those of the copy before; "" where they do not, or where it is not kept."""
    if manifest.parent is None:
        return ""
    try:
        before = source().cache.snapshots.inspect(manifest.parent).manifest.columns
    except CacheError:
        return ""
    return schema_changes(before, manifest.columns)


def schema_changes(before: tuple[SourceColumn, ...], now: tuple[SourceColumn, ...]) -> str:
    """Such as "added `tags`; removed `note`; `total` became decimal(14,2)"."""
    old, new = {c.name: c.type for c in before}, {c.name: c.type for c in now}
    parts = [f"added `{name}`" for name in new if name not in old]
    parts += [f"removed `{name}`" for name in old if name not in new]
    parts += [f"`{name}` became {new[name]}" for name in new if name in old and old[name] != new[name]]
    return "; ".join(parts)
