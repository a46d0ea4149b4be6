"""Which rows differ between a generation and the one before: counted for people, listed for clients with a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from cache.schema import Column
from cache.storage.change_log import ChangedRows, Places, Side, Sums
from cache.storage.snapshot import JSON, OFFSETS, ChangeCounts, Segment, Snapshot, Source
from cache.storage.store import Cache
from scraper.sync.row_fingerprints import RowFingerprints
from scraper.sync.segment_assembler import Assembler
from scraper.table.table import Table

LARGE = 1_000  # changes; more than these, and than half of the rows, are loaded faster than they are told


def differences(
    before: Snapshot | None, source: Source, columns: Sequence[Column], segments: Sequence[Segment],
    assembler: Assembler, table: Table, cache: Cache,
) -> ChangedRows:  # fmt: skip
    """Rows that differ from the generation before. Segments that both hold are not read.

    Without a key, an update counts as one deleted and one inserted, and no rows are listed.
    """
    if before is None:
        counts = ChangeCounts(inserted=sum(segment.rows for segment in segments))
        return ChangedRows.untold(counts, "All rows were loaded anew.")
    then = before.manifest
    kept = {s.id for s in then.segments} & {s.id for s in segments}
    changed = [s for s in then.segments if s.id not in kept]
    rendered = then.source.dialect.digest != source.dialect.digest  # then the same row has another checksum
    old = _Part([s for s in changed if before.holds(s)], assembler, table, cache, rendered)
    new = _Part([s for s in segments if s.id not in kept], assembler, table, cache, rendered)
    gone, come = _only(old, new)
    key = sorted((column for column in columns if column.key), key=lambda column: column.key)
    if not key:
        counts = ChangeCounts(inserted=len(come), deleted=len(gone))
        return ChangedRows.untold(counts, "The table has no key.")
    gap = _written_anew(then.source, before.columns, source, columns)
    if len(old.segments) < len(changed):
        gap = gap or "Files of the generation before were damaged."
    most = max(LARGE, sum(segment.rows for segment in segments) // 2)
    return ChangedRows.between(old.side(gone, key), new.side(come, key), most, gap)


class _Part:
    """Segments of one generation that the other lacks."""

    def __init__(
        self, segments: Sequence[Segment], assembler: Assembler, table: Table, cache: Cache, rendered: bool
    ) -> None:
        self.segments = segments
        self.firsts = np.cumsum([0, *(segment.rows for segment in segments)])
        self._folders = [cache.snapshots.segment_folder(segment) for segment in segments]
        self.fingerprints = RowFingerprints.joined(
            RowFingerprints.rendered(folder, table) if rendered else assembler.fingerprints(segment)
            for segment, folder in zip(segments, self._folders, strict=True)
        )

    def side(self, places: Places, key: Sequence[Column]) -> Side:
        """The rows at these places. A boolean key is no integer in JSON; one that was imported may be text."""
        fingerprints = self.fingerprints
        integers = len(fingerprints.keys) == len(fingerprints.checksums) and fingerprints.keys.dtype.kind in "iu"
        if len(key) == 1 and key[0].kind in ("integer", "unsigned") and integers:
            return Side(fingerprints.checksums[places], lambda at: _integer_keys(fingerprints.keys[places[at]]))
        return Side(
            fingerprints.checksums[places], lambda at: self._json_keys(places[at], [column.name for column in key])
        )

    def _json_keys(self, places: Places, names: Sequence[str]) -> list[bytes]:
        """The keys of rows as their JSON has them."""
        texts = [b""] * len(places)
        owners = np.searchsorted(self.firsts, places, "right") - 1
        for owner in np.unique(owners).tolist():
            folder = self._folders[owner]
            offsets = np.fromfile(folder / OFFSETS, dtype="<u8").tolist()
            data = (folder / JSON).read_bytes()
            for i in np.flatnonzero(owners == owner).tolist():
                row = int(places[i] - self.firsts[owner])
                values = orjson.loads(data[offsets[row] : offsets[row + 1] - 1])
                texts[i] = orjson.dumps([values.get(name) for name in names])
        return texts


def _written_anew(then: Source, before: Sequence[Column], source: Source, columns: Sequence[Column]) -> str | None:
    """Why rows that did not change may read otherwise than in the generation before."""
    if (then.database, then.table) != (source.database, source.table):
        return "Another table is copied since."
    if [(c.name, c.type, c.key) for c in before] != [(c.name, c.type, c.key) for c in columns]:
        return "The columns of the table changed."
    if then.timezone != source.timezone:
        return "Times are read in another time zone since."
    return "Rows are told apart by another digest since." if then.dialect.digest != source.dialect.digest else None


def _only(old: _Part, new: _Part) -> tuple[Places, Places]:
    """Places of the rows that only the old or only the new segments have."""
    firsts, there = old.firsts, new.firsts
    gone, come = np.ones(firsts[-1], bool), np.ones(there[-1], bool)
    bounds = {(segment.low, segment.high): i for i, segment in enumerate(new.segments)}
    for i, segment in enumerate(old.segments):  # quickly: rows that are the same at the same place
        k = bounds.get((segment.low, segment.high))
        if k is not None and new.segments[k].rows == segment.rows:
            ours, theirs = slice(firsts[i], firsts[i + 1]), slice(there[k], there[k + 1])
            gone[ours] = come[theirs] = old.fingerprints.checksums[ours] != new.fingerprints.checksums[theirs]
    left, right = np.flatnonzero(gone), np.flatnonzero(come)
    held, here = old.fingerprints.checksums[left], new.fingerprints.checksums[right]
    return left[_without(held, here)], right[_without(here, held)]


def _without(one: Sums, other: Sums) -> Places:
    """Places of the checksums that only `one` has; equal ones are set off one against one."""
    order, there = np.argsort(one, kind="stable"), np.sort(other)
    ours = one[order]
    nth = np.arange(len(ours)) - np.searchsorted(ours, ours)
    number = np.searchsorted(there, ours, "right") - np.searchsorted(there, ours)
    return np.sort(order[nth >= number])


def _integer_keys(keys: npt.NDArray[Any]) -> Iterator[bytes]:
    for start in range(0, len(keys), 10_000):  # a piece at a time, for the sake of memory
        yield from (b"[%d]" % key for key in keys[start : start + 10_000].tolist())
