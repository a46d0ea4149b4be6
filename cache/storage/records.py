"""The records in the cache: publications, requests for a sync, syncs and workers, and the status computed from them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, Field

from cache.check_report import CheckReport
from cache.errors import Trouble
from cache.schema import Column
from cache.storage.change_log import ChangedRows
from cache.storage.snapshot import ChangeCounts, Head, Manifest, Segment, Snapshot
from cache.storage.source import Source

SILENT_AFTER = timedelta(seconds=8)  # a worker or run without a heartbeat for this time counts as gone
MAX_TRIES = 3  # syncs that begin to answer one request
KEPT_RUNS, KEPT_TASKS = 1_000, 10_000
RUNS, TASKS, WORKERS = (
    "The history of syncs",
    "The list of refreshes",
    "The list of schedulers",
)  # as the log names them
TaskState = Literal["queued", "running", "completed", "failed"]
Outcome = Literal["running", "published", "unchanged", "unverified", "failed"]

DIED = Trouble(
    code="sync_died",
    message="The sync ended without a result: its process was killed or the machine ran out of memory.",
    advice="Press refresh to try again; if it repeats, look at the log and give the machine more memory.",
    transient=True,
)

AHEAD = timedelta(minutes=1)  # a time that is further ahead was written while the clock was wrong


def known(at: datetime | None) -> datetime | None:
    """Returns the time; None if it lies in the future: the clock was wrong, so the true time is not known."""
    return at if at is not None and at <= now() + AHEAD else None


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id of 64 random bits, in hexadecimal."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Publication:
    """A generation that is to become the newest.

    Attributes:
        manifest: Its segments.
        head: The pointer to it.
        changes: The rows that differ from its parent, if they are known.
        keep_changes: How long change lists are kept.
        checks: What the checks found of it; None if they were not made.
    """

    manifest: Manifest
    head: Head
    changes: ChangedRows | None = None
    keep_changes: timedelta = timedelta(days=30)
    checks: CheckReport | None = None


CheckGeneration = Callable[[Snapshot | None, Snapshot, ChangedRows], CheckReport | None]
"""Checks a generation that is to be published: the one before, the generation, and the rows that differ. It raises
nothing."""


class Task(BaseModel, frozen=True):
    """A request for a refresh. Only a verification that began after `requested_at` completes it.

    Attributes:
        id: Its id.
        requested_at: When the refresh was requested (UTC).
        requested_by: Who requested it, for the history.
        automatic: Whether no person requested it: it fails after an error that stops the schedule.
        state: Its state.
        accept: Whether to publish a table that lost so many rows that it would be held back.
        run: The id of the sync that answers it.
        tries: How many syncs have begun to answer it.
        finished_at: When it completed or failed (UTC).
        generation: The generation that answers it.
        changes: How many rows the sync changed.
        error: Why it failed.
    """

    id: str
    requested_at: AwareDatetime
    requested_by: str
    automatic: bool = False
    state: TaskState
    accept: bool = False
    run: str | None = None
    tries: int = 0
    finished_at: AwareDatetime | None = None
    generation: int | None = None
    changes: ChangeCounts | None = None
    error: Trouble | None = None

    @property
    def ended(self) -> bool:
        """Whether it has completed or failed."""
        return self.state in ("completed", "failed")


class Progress(BaseModel, frozen=True):
    """The progress of a sync.

    Attributes:
        phase: The present phase.
        done: Number of rows that are done.
        total: Number of rows in the phase, as known so far; 0: unknown.
        bytes: Bytes received.
    """

    phase: Literal["login", "table", "checksums", "rows", "publish"] = "login"
    done: int = 0
    total: int = 0
    bytes: int = 0

    @property
    def fraction(self) -> float | None:
        """The share of the rows that is done, from 0 to 1; None while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


class Run(BaseModel, frozen=True):
    """One sync.

    Attributes:
        id: Its id.
        trigger: What started it: `schedule`, `request`, `command` or `import`.
        asked_by: Who requested it.
        host: The machine that runs it.
        pid: Its process.
        started_at: When it began (UTC).
        beat_at: The time of its last heartbeat (UTC).
        finished_at: When it ended (UTC).
        outcome: Its outcome; `running` until it ends.
        progress: How far it is.
        seconds: Seconds that each phase took.
        generation: The generation that it published or confirmed.
        rows: Rows of that generation.
        bytes: Bytes received.
        ranges: Segments of that generation.
        exported_ranges: Ranges whose rows were read.
        changes: How many rows it changed.
        versions: Versions of the server and of phpMyAdmin, and the login method.
        error: Why it failed, or is not verified.
    """

    id: str = Field(default_factory=new_id)
    trigger: str
    asked_by: tuple[str, ...] = ()
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    started_at: AwareDatetime = Field(default_factory=now)
    beat_at: AwareDatetime = Field(default_factory=now)
    finished_at: AwareDatetime | None = None
    outcome: Outcome = "running"
    progress: Progress = Progress()
    seconds: dict[str, float] = {}
    generation: int | None = None
    rows: int = 0
    bytes: int = 0
    ranges: int = 0
    exported_ranges: int = 0
    changes: ChangeCounts | None = None
    versions: dict[str, str] = {}
    error: Trouble | None = None


class Worker(BaseModel, frozen=True):
    """A process that can run syncs. Only the leader runs them.

    Attributes:
        id: Its id.
        host: Its machine.
        pid: Its process.
        leader: Whether it leads.
        next_sync: When it plans the next sync (UTC), while it leads.
    """

    id: str = Field(default_factory=new_id)
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    leader: bool = False
    next_sync: AwareDatetime | None = None


class Lease(NamedTuple):
    """What a heartbeat brought. It is true if the worker leads.

    Attributes:
        leads: Whether the worker leads now.
        free_in: Seconds until another worker may lead, if the leader falls silent.
    """

    leads: bool
    free_in: float = SILENT_AFTER.total_seconds()

    def __bool__(self) -> bool:
        return self.leads


class Draft(BaseModel, frozen=True):
    """The finished part of a first load. If the load is interrupted, the next sync continues it.

    Attributes:
        source: The table that the rows were copied from.
        columns: The columns, with the kinds that are known so far.
        segments: The finished segments, in key order, starting with the lowest key.
    """

    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]


class Status(BaseModel, frozen=True):
    """The state of the cache at one moment, for the dashboard and the API.

    Attributes:
        head: The newest generation, if any.
        running: The sync under way, if any.
        last: The last sync that ended.
        queued: How many requests wait for a sync.
        workers: The workers that are alive.
        cache_error: Why this version cannot write the cache, if it cannot.
    """

    head: Head | None
    running: Run | None
    last: Run | None
    queued: int
    workers: tuple[Worker, ...]
    cache_error: Trouble | None = None

    @property
    def leader(self) -> Worker | None:
        """The worker that leads."""
        return next((worker for worker in self.workers if worker.leader), None)

    @property
    def next_sync(self) -> datetime | None:
        """When the leader plans the next sync (UTC)."""
        return self.leader.next_sync if self.leader else None

    def age_seconds(self, at: datetime) -> float | None:
        """Seconds since the data was last verified.

        Args:
            at: The time now (UTC).

        Returns:
            The age; None if nothing was published, or the time of the verification is not known.
        """
        updated_at = known(self.head.updated_at) if self.head else None
        return max(0.0, (at - updated_at).total_seconds()) if updated_at else None


def as_published(manifest: Manifest, reason: str | None) -> Head:
    """Returns the Head that a generation had when it was published.

    Args:
        manifest: The generation.
        reason: Why the generation no longer counts as verified; None: its verification still counts.
    """
    reason = reason or manifest.reason
    return Head(
        generation=manifest.generation,
        as_of=manifest.as_of,
        verified=reason is None,
        verified_at=manifest.verified_at,
        checked_at=manifest.verified_at if reason else manifest.as_of,
        reason=reason,
    )
