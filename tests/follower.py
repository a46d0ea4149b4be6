"""A copy that is kept in step by the lists of changes alone, as a client keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
from copies import json_rows

from cache.storage.change_log import ChangeList, Page, page
from cache.storage.snapshot import CHECKSUMS, ChangeCounts, Snapshot
from cache.storage.store import Cache


class Follower:
    """`rows` are key -> row, both as JSON has them."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        snapshot = cache.snapshots.open()
        self._names = snapshot.manifest.key
        self.rows = {self._key(row): row for row in json_rows(snapshot)}
        self.generation = snapshot.generation

    def _key(self, row: Mapping[str, object]) -> str:
        return orjson.dumps([row[name] for name in self._names]).decode()

    def follow(self) -> ChangeCounts:
        """Takes in what changed, checks that the copy is the newest snapshot, and returns how many rows it were.

        Raises ChangesGone.
        """
        snapshot = self._cache.snapshots.open()
        counts = ChangeCounts()
        by_sum = dict(zip(all_checksums(snapshot), json_rows(snapshot), strict=True))
        for found in pages(self._cache.snapshots.changes(self.generation, snapshot.generation), 7):
            for text in found.deleted:
                del self.rows[text.decode()]
            for checksum in [*found.inserted.tolist(), *found.updated.tolist()]:
                row = by_sum[checksum]
                self.rows[self._key(row)] = row
            sizes = map(len, (found.inserted, found.updated, found.deleted))
            more = dict(zip(("inserted", "updated", "deleted"), sizes, strict=True))
            counts = ChangeCounts(**{name: number + more[name] for name, number in counts.model_dump().items()})
        self.generation = snapshot.generation
        assert self.rows == {self._key(row): row for row in json_rows(snapshot)}
        return counts


def all_checksums(snapshot: Snapshot) -> list[int]:
    return [int(n) for path in snapshot.paths(CHECKSUMS) for n in np.fromfile(path, "<u8")]


def pages(lists: Sequence[ChangeList], limit: int) -> list[Page]:
    found = [page(lists, 0, limit)]
    while (rest := found[-1].rest) is not None:
        found.append(page(lists, rest, limit))
    return found
