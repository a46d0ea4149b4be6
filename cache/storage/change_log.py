"""Change lists: the rows that each generation inserted, updated and deleted, for clients with a copy of the table.

Each generation has one list, changes/0000000012.rows. It is written before the pointer moves, and never edited.
`docs/snapshot-format.md` describes the file. `net` combines consecutive lists: it compares each row before the first
list with the row after the last.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from cache.errors import ChangesGone
from cache.storage.snapshot import CHECKSUMS, ChangeCounts, Snapshot

RECORD = np.dtype(
    [
        ("hash_high", "<u8"),  # first half of the 128-bit BLAKE2b hash of the key's text
        ("hash_low", "<u8"),  # second half
        ("old", "<u8"),  # checksum of the row before the change
        ("new", "<u8"),  # checksum of the row after the change
        ("existed", "?"),  # whether the row existed before the change
        ("exists", "?"),  # whether the row exists after the change
        ("text", "<u8"),  # if deleted: offset of the key in the keys of deleted rows
    ]
)
HASH_END = 1 << 64  # upper bound of `hash_high`, excluded
MOST_BYTES, MOST_LISTS = 256 << 20, 10_000  # of all lists that are kept
WINDOW = 100_000  # rows that are compared at once, at a few hundred bytes of memory each

Records = np.ndarray[Any, np.dtype[np.void]]
Sums = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]


class About(BaseModel, frozen=True):
    """The first line of a list.

    Attributes:
        generation: The generation that made these changes.
        fingerprint: The fingerprint of this generation; stored as `mark`.
        parent_fingerprint: The fingerprint of the previous generation; stored as `parent_mark`.
        rows: Number of records that follow.
        texts: Size in bytes of the keys of deleted rows, which follow the records.
        gap: Why the rows are not listed, in a sentence; None if they are listed.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    generation: int
    fingerprint: str = Field(validation_alias="mark", serialization_alias="mark")
    parent_fingerprint: str = Field(validation_alias="parent_mark", serialization_alias="parent_mark")
    rows: int = 0
    texts: int = 0
    gap: str | None = None


class Side(NamedTuple):
    """Rows that only one of two generations has.

    Attributes:
        sums: The checksums of the rows.
        keys: Returns the texts of the keys of the rows at the given places.
    """

    sums: Sums
    keys: Callable[[Places], Iterable[bytes]]


class ChangedRows(NamedTuple):
    """The rows that differ between a generation and the previous one.

    Attributes:
        records: The changes, sorted by the hash of the key; empty if there is a gap.
        texts: The keys of deleted rows, each followed by a line break.
        counts: Numbers of rows that were inserted, updated and deleted.
        gap: Why the rows are not listed, in a sentence; then clients must load all rows again.
    """

    records: Records
    texts: bytes
    counts: ChangeCounts
    gap: str | None = None

    @classmethod
    def between(cls, old: Side, new: Side, most: int, gap: str | None = None) -> Self:
        """Compares two generations.

        Args:
            old: The rows that only the old generation has. A key's text is a JSON array of its values.
            new: The rows that only the new generation has.
            most: Maximum number of rows that are listed. If more rows differ, they are only counted.
            gap: Why the rows cannot be listed, if this is already known. They are counted in any case.

        Returns:
            The changes. If rows of one side have the same key, an update counts as one deletion and one insertion.
        """
        sides = [(old, _hashes(old), "old", "existed"), (new, _hashes(new), "new", "exists")]
        windows = 1 + (len(old.sums) + len(new.sums)) // WINDOW
        listed: list[Records] = []
        texts = bytearray()
        counts = np.zeros(3, int)
        for i in range(windows):
            low, last = np.uint64(HASH_END * i // windows), np.uint64(HASH_END * (i + 1) // windows - 1)
            places = [np.flatnonzero((hashes[:, 0] >= low) & (hashes[:, 0] <= last)) for _, hashes, _, _ in sides]
            parts = [_records(at, *side) for at, side in zip(places, sides, strict=True)]
            if any(len(net([part])[0]) < len(part) for part in parts):
                doubled = "Rows of the table have the same key."
                return cls.only_counted(ChangeCounts(inserted=len(new.sums), deleted=len(old.sums)), gap or doubled)
            records, origins = net(parts)
            existed, exists = records["existed"], records["exists"]
            counts += [np.count_nonzero(~existed), np.count_nonzero(existed & exists), np.count_nonzero(~exists)]
            if gap is None and counts.sum() > most:
                gap = "Most rows changed."
            if gap is None:
                deleted = np.flatnonzero(~exists)
                for record, text in zip(deleted.tolist(), old.keys(places[0][origins[deleted]]), strict=True):
                    records["text"][record] = len(texts)
                    texts += text + b"\n"
                listed.append(records)
        inserted, updated, gone = counts.tolist()
        total = ChangeCounts(inserted=inserted, updated=updated, deleted=gone)
        return cls.only_counted(total, gap) if gap else cls(np.concatenate(listed), bytes(texts), total)

    @classmethod
    def only_counted(cls, counts: ChangeCounts, gap: str) -> Self:
        """Returns changes without a list of rows.

        Args:
            counts: Numbers of rows that changed.
            gap: Why the rows are not listed, in a sentence.
        """
        return cls(NO_RECORDS, b"", counts, gap)

    def encode(self, about: About) -> bytes:
        """The file.

        Args:
            about: The first line of the file. Its `rows`, `texts` and `gap` are replaced.
        """
        filled = {"rows": len(self.records), "texts": len(self.texts), "gap": self.gap}
        return about.model_copy(update=filled).model_dump_json().encode() + b"\n" + self.records.tobytes() + self.texts


NO_RECORDS = np.empty(0, RECORD)


class ChangeList:
    """A change list on disk.

    Attributes:
        about: The first line of the file.
    """

    def __init__(self, path: Path) -> None:
        """Opens a list.

        Args:
            path: The file.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is damaged.
        """
        self._path = path
        with path.open("rb") as file:
            line = file.readline()
            self.about = About.model_validate_json(line)
            self._start = len(line)
            size = self._start + self.about.rows * RECORD.itemsize + self.about.texts
            if os.fstat(file.fileno()).st_size != size:
                raise ValueError(f"{path.name} has another size than {size}")

    def window(self, low: int, last: int) -> tuple[Records, bytes]:
        """Reads a part of the list.

        Args:
            low: The first `hash_high` of the part.
            last: The last `hash_high` of the part, included.

        Returns:
            The records, and the texts of the keys of the deleted rows.

        Raises:
            ChangesGone: The file was cut.
        """
        if not self.about.rows:
            return NO_RECORDS, b""
        with self._path.open("rb") as file:
            size = RECORD.itemsize

            def hash_of(record: int) -> int:
                return int.from_bytes(self._read(file, self._start + record * size, 8), "little")

            start = bisect_left(range(self.about.rows), low, key=hash_of)
            stop = bisect_right(range(self.about.rows), last, key=hash_of)
            data = self._read(file, self._start + start * size, (stop - start) * size)
            records = np.frombuffer(bytearray(data), RECORD)
            deleted = ~records["exists"]
            if not deleted.any():
                return records, b""
            begins = records["text"][deleted]
            first, end = int(begins[0]), int(begins[-1])
            texts = self._read(file, self._start + self.about.rows * size + first, end - first) + file.readline()
        if not texts.endswith(b"\n"):
            raise self._cut()
        records["text"][deleted] -= begins[0]
        return records, texts

    def _read(self, file: BinaryIO, place: int, size: int) -> bytes:
        file.seek(place)
        data = file.read(size)
        if len(data) < size:
            raise self._cut()
        return data

    def _cut(self) -> ChangesGone:
        return ChangesGone(f"The list of changes {self._path.name} was cut.")


class Page(NamedTuple):
    """A part of the net changes of several lists.

    Attributes:
        inserted: Checksums of the rows that were inserted.
        updated: Checksums of the rows that were updated, as they are now.
        deleted: The texts of the keys of the rows that were deleted.
        rest: The `hash_high` at which the next page begins; None for the last page.
    """

    inserted: Sums
    updated: Sums
    deleted: list[bytes]
    rest: int | None


def net(parts: Sequence[Records]) -> tuple[Records, Places]:
    """Combines consecutive changes to one net change for each row.

    Args:
        parts: Consecutive changes, oldest first.

    Returns:
        The rows that differ in the end, sorted by hash, and for each row the place of its last change in all records.
    """
    every = np.concatenate([NO_RECORDS, *parts])
    order = np.lexsort((every["hash_low"], every["hash_high"]))  # stable: later changes of a row follow earlier ones
    high, low = every["hash_high"][order], every["hash_low"][order]
    begins = np.flatnonzero(np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1]))[: len(every)])
    first, last = order[begins], order[np.append(begins[1:], len(every))[: len(begins)] - 1]
    result = every[last]
    result["existed"], result["old"] = every["existed"][first], every["old"][first]
    appeared_or_gone = result["existed"] != result["exists"]
    differs = appeared_or_gone | (result["existed"] & (result["old"] != result["new"]))
    return result[differs], last[differs]


def page(lists: Sequence[ChangeList], low: int, limit: int) -> Page:
    """Returns a page of the net changes of consecutive lists.

    Hashes are spread evenly: a share of the range of hashes contains about the same share of the rows. So about `limit`
    rows of all lists are in memory.

    Args:
        lists: The lists, oldest first.
        low: The `hash_high` at which the page begins; 0 for the first page.
        limit: Maximum number of rows in the page. Any page may have fewer rows.
    """
    total = sum(each.about.rows for each in lists)
    end = HASH_END if total <= limit else min(HASH_END, low + max(1, HASH_END * limit // total))
    windows = [each.window(low, end - 1) for each in lists]
    records, origins = net([part for part, _ in windows])
    if len(records) > limit:
        end = int(records["hash_high"][limit])
        records = records[records["hash_high"] < end]
    existed, exists = records["existed"], records["exists"]
    gone = np.flatnonzero(~exists)
    owners = np.searchsorted(np.cumsum([len(part) for part, _ in windows]), origins[gone], "right")
    deleted = []
    for owner, begin in zip(owners.tolist(), records["text"][gone].tolist(), strict=True):
        texts = windows[owner][1]
        deleted.append(texts[begin : texts.index(b"\n", begin)])
    return Page(records["new"][~existed], records["new"][existed & exists], deleted, None if end == HASH_END else end)


def row_numbers(snapshot: Snapshot, sums: Sums) -> npt.NDArray[np.int64]:
    """Finds rows by their checksums.

    Args:
        snapshot: The snapshot with the rows.
        sums: The checksums.

    Returns:
        The numbers of the rows, in key order.

    Raises:
        ChangesGone: A checksum has no row.
        RangeDamaged: A checksum has no row in the intact segments, and others are damaged.
    """
    wanted = np.sort(sums)
    likely = np.zeros(1 << 16, bool)  # by the upper 16 bits of a checksum: most rows need no search
    likely[wanted >> np.uint64(48)] = True
    rows: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    first = 0
    for segment, path in zip(snapshot.manifest.segments, snapshot.paths(CHECKSUMS), strict=True):
        if len(wanted) and segment.id not in snapshot.faults:
            stored = np.fromfile(path, dtype="<u8")
            near = np.flatnonzero(likely[stored >> np.uint64(48)])
            places = np.searchsorted(wanted, stored[near]).clip(max=len(wanted) - 1)
            rows.append(first + near[wanted[places] == stored[near]])
        first += segment.rows
    numbers = np.concatenate(rows)
    if len(numbers) < len(wanted):
        snapshot.require()
        raise ChangesGone(f"Rows that changed are not in generation {snapshot.generation}.")
    return numbers


def count_net(lists: Sequence[ChangeList], step: int = 100_000) -> ChangeCounts:
    """Counts the net changes of consecutive lists.

    Args:
        lists: The lists, oldest first.
        step: Approximate number of rows in memory at once.
    """
    inserted = updated = deleted = 0
    low: int | None = 0
    while low is not None:
        part = page(lists, low, step)
        inserted += len(part.inserted)
        updated += len(part.updated)
        deleted += len(part.deleted)
        low = part.rest
    return ChangeCounts(inserted=inserted, updated=updated, deleted=deleted)


def fingerprint(created_at: datetime) -> str:
    """Returns a fingerprint of the creation time. It tells apart generations with the same number in two caches."""
    return f"{int(created_at.timestamp() * 1_000_000) % (1 << 32):08x}"


def _hashes(side: Side) -> npt.NDArray[np.uint64]:
    hashes = bytearray()
    for text in side.keys(np.arange(len(side.sums))):
        hashes += hashlib.blake2b(text, digest_size=16).digest()
    return np.frombuffer(hashes, "<u8").reshape(-1, 2)


def _records(places: Places, side: Side, hashes: npt.NDArray[np.uint64], sums: str, there: str) -> Records:
    """Returns records of the rows at the given places of one side."""
    records = np.zeros(len(places), RECORD)
    records["hash_high"], records["hash_low"] = hashes[places].T
    records[sums], records[there] = side.sums[places], True
    return records
