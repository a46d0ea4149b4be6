"""The store on this machine's disk: no server, any number of processes. Layout: `snapshot`."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from cache.access.api_keys import Clients
from cache.errors import (
    CacheError,
    CacheUnwritable,
    ChangesGone,
    NoSnapshot,
    PublishConflict,
    SnapshotDamaged,
    SyncRunning,
    UnknownGeneration,
)
from cache.storage.atomic_files import sync_file, sync_folder, write_whole
from cache.storage.change_log import About, ChangeList, Rows, mark
from cache.storage.records import KEEP_CHANGES, Run, Status, Task, Worker, now
from cache.storage.run_journal import Journal
from cache.storage.snapshot import Draft, Head, Manifest, Segment, Snapshot, intact
from cache.table_setup import OPEN, Setup

CLIENTS = "clients.json"  # readable by its owner alone
KEPT_GENERATIONS = 5
KEPT_AFTER = timedelta(minutes=15)  # a superseded generation stays so long at least, for readers in the middle of it
MOST_CHANGES = 256 << 20  # bytes of all lists of changes
MOST_LISTS = 10_000


class LocalStore:
    """Parameters: `root`, a folder that is made where it is missing. Raises CacheUnwritable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._generations = root / "generations"
        self._segments = root / "segments"
        self._changes = root / "changes"
        self._work = root / "work"
        self._current = root / "current.json"
        self._current_name = str(self._current)
        with _disk():
            for folder in (root, self._generations, self._segments, self._changes, self._work):
                folder.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(root / "journal.sqlite")
        self._publishing = FileLock(root / "publish.lock", thread_local=False)

    # -- reading

    def head(self) -> Head | None:
        try:
            return Head.model_validate_json(self._current.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:  # a damaged pointer: what the newest manifest knows of itself
            manifest = next(self._manifests(), None)
            return _as_published(manifest, "The pointer of the cache was damaged.") if manifest else None

    def pointer(self) -> object:
        try:
            found = os.stat(self._current_name)  # noqa: PTH116  twice as fast as Path.stat, and asked at each request
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size  # each move renames a new file into place

    def open(self, generation: int | None = None) -> Snapshot:
        head = self.head()
        if head is None:
            raise NoSnapshot("No cached data available: no sync has completed yet.")
        if generation is not None:
            return self.inspect(generation).check()
        try:
            return self.inspect(head.generation).check()
        except (SnapshotDamaged, UnknownGeneration) as error:
            for older in sorted((g for g in self._kept() if g < head.generation), reverse=True):
                with suppress(SnapshotDamaged, UnknownGeneration):
                    return self.inspect(older, error.message).check()
            raise

    def inspect(self, generation: int, reason: str | None = None) -> Snapshot:
        try:
            manifest = Manifest.model_validate_json(self._path(generation).read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise UnknownGeneration(f"Generation {generation} is not kept.") from error
        head = self.head()
        if head is None or head.generation != generation:
            head = _as_published(manifest, reason)
        return Snapshot(manifest, head, self._segments)

    def changes(self, since: int, upto: int, mark: str | None = None) -> list[ChangeList]:
        lists = []
        for generation in range(since + 1, upto + 1):
            try:
                lists.append(ChangeList(self._list_path(generation)))
            except (OSError, ValueError) as error:
                raise ChangesGone(f"What changed since generation {since} is not kept.") from error
            if reason := lists[-1].about.gap:
                raise ChangesGone(f"What changed since generation {since} cannot be told. {reason}")
        if mark is not None and mark != (lists[0].about.parent_mark if lists else self._mark(upto)):
            raise ChangesGone(f"The cache was begun anew: its generation {since} is another one.")
        return lists

    def _manifests(self) -> Iterator[Manifest]:
        """Those that are kept and can be read, newest first."""
        for generation in sorted(self._kept(), reverse=True):
            with suppress(FileNotFoundError, ValidationError):
                yield Manifest.model_validate_json(self._path(generation).read_bytes())

    def _path(self, generation: int) -> Path:
        return self._generations / f"{generation:010d}.json"

    def _list_path(self, generation: int) -> Path:
        return self._changes / f"{generation:010d}.rows"

    def _mark(self, generation: int) -> str:
        try:
            return mark(self.inspect(generation).manifest.created_at)
        except UnknownGeneration:
            return ""

    def _kept(self) -> set[int]:
        return {int(path.stem) for path in self._generations.glob("*.json")}

    # -- asking, leading, reporting: the journal's

    def request(self, by: str, accept: bool = False) -> Task:
        return self._journal.request(by, accept)

    def task(self, id: str) -> Task:
        return self._journal.task(id)

    def status(self) -> Status:
        runs = self._journal.runs(2)
        ended = [run for run in runs if run.outcome != "running"]
        return Status(
            head=self.head(),
            running=self._journal.running(),
            last=ended[0] if ended else None,
            queued=self._journal.queued(),
            workers=self._journal.workers(),
        )

    def runs(self, limit: int = 20) -> list[Run]:
        return self._journal.runs(limit)

    def version(self) -> int:
        return self._journal.version()

    def wait(self, version: int, timeout: float) -> int:
        return self._journal.wait(version, timeout)

    def stand(self, worker: Worker, at: datetime | None = None) -> bool:
        return self._journal.stand(worker, at)

    def leave(self, worker: Worker) -> None:
        self._journal.leave(worker)

    def recover(self) -> None:
        with suppress(SyncRunning), self.sync_lock():
            self._journal.recover()

    @contextmanager
    def sync_lock(self) -> Iterator[None]:
        lock = FileLock(self._root / "sync.lock", thread_local=False)
        try:
            lock.acquire(timeout=1)  # `recover` holds it for a moment
        except Timeout as error:
            raise SyncRunning("Another sync is running.") from error
        try:
            self._journal.recover()
            yield
        finally:
            lock.release()

    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        return self._journal.begin(run, claim)

    def report(self, run: Run) -> None:
        self._journal.report(run)

    def finish(self, run: Run) -> None:
        self._journal.finish(run)

    # -- who may read over HTTP

    def clients(self) -> Clients:
        known = self._clients()
        if known is None:
            self.change_clients(lambda made: made)  # so that all processes know one secret
            known = self._clients()
        return known or Clients()

    def change_clients(self, change: Callable[[Clients], Clients]) -> None:
        with _disk(), FileLock(self._root / "clients.lock"):
            changed = change(self._clients() or Clients())
            write_whole(self._root / CLIENTS, changed.model_dump_json().encode(), mode=0o600)

    def _clients(self) -> Clients | None:
        try:
            return Clients.model_validate_json((self._root / CLIENTS).read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            raise CacheError(
                f"{CLIENTS} in the cache folder cannot be read, and with it the keys of the API.",
                "Give this user access to it; where it is damaged, delete it and add the keys again.",
            ) from error

    # -- what people have said

    def setup(self) -> Setup:
        try:
            return Setup.model_validate_json((self._root / "setup.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return OPEN

    def keep_setup(self, setup: Setup) -> None:
        with _disk():
            write_whole(self._root / "setup.json", setup.model_dump_json().encode())
        self._journal.bump()

    # -- writing, under the sync lock

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        with _disk():
            for left_over in self._work.iterdir():  # of syncs that were killed
                shutil.rmtree(left_over, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=self._work))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def segment(self, segment: Segment) -> Path:
        return self._segments / segment.id

    def adopt(self, folder: Path, segment: Segment) -> None:
        if intact(self._segments, segment, digests=True):
            return
        target = self._segments / segment.id
        with _disk():
            if target.exists():
                shutil.rmtree(target)
            for file in folder.iterdir():
                sync_file(file)
            sync_folder(folder)
            folder.rename(target)

    def keep_draft(self, draft: Draft) -> None:
        with _disk():
            sync_folder(self._segments)
            write_whole(self._root / "draft.json", draft.model_dump_json().encode())

    def draft(self) -> Draft | None:
        try:
            draft = Draft.model_validate_json((self._root / "draft.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        whole = tuple(itertools.takewhile(lambda segment: intact(self._segments, segment), draft.segments))
        return draft.model_copy(update={"segments": whole}) if whole else None

    def publish(
        self, manifest: Manifest, head: Head, changes: Rows | None = None, keep: timedelta = KEEP_CHANGES
    ) -> None:
        with _disk(), self._publishing:
            self._expect(manifest.parent)
            sync_folder(self._segments)
            self._list(manifest, changes)
            write_whole(self._path(manifest.generation), manifest.model_dump_json().encode())
            self._point(head)
            (self._root / "draft.json").unlink(missing_ok=True)
            self._collect(head.generation)
            self._collect_lists(now() - keep)

    def confirm(self, head: Head) -> None:
        with _disk(), self._publishing:
            self._expect(head.generation)
            self._point(head)

    def _expect(self, newest: int | None) -> None:
        head = self.head()
        if (head.generation if head else None) != newest:
            raise PublishConflict(f"Generation {newest} is no longer the newest.")

    def _point(self, head: Head) -> None:
        write_whole(self._current, head.model_dump_json().encode())
        self._journal.bump()

    def _collect(self, newest: int) -> None:
        """Removes generations that are neither among the newest nor superseded lately, and segments that none holds."""
        manifests = list(self._manifests())
        wanted = {segment.id for segment in manifests[0].segments}
        kept = {newest}
        for i, (successor, manifest) in enumerate(pairwise(manifests), start=1):
            if i < KEPT_GENERATIONS or now() - successor.created_at <= KEPT_AFTER:
                kept.add(manifest.generation)
                wanted |= {segment.id for segment in manifest.segments}
        for generation in self._kept() - kept:
            self._path(generation).unlink(missing_ok=True)
        for folder in self._segments.iterdir():
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _list(self, manifest: Manifest, changes: Rows | None) -> None:
        path = self._list_path(manifest.generation)
        if changes is None or manifest.parent is None:
            path.unlink(missing_ok=True)  # of a publish that was killed
            return
        about = About(
            generation=manifest.generation, mark=mark(manifest.created_at), parent_mark=self._mark(manifest.parent)
        )
        write_whole(path, changes.encode(about))

    def _collect_lists(self, oldest: datetime) -> None:
        """Removes lists from the oldest on, so that those which stay follow one another."""
        paths = sorted(self._changes.glob("*.rows"))
        sizes = [path.stat().st_size for path in paths]
        for i, path in enumerate(paths):
            surplus = sum(sizes[i:]) > MOST_CHANGES or len(paths) - i > MOST_LISTS
            if not surplus and path.stat().st_mtime >= oldest.timestamp():
                break
            path.unlink(missing_ok=True)

    def close(self) -> None:
        self._journal.close()


def _as_published(manifest: Manifest, reason: str | None) -> Head:
    """A generation's head when it was published.

    Parameters: `reason` is why it counts as proven no more; None: it counts as it did then.
    """
    reason = reason or manifest.reason
    return Head(
        generation=manifest.generation, as_of=manifest.as_of, verified=reason is None,
        verified_at=manifest.verified_at, checked_at=manifest.verified_at if reason else manifest.as_of, reason=reason,
    )  # fmt: skip


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheUnwritable(f"The cache folder cannot be written: {error.strerror or error}.") from error
