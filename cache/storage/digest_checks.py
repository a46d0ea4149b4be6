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
        self._thread: threading.Thread | None = None

    def begin(self, snapshot: Snapshot) -> None:
        """Begins to check the segments of a generation that are due, unless a check is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._check, args=(snapshot,), name="digest checks", daemon=True)
            self._thread.start()

    def _check(self, snapshot: Snapshot) -> None:
        segments = snapshot.manifest.segments
        self._checked = {segment.id: self._checked.get(segment.id, -AGAIN_SECONDS) for segment in segments}
        for segment in segments:
            if time.monotonic() - self._checked[segment.id] < AGAIN_SECONDS:
                continue
            try:
                found = self._snapshots.verify(segment)
            except CacheError as error:
                log.error("Segment %s is damaged, which cannot be recorded. %s", segment.id, error)
                continue
            self._checked[segment.id] = time.monotonic()
            if found:
                log.error("Segment %s %s. The next sync loads its rows again.", segment.id, found)
