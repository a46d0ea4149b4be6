"""The cache: four repositories that every backend implements, and the record that holds them.

Snapshots  the generations of rows: publish, open, list changes
Runs       syncs and requests for a sync
Leadership the scheduler that leads, and the lock that one sync holds
Documents  data that people made: API keys and the set-up of the table

Any thread or process may call any method. `cache.storage.backends` opens a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cache.check_report import CheckReport
from cache.errors import CacheFormat, CacheUnreachable, CacheUnwritable, SyncRunning, Trouble
from cache.storage.change_log import ChangeList
from cache.storage.documents import Content, Document
from cache.storage.records import Draft, Lease, Publication, Run, Status, Task, Worker, known
from cache.storage.snapshot import Head, Manifest, Segment, Snapshot


class Snapshots(Protocol):
    """Generations of the copied table. Only the holder of the sync lock may call methods that write."""

    def head(self) -> Head | None:
        """The pointer to the newest generation; None before the first publish.

        If the pointer is missing or damaged, this is the newest generation that is kept, as not verified.
        """

    def newest(self) -> Head | None:
        """The pointer to the newest generation of any host, which this one may not have yet; None before the first.

        Raises:
            CacheUnreachable: The shared cache does not answer.
        """

    def generations(self) -> list[int]:
        """Returns the numbers of the generations that are kept, in ascending order."""

    def next_number(self) -> int:
        """Returns the number for the next generation. It is higher than the number of each generation ever kept."""

    def pointer(self) -> object:
        """Returns a value that changes with `head`, in about a microsecond. Readers compare it at each request."""

    def follow(self) -> None:
        """Keeps the files of this host up to date from now on, in a thread. If they are the cache, nothing happens."""

    def catch_up(self, to_repair: bool = False) -> None:
        """Brings the files of this host up to date. If they are the cache, nothing happens.

        Args:
            to_repair: Whether a sync follows that loads the rows of damaged segments again. Then these are left out.

        Raises:
            CacheError: They cannot be copied.
        """

    def reach(self, generation: int, timeout: float) -> bool:
        """Waits until this host has a generation, or a later one, if another host has published it.

        Args:
            generation: The number of the generation.
            timeout: Maximum time to wait, in seconds.

        Returns:
            Whether it has; False if none was published with this number.

        Raises:
            WarmingUp: It is not here yet.
            CacheUnreachable: It is not here, and the shared cache does not answer.
        """

    def open(self, generation: int | None = None) -> Snapshot:
        """Opens a generation for reading.

        Args:
            generation: The number of the generation; None: the newest generation that is intact.

        Raises:
            NoSnapshot: Nothing has been published yet.
            WarmingUp: This host has no generation yet, and copies one.
            UnknownGeneration: The generation is not kept.
            RangeDamaged: The generation is damaged; for None, every generation that is kept is damaged.
            CacheFormat: A newer version wrote the cache, and this version can read none of its generations.
        """

    def open_readable(self, generation: int | None = None) -> Snapshot:
        """Opens a generation as `open` does, but also a damaged one, as not verified: its other rows can be read.

        For None, this is the newest intact generation; if there is none, the newest one.

        Raises:
            NoSnapshot: Nothing has been published yet.
            UnknownGeneration: The generation is not kept.
            CacheFormat: A newer version wrote the cache, and this version can read none of its generations.
        """

    def inspect(self, generation: int) -> Snapshot:
        """Returns a generation that is kept, without a check of its files.

        Raises:
            UnknownGeneration: The generation is not kept.
        """

    def changes(self, since: int, until: int, fingerprint: str | None = None) -> list[ChangeList]:
        """Returns the change list of each generation after `since`, up to and including `until`.

        Args:
            since: The generation that a client has.
            until: A later generation.
            fingerprint: The fingerprint of `since` (`change_log.fingerprint`), if the client knows it.

        Raises:
            ChangesGone: A list is not kept or does not list its rows, or `since` is a generation of another cache.
        """

    def checks(self, generation: int) -> CheckReport | None:
        """Returns what the checks found of a generation; None if they were not made, or the result is damaged."""

    def require_format(self) -> None:
        """Checks that this version may write the cache. The methods below that write also check this.

        Raises:
            CacheFormat: A newer version wrote the cache.
        """

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty folder on the cache's disk for unfinished segments. It is removed at the end."""

    def segment_folder(self, segment: Segment) -> Path:
        """Returns the folder with the files of a segment."""

    def adopt(self, folder: Path, segment: Segment) -> None:
        """Moves a finished segment from a workspace to its final folder, unless an intact copy is already there.

        Raises:
            CacheUnwritable: The disk is full or read-only.
        """

    def verify(self, segment: Segment) -> str | None:
        """Compares the files of a segment with their digests.

        A damaged segment is recorded. From then on, no reader opens it, and the next sync loads its rows again.

        Returns:
            The fault (see `snapshot.fault`); None if the segment is intact.

        Raises:
            CacheUnwritable: The segment is damaged, and this cannot be recorded.
        """

    def unpublished(self, manifest: Manifest, head: Head) -> Snapshot:
        """Returns a generation that is not published yet. All its segments are in their folders."""

    def save_draft(self, draft: Draft) -> None:
        """Saves the draft of a first load. The next publish removes the draft."""

    def draft(self) -> Draft | None:
        """Returns the draft of an interrupted first load, with its intact segments up to the first damaged one."""

    def publish(self, publication: Publication) -> None:
        """Makes a generation the newest, atomically.

        Raises:
            PublishConflict: The parent is no longer the newest generation.
            CacheUnwritable: The disk is full or read-only.
        """

    def confirm(self, head: Head) -> None:
        """Records that the newest generation was verified again.

        Raises:
            PublishConflict: The generation is no longer the newest.
            CacheUnwritable: The disk is full or read-only.
        """

    def prune(self) -> None:
        """Removes all generations but the newest and those that were replaced minutes ago, with their segments.

        Raises:
            CacheUnwritable: The disk is read-only.
        """


class Runs(Protocol):
    """Requests for a sync (tasks), and syncs (runs)."""

    def version(self) -> int:
        """Returns a number that grows with each change that readers show, in any of the four repositories."""

    def known_version(self) -> int:
        """Returns the version in microseconds, without waiting for a database.

        It knows at once what this process has changed. What another host changed, it knows when `wait` tells it.

        Raises:
            CacheError: The version cannot be read.
        """

    def wait(self, version: int, timeout: float) -> int:
        """Waits for a change.

        Args:
            version: The version that the caller knows.
            timeout: Maximum time to wait, in seconds.

        Returns:
            The version now.
        """

    def request(self, by: str, accept: bool = False, automatic: bool = False) -> Task:
        """Requests a sync that begins after this moment.

        Args:
            by: Who requests the sync, for the history.
            accept: Whether to publish a table that lost so many rows that it would be held back.
            automatic: Whether no person requests it. If the last sync ended with an error that stops the schedule, the
                request has failed with that error, and no sync runs.

        Raises:
            NoWorker: No scheduler is alive.
            CacheUnwritable: The request cannot be recorded.
        """

    def require_writable(self) -> None:
        """Checks that requests and syncs can be recorded.

        Raises:
            DiskFull: The disk is full.
            CacheReadOnly: This process has no write access.
            CacheUnwritable: The cache cannot be written for another reason.
        """

    def task(self, id: str) -> Task:
        """Returns the request with this id.

        Raises:
            UnknownTask: There is no such request.
        """

    def queued(self) -> int:
        """Returns the number of requests that wait for a sync."""

    def recent(self, limit: int = 20) -> list[Run]:
        """Returns the newest syncs, newest first. At least 1,000 are kept."""

    def running(self) -> Run | None:
        """Returns the sync that is recorded as running, if its last heartbeat is more recent than SILENT_AFTER."""

    def recover(self) -> None:
        """Closes runs whose process has died, and queues their requests again (three tries).

        Call it only under the sync lock. Then every run that is recorded as running has died.

        Raises:
            SyncLost: Another host took over the sync. So do `begin`, `report` and `finish`.
        """

    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        """Records the start of a run. Call it under the sync lock, before the sync takes the time for `verified_at`.

        Args:
            run: The sync that begins.
            claim: Whether the sync answers the waiting requests; False if it does not verify the copy.

        Returns:
            The requests that the sync answers.
        """

    def report(self, run: Run) -> None:
        """Records the progress and the heartbeat of a run. A run that has ended is not changed."""

    def restore(self, runs: Sequence[Run]) -> None:
        """Records past syncs if the history is empty. Call it under the sync lock.

        Args:
            runs: The syncs, newest first.
        """

    def finish(self, run: Run) -> None:
        """Records the end of a run, and completes or fails its requests.

        After an error that stops the schedule, automatic requests that wait for a sync fail too.
        """


class Leadership(Protocol):
    """One scheduler leads, and the others stand by. Only one sync runs at a time."""

    def workers(self) -> tuple[Worker, ...]:
        """Returns the workers that are alive, the leader first."""

    def heartbeat(self, worker: Worker, at: datetime | None = None) -> Lease:
        """Records that a worker is alive. The worker takes the lease if it is free or its holder is no longer alive.

        Args:
            worker: The worker.
            at: The time of the heartbeat; None: now.

        Returns:
            Whether the worker leads now, and for how long the lease is taken.
        """

    def resign(self, worker: Worker) -> None:
        """Gives up the lease and the place among the workers."""

    def sync_lock(self) -> AbstractContextManager[object]:
        """The lock itself, released when its process dies. Syncs use `Cache.sync_lock`.

        Raises:
            SyncRunning: Another process holds the lock.
        """


class Documents(Protocol):
    """Documents that people made. They remain when the snapshots are deleted."""

    def read(self, document: Document[Content]) -> Content:
        """Returns the present content of a document.

        Raises:
            CacheError: The document cannot be read.
        """

    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        """Replaces a document.

        Args:
            document: The document.
            change: Returns the new content for the present content. If another process changes the document meanwhile,
                it is called again with the newer content.

        Raises:
            CacheError: The document cannot be read.
            CacheUnwritable: The document cannot be written.
        """


@dataclass(frozen=True)
class Cache:
    """One cache, open."""

    snapshots: Snapshots
    runs: Runs
    leadership: Leadership
    documents: Documents
    close: Callable[[], None]  # frees files and threads
    read_only: bool = False  # this process has no write access: nothing can be recorded or published

    def status(self) -> Status:
        """Returns the present state of the cache, for the dashboard and the API."""
        head = self.snapshots.head()
        try:
            return self._status(head)
        except CacheUnreachable as error:
            trouble = error.with_copy(known(head.updated_at) if head else None).trouble()
        except CacheFormat as error:
            trouble = error.trouble()
        return Status(head=head, running=None, last=None, queued=0, workers=(), cache_error=trouble)

    def _status(self, head: Head | None) -> Status:
        workers = self.leadership.workers()
        return Status(
            head=head,
            running=self.runs.running(),
            last=next((run for run in self.runs.recent(2) if run.outcome != "running"), None),
            queued=self.runs.queued(),
            workers=workers,
            cache_error=self._error(workers),
        )

    def _error(self, workers: Collection[Worker]) -> Trouble | None:
        try:
            self.snapshots.require_format()
            if not workers:  # a full disk stops their heartbeats
                self.runs.require_writable()
        except (CacheFormat, CacheUnwritable) as error:
            return error.trouble()
        return None

    @contextmanager
    def sync_lock(self) -> Iterator[None]:
        """The lock that a sync holds from start to end. Earlier runs that died are closed first.

        Raises:
            SyncRunning: Another process holds the lock.
        """
        with self.leadership.sync_lock():
            self.runs.recover()
            yield

    def recover(self) -> None:
        """Closes runs whose process has died, unless a sync is running."""
        with suppress(SyncRunning), self.sync_lock():
            pass
