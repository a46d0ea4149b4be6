"""Row diff: counts and lists the rows that differ between a generation and the previous one, for `/changes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from cache.schema import Column
from cache.storage.change_log import ChangedRows, Places, Side, Sums
from cache.storage.snapshot import JSON, OFFSETS, ChangeCounts, Segment, Snapshot
from cache.storage.source import Source
from cache.storage.store import Snapshots
from scraper.sync.row_fingerprints import RowFingerprints
from scraper.table.table import Table

LARGE = 1_000  # changes that are always listed; beyond this number and half of the rows, loading all rows is faster


def row_changes(
    before: Snapshot | None,
    source: Source,
    columns: Sequence[Column],
    segments: Sequence[Segment],
    table: Table,
    snapshots: Snapshots,
) -> ChangedRows:
    """Compares a new generation with the previous one. Segments that are in both are not read.

    If the table has no key, an update counts as one deleted and one inserted row, and no rows are listed.

    Args:
        before: The previous generation; None if there is none.
        source: The table that the new rows were copied from.
        columns: The new columns, as the manifest records them.
        segments: The new segments.
        table: The table that was copied.
        snapshots: Stores the segments of both generations.

    Returns:
        The number of rows that differ, and their list or the reason why there is none.
    """
    if before is None:
        counts = ChangeCounts(inserted=sum(segment.rows for segment in segments))
        return ChangedRows.only_counted(counts, "All rows were loaded again.")
    former = before.manifest
    kept = {s.id for s in former.segments} & {s.id for s in segments}
    replaced = [s for s in former.segments if s.id not in kept]
    other_digest = former.source.dialect.digest != source.dialect.digest  # equal rows have different checksums
    old = _OneSide([s for s in replaced if before.holds(s)], table, snapshots, other_digest)
    new = _OneSide([s for s in segments if s.id not in kept], table, snapshots, other_digest)
    deleted, inserted = _differing_rows(old, new)
    key = sorted((column for column in columns if column.key), key=lambda column: column.key)
    if not key:
        counts = ChangeCounts(inserted=len(inserted), deleted=len(deleted))
        return ChangedRows.only_counted(counts, "The table has no key.")
    gap = _not_comparable(former.source, before.columns, source, columns)
    if len(old.segments) < len(replaced):
        gap = gap or "Files of the generation before were damaged."
    limit = max(LARGE, sum(segment.rows for segment in segments) // 2)
    return ChangedRows.between(old.side(deleted, key), new.side(inserted, key), limit, gap)


class _OneSide:
    """The segments of one generation that are not in the other."""

    def __init__(self, segments: Sequence[Segment], table: Table, snapshots: Snapshots, other_digest: bool) -> None:
        self.segments = segments
        self.firsts = np.cumsum([0, *(segment.rows for segment in segments)])
        self._folders = [snapshots.segment_folder(segment) for segment in segments]
        read = RowFingerprints.from_json if other_digest else RowFingerprints.read
        self.fingerprints = RowFingerprints.concatenated(read(folder, table) for folder in self._folders)

    def side(self, places: Places, key: Sequence[Column]) -> Side:
        """Returns the rows at these places, with their keys as JSON.

        The keys come from the fingerprints only if they are integers in the JSON, too. A boolean key is not, and an
        imported key may be text.
        """
        fingerprints = self.fingerprints
        integers = len(fingerprints.keys) == len(fingerprints.checksums) and fingerprints.keys.dtype.kind in "iu"
        if len(key) == 1 and key[0].kind in ("integer", "unsigned") and integers:
            return Side(fingerprints.checksums[places], lambda at: _integer_keys(fingerprints.keys[places[at]]))
        return Side(
            fingerprints.checksums[places], lambda at: self._json_keys(places[at], [column.name for column in key])
        )

    def _json_keys(self, places: Places, names: Sequence[str]) -> list[bytes]:
        """Returns the keys of rows as they are in the JSON of the rows."""
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


def _not_comparable(
    before: Source, old_columns: Sequence[Column], after: Source, new_columns: Sequence[Column]
) -> str | None:
    """Returns why unchanged rows may differ from the previous generation; None if they cannot."""
    if (before.database, before.table) != (after.database, after.table):
        return "Another table is copied now."
    if [(c.name, c.type, c.key) for c in old_columns] != [(c.name, c.type, c.key) for c in new_columns]:
        return "The columns of the table changed."
    if before.timezone != after.timezone:
        return "The time zone of the source changed."
    if before.dialect.digest != after.dialect.digest:
        return "The hash function of the row checksums changed."
    if any(old.blank and new.kind == "json" for old, new in zip(old_columns, new_columns, strict=True)):
        return "A column of empty texts now holds JSON."
    return None


def _differing_rows(old: _OneSide, new: _OneSide) -> tuple[Places, Places]:
    """Returns the places of rows that only the old segments have, and of rows that only the new segments have."""
    deleted, inserted = np.ones(old.firsts[-1], bool), np.ones(new.firsts[-1], bool)
    new_by_bounds = {(segment.low, segment.high): i for i, segment in enumerate(new.segments)}
    for i, segment in enumerate(old.segments):  # fast path: the same bounds and number of rows
        k = new_by_bounds.get((segment.low, segment.high))
        if k is not None and new.segments[k].rows == segment.rows:
            in_old, in_new = slice(*old.firsts[i : i + 2]), slice(*new.firsts[k : k + 2])
            differs = old.fingerprints.checksums[in_old] != new.fingerprints.checksums[in_new]
            deleted[in_old] = inserted[in_new] = differs
    old_places, new_places = np.flatnonzero(deleted), np.flatnonzero(inserted)
    old_sums, new_sums = old.fingerprints.checksums[old_places], new.fingerprints.checksums[new_places]
    return old_places[_unmatched(old_sums, new_sums)], new_places[_unmatched(new_sums, old_sums)]


def _unmatched(checksums: Sums, others: Sums) -> Places:
    """Returns the places of checksums that are not in `others`. Each of these matches at most one checksum."""
    order, others_sorted = np.argsort(checksums, kind="stable"), np.sort(others)
    in_order = checksums[order]
    occurrence = np.arange(len(in_order)) - np.searchsorted(in_order, in_order)
    partners = np.searchsorted(others_sorted, in_order, "right") - np.searchsorted(others_sorted, in_order)
    return np.sort(order[occurrence >= partners])


def _integer_keys(keys: npt.NDArray[Any]) -> Iterator[bytes]:
    for start in range(0, len(keys), 10_000):  # in pieces, to save memory
        yield from (b"[%d]" % key for key in keys[start : start + 10_000].tolist())
