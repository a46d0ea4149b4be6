"""Snapshots for tests, published through the real writer and cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from cache.cache_place import CachePlace
from cache.errors import UnknownGeneration
from cache.schema import Column
from cache.storage.backends import open_cache
from cache.storage.change_log import ChangedRows, Side
from cache.storage.records import CheckGeneration, Publication, now
from cache.storage.segment_writer import SegmentWriter
from cache.storage.snapshot import CHECKSUMS, JSON, ChangeCounts, Head, Manifest, Segment
from cache.storage.source import Source
from cache.storage.store import Cache

Row = Mapping[str, str | None]

COLUMNS = (
    Column(name="id", type="bigint unsigned", kind="unsigned", nullable=False, key=1),
    Column(name="name", type="varchar(32)", kind="text", nullable=False),
    Column(name="email", type="varchar(255)", kind="text", nullable=True),
    Column(name="created_at", type="datetime", kind="datetime", nullable=False),
    Column(name="cancelled_at", type="datetime", kind="datetime", nullable=True),
    Column(name="financial_status", type="varchar(32)", kind="text", nullable=False),
    Column(name="fulfillment_status", type="varchar(32)", kind="text", nullable=True),
    Column(name="currency", type="char(3)", kind="text", nullable=False),
    Column(name="total_price", type="decimal(12,2)", kind="decimal", nullable=False, digits=12, decimals=2),
    Column(name="customer_name", type="varchar(255)", kind="text", nullable=True),
    Column(name="note", type="text", kind="text", nullable=True),
    Column(name="line_items", type="longtext", kind="json", nullable=False),
    Column(name="destination", type="text", kind="json", nullable=True),
    Column(name="test", type="tinyint(1)", kind="boolean", nullable=False),
)
_NAMES = ("Ida Müller", "José García", "王小明", "Ана Петрова", "سارة")
_NOTES = (
    None,
    "",
    "NULL",
    'She said "thank you"',
    "first line\r\nsecond line",
    "=1+1",
    "🎂 \\ \x85\u2028\u2029 </script>",
)


def order(i: int) -> dict[str, str | None]:
    """One order as the scraper reads it: text or NULL. The same number gives the same order."""
    items = [{"title": "Mug", "quantity": i % 3 + 1, "price": "12.50"}]
    place = json.dumps({"country": ("US", "DE", "GB")[i % 3], "city": "Köln"}, ensure_ascii=False, indent=1)
    return {
        "id": str(1000 + i),
        "name": f"#{1000 + i}",
        "email": f"customer{i}@example.com",
        "created_at": (datetime(2025, 12, 29, 10, 25) - timedelta(hours=i)).strftime("%Y-%m-%d %H:%M:%S"),
        "cancelled_at": None if i % 7 else "2025-12-30 08:00:00",
        "financial_status": ("paid", "pending", "refunded")[i % 3],
        "fulfillment_status": ("fulfilled", None)[i % 2],
        "currency": ("USD", "EUR")[i % 2],
        "total_price": f"{598 + i}.94",
        "customer_name": _NAMES[i % len(_NAMES)],
        "note": _NOTES[i % len(_NOTES)],
        "line_items": json.dumps(items),
        "destination": json.dumps(place),  # encoded twice, as some shops have it
        "test": str(int(i % 11 == 10)),
    }


def as_json(i: int) -> dict[str, Any]:
    """What clients get for `order(i)`, written out by the contract and not by the writer."""
    row: dict[str, Any] = dict(order(i))
    row["id"] = int(row["id"])
    for name in ("created_at", "cancelled_at"):
        row[name] = row[name] and row[name].replace(" ", "T") + "Z"
    row["line_items"] = json.loads(row["line_items"])
    row["destination"] = json.loads(json.loads(row["destination"]))
    row["test"] = row["test"] == "1"
    return row


def cache_in(folder: Path | str) -> Cache:
    """The cache in a test's folder, where processes with the settings of `here` find it."""
    return open_cache(CachePlace.of_files(Path(folder) / "cache", Path(folder) / "var/kept"))


def publish(
    cache: Cache,
    rows: Sequence[Row] | int = 3,
    *,
    columns: Sequence[Column] = COLUMNS,
    segments: int = 2,
    verified: bool = True,
    verified_at: datetime | None = None,
    reason: str | None = None,
    changes: ChangeCounts | None = None,
    check: CheckGeneration | None = None,
) -> Head:
    """Publishes a generation over the newest one.

    Parameters: `rows` in key order, or how many orders; `segments` is how many the rows are cut into; `verified_at` is
    now where it is not given, and None where `verified` is false and it is not given; `check` checks the generation.
    """
    at = verified_at or now()
    rows = [order(i) for i in range(rows)] if isinstance(rows, int) else rows
    before = cache.snapshots.head()
    generation = cache.snapshots.next_number()
    size = max(1, -(-len(rows) // segments))
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    written: list[Segment] = []
    with cache.snapshots.workspace() as workspace:
        for i, part in enumerate(parts):
            folder = workspace / str(i)
            with SegmentWriter(folder, columns) as writer:
                writer.write(_table(columns, part), np.array([_checksum(row) for row in part], np.uint64))
                low = int(part[0][columns[0].name] or 0) if i else None
                high = int(parts[i + 1][0][columns[0].name] or 0) if i + 1 < len(parts) else None
                segment = writer.close(low, high)
            cache.snapshots.adopt(folder, segment)
            written.append(segment)
        manifest = Manifest(
            generation=generation,
            parent=before.generation if before else None,
            created_at=now(),
            as_of=at,
            verified_at=at if verified else verified_at,
            reason=reason or (None if verified else "It was not proven."),
            source=Source(database="shop", table="orders", server="10.11.6-MariaDB", phpmyadmin="5.2.1"),
            columns=tuple(columns),
            segments=tuple(written),
            changes=changes or ChangeCounts(inserted=len(rows)),
        )
        head = Head(
            generation=generation,
            as_of=at,
            verified=verified,
            verified_at=manifest.verified_at,
            checked_at=manifest.verified_at,
            reason=reason,
        )
        changed = _changed(cache, manifest)
        report = check and check(
            cache.snapshots.inspect(manifest.parent) if manifest.parent else None,
            cache.snapshots.unpublished(manifest, head),
            changed or ChangedRows.only_counted(manifest.changes, "All rows were loaded again."),
        )
        cache.snapshots.publish(Publication(manifest, head, changed, checks=report or None))
    return head


def confirm(cache: Cache, at: datetime | None = None) -> Head:
    """Records that the newest generation was verified again."""
    head = cache.snapshots.head()
    assert head is not None
    at = at or datetime.now(UTC)
    head = head.model_copy(update={"as_of": at, "verified": True, "verified_at": at, "checked_at": at, "reason": None})
    cache.snapshots.confirm(head)
    return head


def files(folder: Path) -> set[str]:
    """The files below a folder, by their paths in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def flip(path: Path) -> None:
    """Flips a bit of a file, which keeps its size."""
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)


def _changed(cache: Cache, manifest: Manifest) -> ChangedRows | None:
    """The rows in which a generation differs from its parent, by its first column."""
    if manifest.parent is None:
        return None
    try:
        before = cache.snapshots.inspect(manifest.parent).manifest
    except UnknownGeneration:
        return ChangedRows.only_counted(ChangeCounts(), "The generation before is damaged.")
    if before.columns != manifest.columns:
        return ChangedRows.only_counted(ChangeCounts(), "The columns of the table changed.")
    held, here = _sums(cache, before), _sums(cache, manifest)

    def side(one: Mapping[bytes, int], other: Mapping[bytes, int]) -> Side:
        keys = [key for key, checksum in one.items() if other.get(key) != checksum]
        return Side(np.array([one[key] for key in keys], np.uint64), lambda places: [keys[i] for i in places])

    return ChangedRows.between(side(held, here), side(here, held), most=10**6)


def _sums(cache: Cache, manifest: Manifest) -> dict[bytes, int]:
    """Key -> checksum of each row."""
    name = manifest.columns[0].name
    found = {}
    for segment in manifest.segments:
        rows = orjson.loads(b"[" + (cache.snapshots.segment_folder(segment) / JSON).read_bytes()[:-1] + b"]")
        sums = np.fromfile(cache.snapshots.segment_folder(segment) / CHECKSUMS, "<u8").tolist()
        found |= {orjson.dumps([row[name]]): checksum for row, checksum in zip(rows, sums, strict=True)}
    return found


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> pa.Table:
    return pa.table({f"c{i}": pa.array([row[c.name] for row in rows], pa.string()) for i, c in enumerate(columns)})


def _checksum(row: Row) -> int:
    return int.from_bytes(hashlib.md5(repr(sorted(row.items())).encode()).digest()[:8], "big")
