"""The reading in use: chosen once, stored, and compared with later data."""

from __future__ import annotations

from contextlib import suppress

from cache.errors import CacheUnwritable
from cache.interpretation.evidence import choose_reading
from cache.reading import Reading, StoredReading
from cache.storage.documents import READING
from cache.storage.snapshot import Snapshot
from cache.storage.store import Cache
from cache.table_setup import Setup


def reading_in_use(cache: Cache, snapshot: Snapshot, setup: Setup) -> Reading:
    """The reading of a table, by which every process reads it.

    The first reading of the newest generation is stored. Later data that suggests another one opens the question
    `changed`; only a reading that was never confirmed gives way to a confirmed one. Other columns or another set-up
    start anew.

    Args:
        cache: The cache, which stores the reading.
        snapshot: A generation.
        setup: What people decided about the table.
    """
    columns = _columns(snapshot)
    suggested = choose_reading(snapshot, setup, setup.source_timezone or snapshot.manifest.source.timezone)
    fresh = StoredReading(columns=columns, setup=setup, reading=suggested)

    def keep(stored: StoredReading) -> StoredReading:
        if stored.reading is None or (stored.columns, stored.setup) != (columns, setup):
            return fresh
        if suggested.confirmed and not stored.reading.confirmed:
            return fresh
        described = stored.reading.describing_as(suggested)
        return stored if described == stored.reading else stored.model_copy(update={"reading": described})

    stored = keep(cache.documents.read(READING))
    head = cache.snapshots.head()
    newest = head is None or head.generation <= snapshot.generation  # it may be about to be published
    if newest and stored != cache.documents.read(READING):
        with suppress(CacheUnwritable):  # a reader without the right to write reads by the data of now
            cache.documents.change(READING, keep)
    used = stored.reading or suggested
    if used.decides_as(suggested):
        return suggested
    evidence = {"orders": suggested.orders, "adds_up": suggested.adds_up}
    return used.model_copy(update={**evidence, "questions": (*used.questions, "changed")})


def stored_reading(cache: Cache, snapshot: Snapshot, setup: Setup) -> Reading | None:
    """The stored reading, without a look at the data; None where none was stored for these columns and this set-up.

    Args:
        cache: The cache, which stores the reading.
        snapshot: A generation.
        setup: What people decided about the table.
    """
    stored = cache.documents.read(READING)
    return stored.reading if (stored.columns, stored.setup) == (_columns(snapshot), setup) else None


def _columns(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(f"{column.name} {column.type}" for column in snapshot.columns)


def forget_reading(cache: Cache) -> None:
    """Drops the stored reading, so that the data of now decides."""
    cache.documents.change(READING, lambda _: StoredReading())
