"""The files of segments in the database: immutable, under keys that are never used again.

`Generations.collect` removes those that nothing names. The plain JSON of the rows is not stored, since it is inflated
again from the compressed one. A file is cut into parts, and each statement moves one part: a long statement would keep
the database from removing what was deleted.
"""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from cache.errors import RangeDamaged
from cache.storage.gzip_concat import inflate
from cache.storage.shared.database import Database
from cache.storage.shared.terms import SharedLeadership
from cache.storage.snapshot import COLUMNS, GZIP, JSON, OFFSETS, SEGMENT_FILES, Segment

STORED = tuple(name for name in SEGMENT_FILES if name != JSON)
PACKED = (COLUMNS, OFFSETS)  # files that get much smaller by compression
PART = 1 << 20  # bytes
LEVEL = 1

_PUT = """
WITH held AS (
    SELECT FROM orders_cache.terms
    WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s FOR SHARE
)
INSERT INTO orders_cache.blobs (source, segment, epoch, name, part, data)
SELECT %(source)s, %(segment)s, %(epoch)s, %(name)s, %(part)s, %(data)s FROM held
ON CONFLICT DO NOTHING
RETURNING part
"""
_THERE = """
SELECT part FROM orders_cache.blobs
WHERE source = %(source)s AND segment = %(segment)s AND epoch = %(epoch)s AND name = %(name)s AND part = %(part)s
"""
_GET = """
SELECT data FROM orders_cache.blobs
WHERE source = %(source)s AND segment = %(segment)s AND epoch = %(epoch)s AND name = %(name)s AND part = %(part)s
"""
_LIST = "SELECT DISTINCT segment, epoch FROM orders_cache.blobs WHERE source = %(source)s"


class Key(NamedTuple):
    """What names the files of a segment: its id, and the term in which they were uploaded."""

    segment: str
    epoch: int


class Blobs:
    """The files of one shared cache.

    Args:
        database: Stores them.
        leadership: Holds the sync term, without which nothing is written.
    """

    def __init__(self, database: Database, leadership: SharedLeadership) -> None:
        self._database = database
        self._leadership = leadership

    def put(self, segment: Segment, folder: Path) -> Key:
        """Uploads the files of a segment.

        Args:
            segment: The segment.
            folder: The folder with its files.

        Raises:
            SyncLost: Another process has the sync term.
            CacheFull: The disk of the database is full.
        """
        term = self._leadership.term()
        for name in STORED:
            for part, data in enumerate(_parts(folder / name, name in PACKED)):
                key = {"segment": segment.id, "epoch": term.epoch, "name": name, "part": part}
                written = self._database.upload(_PUT, **key, token=term.token, data=data)
                if not written and not self._database.rows(_THERE, **key):
                    raise self._leadership.lost(term)
        return Key(segment.id, term.epoch)

    def get(self, key: Key, segment: Segment, folder: Path) -> None:
        """Writes the files of a segment into a folder, and compares each with its digest.

        Args:
            key: Names the files.
            segment: The segment, as the manifest records it.
            folder: An empty folder.

        Raises:
            RangeDamaged: A file is not there any more, or differs from its digest.
        """
        try:
            for name in STORED:
                with (folder / name).open("wb") as file:
                    for data in self._unpacked(key, name):
                        file.write(data)
            inflate(folder / GZIP, folder / JSON)
            damaged = next((name for name in segment.files if _digest(folder / name) != segment.files[name].sha256), "")
        except (isal_zlib.error, zlib.error):  # type: ignore[misc]  # a class, which its stubs do not say
            damaged = "file"
        if damaged:
            shutil.rmtree(folder, ignore_errors=True)
            raise RangeDamaged.of(segment.id, f"has a damaged {damaged} in the shared cache")

    def list(self) -> set[Key]:
        """Returns the keys of all segments that have files here."""
        return {Key(*row) for row in self._database.rows(_LIST)}

    def _unpacked(self, key: Key, name: str) -> Iterator[bytes]:
        unpack = isal_zlib.decompressobj() if name in PACKED else None
        part = 0
        while rows := self._database.download(_GET, **key._asdict(), name=name, part=part):
            data = bytes(rows[0][0])
            yield unpack.decompress(data) if unpack else data
            part += 1
        if unpack:
            yield unpack.flush()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(path: Path, packed: bool) -> Iterator[bytes]:
    """A file in parts of PART bytes. An empty file has one part, so that it is not taken for a missing one."""
    with path.open("rb") as file:
        data = iter(lambda: file.read(PART), b"")
        yield from _cut(_packed(data)) if packed else _cut(data)


def _packed(data: Iterable[bytes]) -> Iterator[bytes]:
    pack = isal_zlib.compressobj(LEVEL)
    for each in data:
        yield pack.compress(each)
    yield pack.flush()


def _cut(data: Iterable[bytes]) -> Iterator[bytes]:
    waiting = b""
    for each in data:
        waiting += each
        while len(waiting) >= PART:
            yield waiting[:PART]
            waiting = waiting[PART:]
    if waiting:
        yield waiting
