"""Compares the files of a generation with their digests, in a thread: a byte on disk may flip at any time."""

from __future__ import annotations

import logging
import threading
import time

from cache.errors import CacheError
from cache.storage.snapshot import Snapshot
from cache.storage.store import Snapshots

log = logging.getLogger(__name__)

AGAIN_SECONDS = 24 * 3600  # each segment is read again after this time


class DigestChecks:
    """The checks that this process makes. A segment is read when it is new to this process, and then once a day.

    Args:
        snapshots: Where damage is recorded.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._checked: dict[str, float] = {}  # segment id -> time on the monotonic clock
        self._waiting: Snapshot | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()  # for the two above

    def begin(self, snapshot: Snapshot) -> None:
        """Checks the segments of a generation that are due. If a check is under way, this one follows it."""
        with self._lock:
            self._waiting = snapshot
            if not self._idle.is_set():
                return
            self._idle.clear()
        threading.Thread(target=self._run, name="digest checks", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Waits until no check is under way, for a limited time."""
        self._idle.wait(seconds)

    def _run(self) -> None:
        while (snapshot := self._next()) is not None:
            self._check(snapshot)

    def _next(self) -> Snapshot | None:
        with self._lock:
            snapshot, self._waiting = self._waiting, None
            if snapshot is None:
                self._idle.set()
            return snapshot

    def _check(self, snapshot: Snapshot) -> None:
        segments = snapshot.manifest.segments
        self._checked = {segment.id: self._checked.get(segment.id, -AGAIN_SECONDS) for segment in segments}
        for segment in segments:
            if time.monotonic() - self._checked[segment.id] < AGAIN_SECONDS:
                continue
            try:
                found = self._snapshots.verify(segment)
            except CacheError as error:
                log.error("Segment %s is damaged. This process refuses it, and cannot record it. %s", segment.id, error)
                continue
            except OSError as error:
                log.error("Segment %s cannot be read. %s", segment.id, error.strerror)
                continue
            self._checked[segment.id] = time.monotonic()
            if found:
                log.error("Segment %s %s. The next sync loads its rows again.", segment.id, found)
