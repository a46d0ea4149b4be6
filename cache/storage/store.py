"""The cache as everyone sees it: snapshots are published and opened, refreshes asked for, work led and reported.

Readers use `head`, `pointer`, `open`, `changes`, `request`, `task`, `status`, `runs`, `wait` and `clients`. The
scheduler adds `stand`, `leave` and `recover`; a sync adds `sync_lock`, `begin`, `report`, `finish`, `workspace`,
`publish` and `confirm`.
`LocalStore` (cache/storage/local_store.py) keeps all of it in files on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cache.access.api_keys import Clients
from cache.storage.change_log import ChangeList, Rows
from cache.storage.records import KEEP_CHANGES, Run, Status, Task, Worker
from cache.storage.snapshot import Draft, Head, Manifest, Segment, Snapshot
from cache.table_setup import Setup


class Store(Protocol):
    """One cache. Every method may be called from any thread or process."""

    def head(self) -> Head | None:
        """The pointer, or None before the first publish."""

    def pointer(self) -> object:
        """Differs once `head` may: what readers compare at each request, in a microsecond or two."""

    def open(self, generation: int | None = None) -> Snapshot:
        """The newest generation that is intact, or the given one.

        Raises NoSnapshot, UnknownGeneration, or SnapshotDamaged where no kept generation is intact.
        """

    def inspect(self, generation: int) -> Snapshot:
        """A kept generation as it is, its files not checked. Raises UnknownGeneration."""

    def changes(self, since: int, upto: int, mark: str | None = None) -> list[ChangeList]:
        """What each generation after `since` changed, up to the given one.

        Parameters: `mark` is that of `since`, where it is known. Raises ChangesGone where one is not kept, where the
        rows of one cannot be told from those before, or where `since` is a generation of another cache.
        """

    def request(self, by: str, accept: bool = False) -> Task:
        """Asks for a sync that begins after this moment. Raises NoWorker where no scheduler is alive.

        Parameters: `by` says who asks, for the history; `accept` as in Task.
        """

    def task(self, id: str) -> Task:
        """Raises UnknownTask."""

    def status(self) -> Status: ...

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest syncs, newest first; at least 1,000 are kept."""

    def version(self) -> int:
        """A number that grows whenever something that readers show has changed."""

    def wait(self, version: int, timeout: float) -> int:
        """Returns the version once it differs from the given one, or after `timeout` seconds."""

    def stand(self, worker: Worker, at: datetime | None = None) -> bool:
        """A heartbeat of a worker that may lead; returns whether it leads now. A leader that stays silent loses it."""

    def leave(self, worker: Worker) -> None:
        """Gives up the lease and the place among the workers."""

    def recover(self) -> None:
        """Closes runs whose process is gone, and queues the requests they left behind once more (three tries)."""

    def sync_lock(self) -> AbstractContextManager[object]:
        """Held by a sync from start to end; freed when its process dies. Raises SyncRunning."""

    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        """Records the run and claims the waiting requests. Call it under the lock, before `verified_at` is taken.

        Parameters: `claim` is false for a run that answers no request, since it proves nothing.
        """

    def report(self, run: Run) -> None:
        """Records the progress of a run, and that it lives."""

    def finish(self, run: Run) -> None:
        """Records the end of a run, and answers the requests it claimed."""

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty folder on the cache's disk for segments in the making; it is removed at the end."""

    def segment(self, segment: Segment) -> Path:
        """The folder with a segment's files."""

    def adopt(self, folder: Path, segment: Segment) -> None:
        """Moves a finished segment from a workspace to where segments live; one that is there and whole stays."""

    def keep_draft(self, draft: Draft) -> None:
        """Records how far a first load is; the next publish removes it."""

    def draft(self) -> Draft | None:
        """The load that was interrupted, as far as its segments are whole."""

    def publish(
        self, manifest: Manifest, head: Head, changes: Rows | None = None, keep: timedelta = KEEP_CHANGES
    ) -> None:
        """Makes a generation the newest, all or nothing. Raises PublishConflict if its parent is not the newest.

        Parameters: `changes` are its differences from its parent, where they are known; `keep` is how long lists of
        changes stay.
        """

    def confirm(self, head: Head) -> None:
        """Records that the newest generation was verified again. Raises PublishConflict if it is not the newest."""

    def setup(self) -> Setup:
        """What people have said of the table; nothing, before anyone did."""

    def keep_setup(self, setup: Setup) -> None:
        """Keeps it for every reader, and for the next sync. Raises CacheUnwritable."""

    def clients(self) -> Clients:
        """The keys of the API, and the secret of signed addresses. Raises CacheError."""

    def change_clients(self, change: Callable[[Clients], Clients]) -> None:
        """Replaces them by what `change` makes of them, while nobody else changes them."""

    def close(self) -> None:
        """Frees files and threads."""


def open_store(url: str) -> Store:
    """The store behind CACHE_URL: `file:` and a folder. Raises SettingsInvalid, CacheUnwritable."""
    from cache.errors import SettingsInvalid
    from cache.storage.local_store import LocalStore

    scheme, _, path = url.partition(":")
    if scheme != "file" or not path:
        raise SettingsInvalid("CACHE_URL must be `file:` followed by a folder, such as file:var/cache.")
    return LocalStore(Path(path))
