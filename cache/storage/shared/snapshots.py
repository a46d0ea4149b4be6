"""The generations of a shared cache: read from the mirror of this host, published in the database.

A generation is published in the database first, then in the mirror. If this process ends in between, the follower of
the host copies it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from pathlib import Path

from typing_extensions import override

from cache.check_report import CheckReport
from cache.errors import CacheError, NoSnapshot, UnknownGeneration, WarmingUp
from cache.storage.change_log import ChangeList
from cache.storage.file_format import encode
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.records import Draft, Publication, as_published
from cache.storage.shared.blobs import Blobs, Key
from cache.storage.shared.changes import Changes
from cache.storage.shared.follower import Follower
from cache.storage.shared.generations import Generations
from cache.storage.shared.mirror import Mirror
from cache.storage.shared.terms import SharedLeadership
from cache.storage.snapshot import Head, Manifest, Segment, Snapshot
from cache.storage.store import Snapshots

log = logging.getLogger(__name__)

REACH_SECONDS = 5.0  # how long a request waits for a generation that this host is still copying


class SharedSnapshots(Snapshots):
    """The generations of one shared cache, for one host.

    Args:
        files: The generations on the disk of this host.
        mirror: Copies generations there.
        follower: Keeps them up to date.
        generations: The generations in the database.
        blobs: The files of their segments in the database.
        leadership: Holds the sync term, without which nothing is published.
        changes: Says when a newer version has raised the format of the database.
    """

    def __init__(
        self,
        files: LocalSnapshots,
        mirror: Mirror,
        follower: Follower,
        generations: Generations,
        blobs: Blobs,
        leadership: SharedLeadership,
        changes: Changes,
    ) -> None:
        self._changes = changes
        self._files = files
        self._mirror = mirror
        self._follower = follower
        self._generations = generations
        self._blobs = blobs
        self._leadership = leadership
        self._uploaded: dict[str, Key] = {}  # the segments that this process uploaded, by segment id

    # -- the mirror

    @override
    def head(self) -> Head | None:
        return self._files.head()

    @override
    def newest(self) -> Head | None:
        pointer = self._changes.pointer if self._changes.is_watching else self._changes.look()
        return pointer.head if pointer else self._files.head()

    @override
    def pointer(self) -> object:
        return self._files.pointer()

    @override
    def follow(self) -> None:
        self._follower.start()

    @override
    def catch_up(self, to_repair: bool = False) -> None:
        self._mirror.catch_up(to_repair)

    @override
    def reach(self, generation: int, timeout: float) -> bool:
        return self._follower.reach(generation, timeout)

    @override
    def open(self, generation: int | None = None) -> Snapshot:
        return self._opened(self._files.open, generation)

    @override
    def open_readable(self, generation: int | None = None) -> Snapshot:
        return self._opened(self._files.open_readable, generation)

    def _opened(self, open: Callable[[int | None], Snapshot], generation: int | None) -> Snapshot:
        try:
            return open(generation)
        except NoSnapshot:
            if arrival := self._mirror.arrival():
                raise WarmingUp.of(arrival.done, arrival.total) from None
            if self._follower.is_behind:
                raise WarmingUp() from None
            raise
        except UnknownGeneration:
            if generation is None:
                raise
            head = self._files.head()
            newer = head is None or generation > head.generation
            if not (newer and self._follower.reach(generation, REACH_SECONDS)):
                self._mirror.fetch(generation)
            return open(generation)

    @override
    def inspect(self, generation: int) -> Snapshot:
        try:
            return self._files.inspect(generation)
        except UnknownGeneration:
            manifest = self._generations.read(generation).manifest
            return self._files.unpublished(manifest, as_published(manifest, None))

    @override
    def changes(self, since: int, until: int, fingerprint: str | None = None) -> list[ChangeList]:
        self._mirror.fetch_changes(since, until)
        return self._files.changes(since, until, fingerprint)

    @override
    def checks(self, generation: int) -> CheckReport | None:
        return self._files.checks(generation)

    @override
    def segment_folder(self, segment: Segment) -> Path:
        return self._files.segment_folder(segment)

    @override
    def verify(self, segment: Segment) -> str | None:
        return self._files.verify(segment)

    @override
    def unpublished(self, manifest: Manifest, head: Head) -> Snapshot:
        return self._files.unpublished(manifest, head)

    # -- what syncs write

    @override
    def generations(self) -> list[int]:
        return [*self._generations.digests()]

    @override
    def next_number(self) -> int:
        pointer = self._generations.pointer()
        return max(*self._generations.digests(), pointer.generation if pointer else 0, 0) + 1

    @override
    def require_format(self) -> None:
        self._files.require_format()
        self._changes.require_format()

    @override
    def workspace(self) -> AbstractContextManager[Path]:
        return self._files.workspace()

    @override
    def adopt(self, folder: Path, segment: Segment) -> None:
        self._uploaded[segment.id] = self._blobs.put(segment, folder)
        self._files.adopt(folder, segment)

    @override
    def save_draft(self, draft: Draft) -> None:
        self._generations.save_draft(draft, self._keys(draft.segments))

    @override
    def draft(self) -> Draft | None:
        stored = self._generations.draft()
        if stored is None:
            return None
        draft, keys = stored
        self._mirror.fetch_draft(draft.segments, keys)
        whole = tuple(takewhile(self._files.holds, draft.segments))
        return draft.model_copy(update={"segments": whole}) if whole else None

    @override
    def publish(self, publication: Publication) -> None:
        manifest, head, checks = publication.manifest, publication.head, publication.checks
        changes = self._files.encoded_changes(publication)
        self._generations.publish(manifest, head, self._keys(manifest.segments), changes, checks)
        lists = {manifest.generation: changes} if changes else {}
        with self._published():
            if self._is_newest(head):
                self._files.accept(manifest, head, encode(manifest), lists, checks, self._generations.digests())
        with self._published():
            self._generations.collect(publication.keep_changes)

    @override
    def confirm(self, head: Head) -> None:
        self._generations.confirm(head)
        with self._published():
            if self._is_newest(head):
                self._files.confirm(head)

    @override
    def prune(self) -> None:
        self._generations.collect(keep=1)
        with self._mirror.lock():
            self._files.prune()

    @contextmanager
    def _published(self) -> Iterator[None]:
        """For what follows a publish. A failure is logged: the database has the generation, and the follower copies it.

        Files of the mirror may be replaced meanwhile.
        """
        try:
            with self._mirror.lock():
                yield
        except CacheError as error:
            log.warning("This is done later: %s", error.message)

    def _is_newest(self, head: Head) -> bool:
        """Whether the pointer is still what this process made of it. Call it while the mirror is locked.

        A process that was stopped may come too late: the follower has copied what another host published since.
        """
        pointer = self._generations.pointer()
        return pointer is not None and pointer.head == head

    def _keys(self, segments: Sequence[Segment]) -> dict[str, Key]:
        """Where the files of segments are in the database. Those that are not there are uploaded."""
        epoch = self._leadership.term().epoch
        own = {id: key for id, key in self._uploaded.items() if key.epoch == epoch}
        known = {**self._generations.keys(), **own}
        for segment in segments:
            if segment.id not in known:
                known[segment.id] = self._blobs.put(segment, self._files.segment_folder(segment))
        return {segment.id: known[segment.id] for segment in segments}
