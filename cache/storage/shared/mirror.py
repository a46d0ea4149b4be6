"""The copy of the shared cache on this host: files as those of a cache on one machine, so that readers read them alike.

A generation is fetched, compared with its digests and put in place; then the pointer moves. One process of the host
fetches at a time.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from cache.errors import RangeDamaged, UnknownGeneration
from cache.storage.local.atomic_files import disk_errors, make_folder, write_whole
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.shared.blobs import Blobs, Key
from cache.storage.shared.generations import Generations, Pointer, Stored
from cache.storage.snapshot import Manifest, Segment

log = logging.getLogger(__name__)

ATTEMPTS = 5  # while a generation is fetched, it may be replaced and removed
MOST_LISTS = 100  # change lists that are fetched with a generation; older ones are fetched when a client asks


class Arrival(BaseModel, frozen=True):
    """How far the copy of a generation is.

    Attributes:
        done: Bytes of its segments that are here.
        total: Bytes of all its segments.
    """

    done: int
    total: int


class Mirror:
    """The files of this host.

    Args:
        root: The folder. It exists.
        files: The generations in it.
        generations: The generations in the database.
        blobs: The files of their segments in the database.
    """

    def __init__(self, root: Path, files: LocalSnapshots, generations: Generations, blobs: Blobs) -> None:
        self._files = files
        self._generations = generations
        self._blobs = blobs
        self._arriving = root / "arriving"
        self._state = root / "arriving.json"
        self._lock_file = root / "mirror.lock"

    def holds(self, pointer: Pointer) -> bool:
        """Whether the newest generation of the database is here, and its files are intact as far as is known."""
        if self._files.head() != pointer.head or self._files.digest(pointer.generation) != pointer.digest:
            return False
        return not self._files.inspect(pointer.generation).faults

    def arrival(self) -> Arrival | None:
        """How far the first copy is; None while nothing is copied."""
        try:
            return Arrival.model_validate_json(self._state.read_bytes())
        except (OSError, ValidationError):
            return None

    def catch_up(self, to_repair: bool = False) -> None:
        """Copies the newest generation of the database to this host, unless it is here.

        Args:
            to_repair: Whether a sync follows that loads the rows of damaged segments again. Then these are left out.
                And if the database has no generation, this host has none either.

        Raises:
            RangeDamaged: A file in the database is damaged.
            CacheUnreachable: The database does not answer.
            CacheUnwritable: The disk of this host is full or read-only.
        """
        with self.lock():
            for attempt in range(ATTEMPTS):
                pointer = self._generations.pointer()
                if pointer is None:
                    if to_repair and self._files.generations():
                        self._files.forget()
                    return
                if self.holds(pointer):
                    return
                try:
                    self._copy(pointer, to_repair)
                except (RangeDamaged, UnknownGeneration):
                    if attempt == ATTEMPTS - 1 or self._generations.pointer() == pointer:
                        raise

    def fetch(self, generation: int) -> None:
        """Copies an older generation of the database to this host.

        Raises:
            UnknownGeneration: It is not kept.
            RangeDamaged: A file in the database is damaged, or was removed meanwhile.
            CacheUnreachable: The database does not answer.
            CacheUnwritable: The disk of this host is full or read-only.
        """
        stored = self._generations.read(generation)
        with self.lock():
            if self._files.digest(generation) == stored.digest:
                return  # another thread has copied it
            self._fetch_segments(stored.manifest, stored.blobs)
            self._files.keep(stored.manifest, stored.body, stored.checks)

    def fetch_draft(self, segments: Sequence[Segment], blobs: Mapping[str, Key]) -> None:
        """Copies the segments of a draft to this host, up to the first one that is damaged."""
        with self.lock(), suppress(RangeDamaged):
            for segment in segments:
                self._fetch(segment, blobs[segment.id])

    def fetch_changes(self, since: int, until: int) -> None:
        """Copies change lists of the database to this host, where they are missing.

        Args:
            since: The generation that a client has.
            until: A later generation.
        """
        for generation in self._files.missing_changes(since, until):
            file = self._generations.changes(generation)
            if file is None:
                return  # the lists before it are of no use
            with self.lock():
                self._files.keep_changes(generation, file)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while files of the mirror are replaced or removed."""
        with disk_errors():
            lock = FileLock(self._lock_file, thread_local=False)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _copy(self, pointer: Pointer, to_repair: bool) -> None:
        stored = self._generations.read(pointer.generation)
        if stored.digest != pointer.digest:  # it was replaced meanwhile
            raise UnknownGeneration.of(pointer.generation)
        self._fetch_segments(stored.manifest, stored.blobs, to_repair)
        head = self._files.head()
        if head and head.generation == pointer.generation and self._files.digest(head.generation) == pointer.digest:
            self._files.confirm(pointer.head)
        else:
            kept = self._generations.digests()
            self._files.accept(stored.manifest, pointer.head, stored.body, self._changes(stored), stored.checks, kept)

    def _changes(self, stored: Stored) -> dict[int, bytes]:
        """The change lists of a generation and of those before it that are not here."""
        newest = stored.manifest.generation
        head = self._files.head()
        since = head.generation if head and head.generation < newest else newest - 1
        lists: dict[int, bytes] = {}
        for generation in range(newest, max(since, newest - MOST_LISTS), -1):
            file = self._generations.changes(generation)
            if file is None:
                break
            lists[generation] = file
        return lists

    def _fetch_segments(self, manifest: Manifest, blobs: Mapping[str, Key], to_repair: bool = False) -> None:
        """Copies the segments that are missing, newest first: these are read most."""
        total = sum(segment.bytes for segment in manifest.segments)
        missing = [segment for segment in reversed(manifest.segments) if not self._files.holds(segment)]
        done = total - sum(segment.bytes for segment in missing)
        try:
            for segment in missing:
                with disk_errors():
                    write_whole(self._state, Arrival(done=done, total=total).model_dump_json().encode())
                try:
                    self._fetch(segment, blobs[segment.id])
                except RangeDamaged:
                    if not to_repair:
                        raise
                    log.warning("Segment %s of the shared cache is damaged. Its rows are loaded again.", segment.id)
                done += segment.bytes
        finally:
            self._state.unlink(missing_ok=True)

    def _fetch(self, segment: Segment, key: Key) -> None:
        if self._files.holds(segment):
            return
        with disk_errors():
            make_folder(self._arriving)
            for left_over in self._arriving.iterdir():  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=self._arriving))
            try:
                self._blobs.get(key, segment, folder)
                self._files.adopt(folder, segment)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
