"""Stores generations as files in one folder. `docs/snapshot-format.md` describes the files."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError
from typing_extensions import override

from cache.check_report import CheckReport
from cache.errors import (
    CacheFormat,
    CacheUnwritable,
    ChangesGone,
    NoSnapshot,
    PublishConflict,
    RangeDamaged,
    SnapshotDamaged,
    UnknownGeneration,
)
from cache.storage.change_log import ChangeList, fingerprint
from cache.storage.file_format import decode, encode
from cache.storage.local.atomic_files import disk_errors, make_folder, sync_file, sync_folder, write_whole
from cache.storage.local.change_lists import ChangeLists, encoded, numbers
from cache.storage.records import Draft, Publication, as_published, now
from cache.storage.snapshot import DAMAGED, Head, Manifest, Segment, Snapshot, fault
from cache.storage.store import Snapshots

KEPT_GENERATIONS = 5
KEPT_AFTER = timedelta(minutes=15)  # a replaced generation is kept at least this long, for requests that still read it


class LocalSnapshots(Snapshots):
    """The generations of one cache.

    Args:
        root: The folder of the cache. Missing subfolders are created.
        notify: Tells readers that the pointer has changed.
        read_only: Whether this process may not write.

    Raises:
        CacheUnwritable: The folder cannot be written.
    """

    def __init__(self, root: Path, notify: Callable[[], None], read_only: bool = False) -> None:
        self._root = root
        self._generations = root / "generations"
        self._segments = root / "segments"
        self._changes = ChangeLists(root / "changes")
        self._work = root / "work"
        self._current = root / "current.json"
        self._current_name = str(self._current)
        self._notify = notify
        self._unrecorded: dict[str, str] = {}  # faults of segments that could not be recorded, by segment id
        if not read_only:
            with disk_errors():
                for folder in (self._generations, self._segments, self._changes.folder, self._work):
                    make_folder(folder)
        self._publishing = FileLock(root / "publish.lock", thread_local=False)

    @override
    def head(self) -> Head | None:
        try:
            return decode(Head, self._current.read_bytes())
        except FileNotFoundError:  # nothing is published, or a backup was restored only in part
            reason = "The pointer of the cache was missing."
        except (OSError, ValidationError):
            reason = "The pointer of the cache was damaged."
        except CacheFormat as error:
            reason = error.message
        manifest = next(self._manifests(), None)  # the newest readable one replaces the pointer
        return as_published(manifest, reason) if manifest else None

    @override
    def generations(self) -> list[int]:
        return sorted(self._numbers())

    @override
    def next_number(self) -> int:
        head = self.head()
        newest = head.generation if head else 0
        kept = self._numbers() | self._changes.numbers()
        if max(kept, default=0) == newest + 1 and self._is_unpointed(newest):
            return newest + 1
        return max(newest, *kept, 0) + 1

    def _is_unpointed(self, newest: int) -> bool:
        """Returns whether a publish was killed before it moved the pointer. The next publish writes over its files."""
        try:
            return self.inspect(newest + 1).manifest.parent == (newest or None)
        except UnknownGeneration:
            return True  # it was killed before the manifest

    @override
    def newest(self) -> Head | None:
        return self.head()

    @override
    def pointer(self) -> object:
        try:
            status = os.stat(self._current_name)  # noqa: PTH116  twice as fast as Path.stat, and each request calls it
        except FileNotFoundError:
            return None
        # each change renames a new file into place
        return status.st_mtime_ns, status.st_ino, status.st_size, len(self._unrecorded)

    @override
    def follow(self) -> None:
        """Does nothing: these files are the cache."""

    @override
    def catch_up(self, to_repair: bool = False) -> None:
        """Does nothing: these files are the cache."""

    @override
    def reach(self, generation: int, timeout: float) -> bool:
        head = self.head()
        return head is not None and head.generation >= generation

    @override
    def open(self, generation: int | None = None) -> Snapshot:
        head = self.head()
        if head is None:
            self.require_format()
            raise NoSnapshot()
        if generation is not None:
            return self.inspect(generation).check()
        try:
            return self.inspect(head.generation).check()
        except (SnapshotDamaged, UnknownGeneration) as error:
            for older in sorted((g for g in self._numbers() if g < head.generation), reverse=True):
                with suppress(SnapshotDamaged, UnknownGeneration):
                    return self._inspect(older, error.message).check()
            self.require_format()
            raise

    @override
    def open_readable(self, generation: int | None = None) -> Snapshot:
        if generation is not None:
            return self._readable(self.inspect(generation))
        try:
            return self.open()
        except (SnapshotDamaged, UnknownGeneration):
            manifest = next(self._manifests(), None)
            if manifest is None:
                raise
            return self._readable(self.inspect(manifest.generation))

    def _readable(self, snapshot: Snapshot) -> Snapshot:
        try:
            return snapshot.check()
        except RangeDamaged as error:
            return self._snapshot(snapshot.manifest, as_published(snapshot.manifest, error.message))

    @override
    def inspect(self, generation: int) -> Snapshot:
        return self._inspect(generation)

    def _inspect(self, generation: int, reason: str | None = None) -> Snapshot:
        """Opens a generation. `reason` is given if it replaces a newer generation that is damaged."""
        try:
            manifest = decode(Manifest, self._path(generation).read_bytes())
        except (OSError, ValidationError, CacheFormat) as error:
            raise UnknownGeneration.of(generation) from error
        head = self.head()
        if head is None or head.generation != generation:
            head = as_published(manifest, reason)
        return self._snapshot(manifest, head)

    def _snapshot(self, manifest: Manifest, head: Head) -> Snapshot:
        return Snapshot(manifest, head, self._segments, self._unrecorded)

    @override
    def changes(self, since: int, until: int, fingerprint: str | None = None) -> list[ChangeList]:
        lists = self._changes.read(since, until)
        if fingerprint is not None and fingerprint != (
            lists[0].about.parent_fingerprint if lists else self._fingerprint(until)
        ):
            raise ChangesGone(f"The cache was deleted since: its generation {since} is another one.")
        return lists

    @override
    def checks(self, generation: int) -> CheckReport | None:
        try:
            return decode(CheckReport, self._checks_path(generation).read_bytes())
        except (OSError, ValidationError, CacheFormat):
            return None

    def _manifests(self) -> Iterator[Manifest]:
        """Yields the manifests that can be read, newest first."""
        for generation in sorted(self._numbers(), reverse=True):
            with suppress(OSError, ValidationError, CacheFormat):
                yield decode(Manifest, self._path(generation).read_bytes())

    def _path(self, generation: int) -> Path:
        return self._generations / f"{generation:010d}.json"

    def _checks_path(self, generation: int) -> Path:
        return self._generations / f"{generation:010d}.checks"

    def _fingerprint(self, generation: int) -> str:
        try:
            return fingerprint(self.inspect(generation).manifest.created_at)
        except UnknownGeneration:
            return ""

    def _numbers(self) -> set[int]:
        return numbers(self._generations, "json")

    @override
    def require_format(self) -> None:
        try:
            decode(Head, self._current.read_bytes())
        except (OSError, ValidationError):  # then the newest manifest states the format
            if numbers := self._numbers():
                with suppress(OSError, ValidationError):
                    decode(Manifest, self._path(max(numbers)).read_bytes())

    @override
    @contextmanager
    def workspace(self) -> Iterator[Path]:
        self.require_format()
        with disk_errors():
            for left_over in self._work.iterdir():  # from syncs that were killed
                shutil.rmtree(left_over, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=self._work))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @override
    def segment_folder(self, segment: Segment) -> Path:
        return self._segments / segment.id

    @override
    def adopt(self, folder: Path, segment: Segment) -> None:
        self.require_format()
        if fault(self._segments, segment, digests=True) is None:
            return
        target = self._segments / segment.id
        with disk_errors():
            self._unrecorded.pop(segment.id, None)
            if target.exists():
                shutil.rmtree(target)
            for file in folder.iterdir():
                sync_file(file)
            sync_folder(folder)
            folder.rename(target)

    @override
    def verify(self, segment: Segment) -> str | None:
        if found := fault(self._segments, segment):
            return found
        try:
            found = fault(self._segments, segment, digests=True)
        except FileNotFoundError:  # the generation was removed meanwhile
            return None
        if found is None:
            self._unrecorded.pop(segment.id, None)  # it was repaired
            return None
        try:
            with disk_errors(), self._publishing:
                write_whole(self._segments / segment.id / DAMAGED, found.encode())
                with suppress(FileNotFoundError):
                    write_whole(self._current, self._current.read_bytes())  # readers open the newest generation again
            self._notify()
        except CacheUnwritable:
            self._unrecorded[segment.id] = found  # this process does not read it all the same
            raise
        return found

    @override
    def unpublished(self, manifest: Manifest, head: Head) -> Snapshot:
        return self._snapshot(manifest, head)

    @override
    def save_draft(self, draft: Draft) -> None:
        self.require_format()
        with disk_errors():
            sync_folder(self._segments)
            write_whole(self._root / "draft.json", encode(draft))

    @override
    def draft(self) -> Draft | None:
        try:
            draft = decode(Draft, (self._root / "draft.json").read_bytes())
        except (OSError, ValidationError, CacheFormat):
            return None
        whole = tuple(itertools.takewhile(lambda segment: fault(self._segments, segment) is None, draft.segments))
        return draft.model_copy(update={"segments": whole}) if whole else None

    @override
    def publish(self, publication: Publication) -> None:
        manifest = publication.manifest
        with disk_errors(), self._publishing:
            self._expect(manifest.parent)
            self._write(
                manifest, publication.head, encode(manifest), self.encoded_changes(publication), publication.checks
            )
            (self._root / "draft.json").unlink(missing_ok=True)
            self._collect(manifest)
            self._changes.collect(now() - publication.keep_changes)

    def encoded_changes(self, publication: Publication) -> bytes | None:
        """Returns the change list of a generation that is to be published, as a file; None if it has none."""
        parent = publication.manifest.parent
        return encoded(publication.manifest, publication.changes, self._fingerprint(parent) if parent else "")

    def _write(
        self, manifest: Manifest, head: Head, body: bytes, changes: bytes | None, checks: CheckReport | None
    ) -> None:
        """Writes the files of a generation, whose segments are in their folders, and points to it."""
        sync_folder(self._segments)
        self._changes.write(manifest.generation, changes)
        self._checks_path(manifest.generation).unlink(missing_ok=True)  # left by a publish that was killed
        if checks:
            write_whole(self._checks_path(manifest.generation), encode(checks))
        write_whole(self._path(manifest.generation), body)
        self._point(head)

    # -- as the mirror of a shared cache

    def digest(self, generation: int) -> str | None:
        """Returns the SHA-256 of a manifest, in hexadecimal; None if the generation is not here."""
        try:
            return hashlib.sha256(self._path(generation).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None

    def accept(
        self,
        manifest: Manifest,
        head: Head,
        body: bytes,
        changes: Mapping[int, bytes],
        checks: CheckReport | None,
        kept: Mapping[int, str],
    ) -> None:
        """Makes a generation of the shared cache the newest. Those that the shared cache does not have are removed.

        Args:
            manifest: The generation. Its segments are in their folders.
            head: The pointer to it.
            body: The file of the manifest.
            changes: The files of change lists, by generation: its own, and those of generations before it.
            checks: What the checks found of it.
            kept: The digests of the manifests that the shared cache has, by number.

        Raises:
            CacheUnwritable: The disk is full or read-only.
        """
        with disk_errors(), self._publishing:
            self.require_format()
            for number in self._numbers():
                if self.digest(number) != kept.get(number):  # it was collected, or is of a history that was lost
                    self._remove(number)
            for number in changes.keys() - {manifest.generation}:
                self._changes.write(number, changes[number])
            self._write(manifest, head, body, changes.get(manifest.generation), checks)
            self._changes.cut(manifest.generation, min(changes, default=manifest.generation))
            self._collect(manifest)
            self._changes.collect(now() - Publication.keep_changes)  # a client that asks for older ones gets them

    def holds(self, segment: Segment) -> bool:
        """Returns whether a segment is here and intact, as far as is known (see `snapshot.fault`)."""
        return segment.id not in self._unrecorded and fault(self._segments, segment) is None

    def keep(self, manifest: Manifest, body: bytes, checks: CheckReport | None) -> None:
        """Writes the files of an older generation of the shared cache. Its segments are in their folders.

        Raises:
            CacheUnwritable: The disk is full or read-only.
        """
        with disk_errors(), self._publishing:
            if checks:
                write_whole(self._checks_path(manifest.generation), encode(checks))
            write_whole(self._path(manifest.generation), body)

    def keep_changes(self, generation: int, file: bytes) -> None:
        """Writes the change list of an older generation.

        Raises:
            CacheUnwritable: The disk is full or read-only.
        """
        with disk_errors(), self._publishing:
            self._changes.write(generation, file)

    def missing_changes(self, since: int, until: int) -> list[int]:
        """Returns the generations whose change lists are not here, newest first.

        Args:
            since: The generations after this one are meant.
            until: The last one.
        """
        return sorted(set(range(since + 1, until + 1)) - self._changes.numbers(), reverse=True)

    def forget(self) -> None:
        """Removes all generations: the shared cache has none.

        Raises:
            CacheUnwritable: The disk is read-only.
        """
        with disk_errors(), self._publishing:
            self._current.unlink(missing_ok=True)
            for number in self._numbers():
                self._remove(number)
            self._changes.cut(0, 1)
            self._notify()

    def _remove(self, generation: int) -> None:
        self._path(generation).unlink(missing_ok=True)
        self._checks_path(generation).unlink(missing_ok=True)

    @override
    def confirm(self, head: Head) -> None:
        with disk_errors(), self._publishing:
            self._expect(head.generation)
            self._point(head)

    @override
    def prune(self) -> None:
        with disk_errors(), self._publishing:
            self.require_format()
            head = self.head()
            if head:
                self._collect(self.inspect(head.generation).manifest, keep=1)

    def _expect(self, newest: int | None) -> None:
        self.require_format()
        head = self.head()
        if (head.generation if head else None) != newest:
            raise PublishConflict(f"Generation {newest} is no longer the newest.")

    def _point(self, head: Head) -> None:
        write_whole(self._current, encode(head))
        self._notify()

    def _collect(self, newest: Manifest, keep: int = KEPT_GENERATIONS) -> None:
        """Removes generations that are neither among the newest nor recently replaced, and unused segments."""
        older = (manifest for manifest in self._manifests() if manifest.generation != newest.generation)
        wanted = {segment.id for segment in newest.segments}
        kept = {newest.generation}
        for i, (successor, manifest) in enumerate(pairwise((newest, *older)), start=1):
            if i < keep or abs(now() - successor.created_at) <= KEPT_AFTER:
                kept.add(manifest.generation)
                wanted |= {segment.id for segment in manifest.segments}
        for generation in self._numbers() - kept:
            self._remove(generation)
        for folder in self._segments.iterdir():
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
