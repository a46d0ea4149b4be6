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
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from cache.errors import ChangesGone
from cache.snapshot import CHECKSUMS, Changes, Snapshot

RECORD = np.dtype([
    ("key", "<u8"), ("twin", "<u8"),  # the hash of the key's text: BLAKE2b, 128 bits
    ("old", "<u8"), ("new", "<u8"),  # the row's checksum before and after
    ("was", "?"), ("is", "?"),  # whether there was a row before, and is one after
    ("text", "<u8"),  # of a deleted row: where the text of its key begins among the texts
])  # fmt: skip
END = 1 << 64  # of the hashes

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


class Rows(NamedTuple):
    """Changed rows, sorted by the hash of their key, and the texts of the keys of deleted ones."""

    records: Records
    texts: bytes = b""
    gap: str | None = None

    @classmethod
    def between(cls, old: Side, new: Side) -> Self:
        """From rows that only the old or only the new generation has. Keys are distinct on either side, or it is a gap.

        A key's text is a JSON array of its values.
        """
        sides = [_side(old, "old", "was"), _side(new, "new", "is")]
        records, origins = fold(sides)
        gone = np.flatnonzero(~records["is"])
        lines = [text + b"\n" for text in old.keys(origins[gone])]
        records["text"][gone] = np.cumsum([0, *map(len, lines)])[:-1]
        distinct = all(len(fold([side])[0]) == len(side) for side in sides)
        return cls(records, b"".join(lines), None if distinct else "Rows of the table have the same key.")

    @property
    def counts(self) -> Changes:
        was, is_ = self.records["was"], self.records["is"]
        return Changes(inserted=int((~was).sum()), updated=int((was & is_).sum()), deleted=int((~is_).sum()))

    def encode(self, about: About) -> bytes:
        """The file. `about` is completed by what is here."""
        if self.gap:
            return about.model_copy(update={"gap": self.gap}).model_dump_json().encode() + b"\n"
        about = about.model_copy(update={"rows": len(self.records), "texts": len(self.texts)})
        return about.model_dump_json().encode() + b"\n" + self.records.tobytes() + self.texts


NO_ROWS = np.empty(0, RECORD)


def gap(reason: str) -> Rows:
    """A generation of which clients must load all rows again."""
    return Rows(NO_ROWS, gap=reason)


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

    def window(self, low: int, last: int) -> Rows:
        """The rows of which the first half of the hash is from `low` to `last`."""
        if not self.about.rows:
            return Rows(NO_ROWS)
        with self._path.open("rb") as file:
            file.seek(self._start)
            records = np.fromfile(file, RECORD, self.about.rows)
            start = int(np.searchsorted(records["key"], np.uint64(low)))
            stop = int(np.searchsorted(records["key"], np.uint64(last), "right"))
            gone = np.flatnonzero(~records["is"])
            inside = gone[(gone >= start) & (gone < stop)]
            if not len(inside):
                return Rows(records[start:stop])
            begin = int(records["text"][inside[0]])
            after = gone[gone >= stop]
            end = int(records["text"][after[0]]) if len(after) else self.about.texts
            file.seek(begin, os.SEEK_CUR)
            texts = file.read(end - begin)
        records["text"][inside] -= np.uint64(begin)
        return Rows(records[start:stop], texts)


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
    parts = [each.window(low, end - 1) for each in lists]
    records, origins = fold([part.records for part in parts])
    if len(records) > limit:
        end = int(records["key"][limit])
        records = records[records["key"] < end]
    was, is_ = records["was"], records["is"]
    gone = np.flatnonzero(~is_)
    owners = np.searchsorted(np.cumsum([len(part.records) for part in parts]), origins[gone], "right")
    deleted = []
    for owner, begin in zip(owners.tolist(), records["text"][gone].tolist(), strict=True):
        texts = parts[owner].texts
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


def counted(lists: Sequence[ChangeList], step: int = 100_000) -> Changes:
    """How many rows the net of lists that follow one another inserted, updated and deleted."""
    inserted = updated = deleted = 0
    low: int | None = 0
    while low is not None:
        found = page(lists, low, step)
        inserted += len(found.inserted)
        updated += len(found.updated)
        deleted += len(found.deleted)
        low = found.rest
    return Changes(inserted=inserted, updated=updated, deleted=deleted)


def mark(created_at: datetime) -> str:
    """What tells a generation apart from another of the same number."""
    return f"{int(created_at.timestamp() * 1_000_000) % (1 << 32):08x}"


def _side(side: Side, sums: str, there: str) -> Records:
    """Rows of one side, as records."""
    records = np.zeros(len(side.sums), RECORD)
    hashes = bytearray()
    for text in side.keys(np.arange(len(side.sums))):
        hashes += hashlib.blake2b(text, digest_size=16).digest()
    records["key"], records["twin"] = np.frombuffer(hashes, "<u8").reshape(-1, 2).T
    records[sums], records[there] = side.sums, True
    return records
