"""The cache: four repositories that every backend implements, and the record that holds them.

Snapshots  the rows: generations are published, opened and compared
Runs       the work: syncs that were asked for, that run and that have ended
Leadership who works: the scheduler that leads, and the sync that holds the lock
Documents  what people made: API keys and the set-up of the table

Any thread or process may call any method. `cache.storage.backends` opens a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cache.errors import CacheFormat, SyncRunning, Trouble
from cache.storage.change_log import ChangeList
from cache.storage.documents import Content, Document
from cache.storage.records import Publication, Run, Status, Task, Worker
from cache.storage.snapshot import Draft, Head, Segment, Snapshot


class Snapshots(Protocol):
    """Generations of the copied table. What writes is for the holder of the sync lock."""

    def head(self) -> Head | None:
        """The pointer to the newest generation; None before the first publish."""

    def pointer(self) -> object:
        """A value that differs once `head` may. Readers compare it at each request: it takes about a microsecond."""

    def open(self, generation: int | None = None) -> Snapshot:
        """Opens a generation for reading.

        Args:
            generation: Its number; None for the newest one that is intact.

        Raises:
            NoSnapshot: Nothing has been published yet.
            UnknownGeneration: The generation is not kept.
            SnapshotDamaged: The generation, or every one that is kept, is damaged.
            CacheFormat: A newer version wrote the cache, and this one can read no generation of it.
        """

    def inspect(self, generation: int) -> Snapshot:
        """A generation that is kept, its files not checked.

        Raises:
            UnknownGeneration: The generation is not kept.
        """

    def changes(self, since: int, until: int, fingerprint: str | None = None) -> list[ChangeList]:
        """What each generation after `since` changed, up to and including `until`.

        Args:
            since: A generation that a client holds.
            until: A later generation.
            fingerprint: That of `since`, where the client knows it (`change_log.fingerprint`).

        Raises:
            ChangesGone: A list is not kept, the rows of one cannot be told from those before, or `since` is a
                generation of another cache.
        """

    def require_format(self) -> None:
        """Checks that this version may write the cache; so does every method below.

        Raises:
            CacheFormat: A newer version wrote it.
        """

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty folder on the cache's disk, for segments in the making; removed at the end."""

    def segment_folder(self, segment: Segment) -> Path:
        """Where the files of a segment are."""

    def adopt(self, folder: Path, segment: Segment) -> None:
        """Moves a finished segment from a workspace to its place; one that is there and whole stays.

        Raises:
            CacheUnwritable: The disk is full or read-only.
        """

    def save_draft(self, draft: Draft) -> None:
        """Records how far a first load is; the next publish removes it."""

    def draft(self) -> Draft | None:
        """The first load that was interrupted, as far as its segments are whole."""

    def publish(self, publication: Publication) -> None:
        """Makes a generation the newest, all or nothing.

        Raises:
            PublishConflict: Its parent is no longer the newest generation.
            CacheUnwritable: The disk is full or read-only.
        """

    def confirm(self, head: Head) -> None:
        """Records that the newest generation was verified again.

        Raises:
            PublishConflict: It is no longer the newest generation.
            CacheUnwritable: The disk is full or read-only.
        """


class Runs(Protocol):
    """Requests for a sync (tasks), and syncs (runs)."""

    def version(self) -> int:
        """A number that grows whenever something changed that readers show, in any of the four repositories."""

    def wait(self, version: int, timeout: float) -> int:
        """Waits for a change.

        Args:
            version: The version that the caller knows.
            timeout: Seconds after which it returns in any case.

        Returns:
            The version now.
        """

    def request(self, by: str, accept: bool = False) -> Task:
        """Asks for a sync that begins after this moment.

        Args:
            by: Who asks, for the history.
            accept: Publish also a table that shrank so much that it would be held back.

        Raises:
            NoWorker: No scheduler is alive.
        """

    def task(self, id: str) -> Task:
        """A request, by its id.

        Raises:
            UnknownTask: There is none.
        """

    def queued(self) -> int:
        """How many requests wait for a sync."""

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest syncs, newest first; at least 1,000 are kept."""

    def running(self) -> Run | None:
        """The sync under way: recorded as running, and not silent for longer than SILENT_AFTER."""

    def recover(self) -> None:
        """Closes runs whose process is gone, and queues their requests again (three tries).

        Only under the sync lock: then every run that is recorded as running is dead.
        """

    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        """Records the run, under the sync lock and before `verified_at` is taken.

        Args:
            run: The sync that begins.
            claim: Whether it answers the requests that wait: false where it proves nothing.

        Returns:
            The requests that it answers.
        """

    def report(self, run: Run) -> None:
        """Records the progress of a run, and that it lives. A run that has ended stays as it ended."""

    def finish(self, run: Run) -> None:
        """Records the end of a run, and answers its requests."""


class Leadership(Protocol):
    """One scheduler leads, the others stand by; one sync runs at a time."""

    def workers(self) -> tuple[Worker, ...]:
        """The workers that are alive, the leader first."""

    def heartbeat(self, worker: Worker, at: datetime | None = None) -> bool:
        """Records that a worker lives. It takes the lease where nobody holds it, or where its holder fell silent.

        Args:
            worker: Who lives.
            at: When; None for now.

        Returns:
            Whether it leads now.
        """

    def resign(self, worker: Worker) -> None:
        """Gives up the lease and the place among the workers."""

    def sync_lock(self) -> AbstractContextManager[object]:
        """The lock itself, freed when its process dies. Syncs take `Cache.sync_lock`.

        Raises:
            SyncRunning: Another process holds it.
        """


class Documents(Protocol):
    """What people made. It outlives the snapshots."""

    def read(self, document: Document[Content]) -> Content:
        """A document as it is now.

        Raises:
            CacheError: It cannot be read.
        """

    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        """Replaces a document.

        Args:
            document: Which one.
            change: Makes the new one from the present one, while nobody else changes it.

        Raises:
            CacheError: It cannot be read.
            CacheUnwritable: It cannot be written.
        """


@dataclass(frozen=True)
class Cache:
    """One cache, open."""

    snapshots: Snapshots
    runs: Runs
    leadership: Leadership
    documents: Documents
    close: Callable[[], None]  # frees files and threads

    def status(self) -> Status:
        """What dashboard and API show of the cache at this moment."""
        return Status(
            head=self.snapshots.head(),
            running=self.runs.running(),
            last=next((run for run in self.runs.recent(2) if run.outcome != "running"), None),
            queued=self.runs.queued(),
            workers=self.leadership.workers(),
            cache_error=self._error(),
        )

    def _error(self) -> Trouble | None:
        try:
            self.snapshots.require_format()
        except CacheFormat as error:
            return error.trouble()
        return None

    @contextmanager
    def sync_lock(self) -> Iterator[None]:
        """The lock that a sync holds from start to end. Runs that died before are closed first.

        Raises:
            SyncRunning: Another process holds it.
        """
        with self.leadership.sync_lock():
            self.runs.recover()
            yield

    def recover(self) -> None:
        """Closes runs whose process is gone, unless a sync is under way."""
        with suppress(SyncRunning), self.sync_lock():
            pass
