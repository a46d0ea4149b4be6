"""What is recorded in the cache: publications, requests for a sync, syncs, workers and the status made of them."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

from cache.errors import Trouble
from cache.storage.change_log import ChangedRows
from cache.storage.snapshot import ChangeCounts, Head, Manifest

SILENT_AFTER = timedelta(seconds=8)  # a worker or run without a heartbeat for so long is gone
TaskState = Literal["queued", "running", "completed", "failed"]


Outcome = Literal["running", "published", "unchanged", "unverified", "failed"]


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Publication:
    """A generation that is to become the newest.

    Attributes:
        manifest: Its segments.
        head: The pointer to it.
        changes: The rows in which it differs from its parent, where they are known.
        keep_changes: How long lists of changes stay.
    """

    manifest: Manifest
    head: Head
    changes: ChangedRows | None = None
    keep_changes: timedelta = timedelta(days=30)


class Task(BaseModel, frozen=True):
    """A refresh that someone asked for. It completes only with a verification later than `requested_at`.

    `accept` publishes a table that shrank so much that it would be held back.
    """

    id: str
    requested_at: datetime
    requested_by: str
    state: TaskState
    accept: bool = False
    run: str | None = None
    tries: int = 0
    finished_at: datetime | None = None
    generation: int | None = None
    changes: ChangeCounts | None = None
    error: Trouble | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("completed", "failed")


class Progress(BaseModel, frozen=True):
    """How far a sync is. `done` of `total` are rows, as far as the total is known (0: not yet); bytes as received."""

    phase: Literal["login", "table", "checksums", "rows", "publish"] = "login"
    done: int = 0
    total: int = 0
    bytes: int = 0

    @property
    def fraction(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total else None


class Run(BaseModel, frozen=True):
    """One sync: when, why, who asked, how it went, what came of it. `seconds` is by phase; `beat_at` tells it lives."""

    id: str = Field(default_factory=new_id)
    trigger: str
    asked_by: tuple[str, ...] = ()
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    started_at: datetime = Field(default_factory=now)
    beat_at: datetime = Field(default_factory=now)
    finished_at: datetime | None = None
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
    """A process that can run syncs: the leader does, the others stand by."""

    id: str = Field(default_factory=new_id)
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    leader: bool = False
    next_sync: datetime | None = None


class Status(BaseModel, frozen=True):
    """What there is to know at one moment; dashboard and API show the same. `running` is the sync under way, if any.

    `cache_error` is why this version cannot write the cache, if it cannot.
    """

    head: Head | None
    running: Run | None
    last: Run | None
    queued: int
    workers: tuple[Worker, ...]
    cache_error: Trouble | None = None

    @property
    def leader(self) -> Worker | None:
        return next((worker for worker in self.workers if worker.leader), None)

    @property
    def next_sync(self) -> datetime | None:
        return self.leader.next_sync if self.leader else None

    def age_seconds(self, at: datetime) -> float | None:
        """Seconds since the data was last verified; None without a snapshot."""
        return max(0.0, (at - self.head.updated_at).total_seconds()) if self.head else None
