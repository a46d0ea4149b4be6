"""Which rows each generation inserted, updated and deleted, kept for clients that hold a copy of the table.

A list is one file, changes/0000000012.rows, written before the pointer moves and never edited:

    one line of JSON   About: the generation, the one before, how many rows; or why there are none (a gap)
    RECORD, each row   sorted by the hash of its key
    one line of JSON   for each deleted row: the values of its key, as an array

Several lists make one (`fold`): of each row, what it was before the first and what it is after the last.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from cache.errors import ChangesGone
from cache.storage.snapshot import CHECKSUMS, ChangeCounts, Snapshot

RECORD = np.dtype([
    ("key", "<u8"), ("twin", "<u8"),  # the hash of the key's text: BLAKE2b, 128 bits
    ("old", "<u8"), ("new", "<u8"),  # the row's checksum before and after
    ("was", "?"), ("is", "?"),  # whether there was a row before, and is one after
    ("text", "<u8"),  # of a deleted row: where the text of its key begins among the texts
])  # fmt: skip
END = 1 << 64  # of the hashes
WINDOW = 100_000  # rows that are compared at once: each takes a few hundred bytes meanwhile

Records = np.ndarray[Any, np.dtype[np.void]]
Sums = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]


class About(BaseModel, frozen=True):
    """`mark` and `parent_mark` tell generations apart that have the same number (a cache that was begun anew).

    `gap` says in a sentence why the rows are not listed.
    """

    generation: int
    mark: str
    parent_mark: str
    rows: int = 0
    texts: int = 0  # bytes
    gap: str | None = None


class Side(NamedTuple):
    """Rows that only one of two generations has: their checksums, and the texts of the keys of rows at some places."""

    sums: Sums
    keys: Callable[[Places], Iterable[bytes]]


class ChangedRows(NamedTuple):
    """Changed rows, sorted by the hash of their key, and the texts of the keys of deleted ones; or the gap, counted."""

    records: Records
    texts: bytes
    counts: ChangeCounts
    gap: str | None = None

    @classmethod
    def between(cls, old: Side, new: Side, most: int, gap: str | None = None) -> Self:
        """From rows that only the old or only the new generation has.

        Parameters: more rows than `most` are only counted, and so are all if there is a `gap` already. A key's text is
        a JSON array of its values. Where rows on one side have the same key, an update counts as one deleted and one
        inserted.
        """
        sides = [(old, _hashes(old), "old", "was"), (new, _hashes(new), "new", "is")]
        windows = 1 + (len(old.sums) + len(new.sums)) // WINDOW
        found: list[Records] = []
        texts = bytearray()
        counts = np.zeros(3, int)
        for i in range(windows):
            low, last = np.uint64(END * i // windows), np.uint64(END * (i + 1) // windows - 1)
            places = [np.flatnonzero((hashes[:, 0] >= low) & (hashes[:, 0] <= last)) for _, hashes, _, _ in sides]
            parts = [_records(at, *side) for at, side in zip(places, sides, strict=True)]
            if any(len(fold([part])[0]) < len(part) for part in parts):
                twins = "Rows of the table have the same key."
                return cls.untold(ChangeCounts(inserted=len(new.sums), deleted=len(old.sums)), gap or twins)
            records, origins = fold(parts)
            was, is_ = records["was"], records["is"]
            counts += [np.count_nonzero(~was), np.count_nonzero(was & is_), np.count_nonzero(~is_)]
            if gap is None and counts.sum() > most:
                gap = "Most rows changed."
            if gap is None:
                gone = np.flatnonzero(~is_)
                for record, text in zip(gone.tolist(), old.keys(places[0][origins[gone]]), strict=True):
                    records["text"][record] = len(texts)
                    texts += text + b"\n"
                found.append(records)
        inserted, updated, deleted = counts.tolist()
        total = ChangeCounts(inserted=inserted, updated=updated, deleted=deleted)
        return cls.untold(total, gap) if gap else cls(np.concatenate(found), bytes(texts), total)

    @classmethod
    def untold(cls, counts: ChangeCounts, gap: str) -> Self:
        """Clients must load all rows again."""
        return cls(NO_ROWS, b"", counts, gap)

    def encode(self, about: About) -> bytes:
        """The file. `about` is completed by what is here."""
        added = {"rows": len(self.records), "texts": len(self.texts), "gap": self.gap}
        return about.model_copy(update=added).model_dump_json().encode() + b"\n" + self.records.tobytes() + self.texts


NO_ROWS = np.empty(0, RECORD)


class ChangeList:
    """A list on disk. Raises OSError or ValueError where it is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            line = file.readline()
            self.about = About.model_validate_json(line)
            self._start = len(line)
            size = self._start + self.about.rows * RECORD.itemsize + self.about.texts
            if os.fstat(file.fileno()).st_size != size:
                raise ValueError(f"{path.name} has another size than {size}")

    def window(self, low: int, last: int) -> tuple[Records, bytes]:
        """The rows of which the first half of the hash is from `low` to `last`, and the texts of their keys."""
        if not self.about.rows:
            return NO_ROWS, b""
        with self._path.open("rb") as file:
            every = np.memmap(file, RECORD, "r", self._start, self.about.rows)
            keys = every["key"]
            start = bisect_left(keys, low, key=int)
            stop = bisect_right(keys, last, key=int)
            records = np.array(every[start:stop])
            gone = ~records["is"]
            if not gone.any():
                return records, b""
            begins = records["text"][gone]
            first, end = int(begins[0]), int(begins[-1])
            file.seek(self._start + every.nbytes + first)
            texts = file.read(end - first) + file.readline()
        records["text"][gone] -= begins[0]
        return records, texts


class Page(NamedTuple):
    """Checksums of rows inserted and updated, texts of the keys of rows deleted; `rest` is where the others begin."""

    inserted: Sums
    updated: Sums
    deleted: list[bytes]
    rest: int | None


def fold(parts: Sequence[Records]) -> tuple[Records, Places]:
    """The net of changes that follow one another, and of each row its place among all records in a row."""
    every = np.concatenate([NO_ROWS, *parts])
    order = np.lexsort((every["twin"], every["key"]))  # stable: what came later stands behind
    key, twin = every["key"][order], every["twin"][order]
    begins = np.flatnonzero(np.append(True, (key[1:] != key[:-1]) | (twin[1:] != twin[:-1]))[: len(every)])
    first, last = order[begins], order[np.append(begins[1:], len(every))[: len(begins)] - 1]
    net = every[last]
    net["was"], net["old"] = every["was"][first], every["old"][first]
    differs = (net["was"] != net["is"]) | (net["was"] & (net["old"] != net["new"]))
    return net[differs], last[differs]


def page(lists: Sequence[ChangeList], low: int, limit: int) -> Page:
    """At most `limit` rows (fewer happen) of the net of lists that follow one another, from the hash `low` on.

    Hashes spread evenly, so a share of them is that share of the rows: memory holds about `limit` rows of each list.
    """
    total = sum(each.about.rows for each in lists)
    end = END if total <= limit else min(END, low + max(1, END * limit // total))
    windows = [each.window(low, end - 1) for each in lists]
    records, origins = fold([part for part, _ in windows])
    if len(records) > limit:
        end = int(records["key"][limit])
        records = records[records["key"] < end]
    was, is_ = records["was"], records["is"]
    gone = np.flatnonzero(~is_)
    owners = np.searchsorted(np.cumsum([len(part) for part, _ in windows]), origins[gone], "right")
    deleted = []
    for owner, begin in zip(owners.tolist(), records["text"][gone].tolist(), strict=True):
        texts = windows[owner][1]
        deleted.append(texts[begin : texts.index(b"\n", begin)])
    return Page(records["new"][~was], records["new"][was & is_], deleted, None if end == END else end)


def rows_of(snapshot: Snapshot, sums: Sums) -> npt.NDArray[np.int64]:
    """The numbers of the rows with these checksums, in key order. Raises ChangesGone where there is none."""
    wanted = np.sort(sums)
    likely = np.zeros(1 << 16, bool)  # checksums that begin like a wanted one: most rows need no search
    likely[wanted >> np.uint64(48)] = True
    rows: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    first = 0
    for segment, path in zip(snapshot.manifest.segments, snapshot.paths(CHECKSUMS), strict=True):
        if len(wanted):
            held = np.fromfile(path, dtype="<u8")
            near = np.flatnonzero(likely[held >> np.uint64(48)])
            places = np.searchsorted(wanted, held[near]).clip(max=len(wanted) - 1)
            rows.append(first + near[wanted[places] == held[near]])
        first += segment.rows
    found = np.concatenate(rows)
    if len(found) < len(wanted):
        raise ChangesGone(f"Rows that changed are not in generation {snapshot.generation}.")
    return found


def counted(lists: Sequence[ChangeList], step: int = 100_000) -> ChangeCounts:
    """How many rows the net of lists that follow one another inserted, updated and deleted."""
    inserted = updated = deleted = 0
    low: int | None = 0
    while low is not None:
        found = page(lists, low, step)
        inserted += len(found.inserted)
        updated += len(found.updated)
        deleted += len(found.deleted)
        low = found.rest
    return ChangeCounts(inserted=inserted, updated=updated, deleted=deleted)


def stamp(created_at: datetime) -> str:
    """What tells a generation apart from another of the same number."""
    return f"{int(created_at.timestamp() * 1_000_000) % (1 << 32):08x}"


def _hashes(side: Side) -> npt.NDArray[np.uint64]:
    hashes = bytearray()
    for text in side.keys(np.arange(len(side.sums))):
        hashes += hashlib.blake2b(text, digest_size=16).digest()
    return np.frombuffer(hashes, "<u8").reshape(-1, 2)


def _records(places: Places, side: Side, hashes: npt.NDArray[np.uint64], sums: str, there: str) -> Records:
    """The rows at these places of one side."""
    records = np.zeros(len(places), RECORD)
    records["key"], records["twin"] = hashes[places].T
    records[sums], records[there] = side.sums[places], True
    return records
