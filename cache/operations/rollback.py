"""Brings an earlier generation back as the newest one."""

from __future__ import annotations

from cache.storage.records import Publication, now
from cache.storage.store import Cache


def roll_back(cache: Cache, generation: int) -> int:
    """Publishes the rows of an earlier generation again.

    They count as not verified. The next sync compares them with the table, and brings what differs.

    Args:
        cache: The cache.
        generation: The number of the generation.

    Returns:
        The number of the new generation. Numbers never go back, so that clients see each change.

    Raises:
        UnknownGeneration: The generation is not kept.
        RangeDamaged: The generation is damaged.
        SyncRunning: A sync is running.
        CacheUnwritable: The cache cannot be written.
    """
    with cache.sync_lock():
        cache.snapshots.catch_up()
        earlier = cache.snapshots.open(generation)
        last = cache.snapshots.head()
        number = cache.snapshots.next_number()
        reason = f"Generation {generation} was brought back by hand."
        manifest = earlier.manifest.model_copy(
            update={
                "generation": number,
                "parent": last.generation if last else None,
                "created_at": now(),
                "reason": reason,
            }
        )
        head = earlier.head.model_copy(update={"generation": number, "verified": False, "reason": reason})
        cache.snapshots.publish(Publication(manifest, head, checks=cache.snapshots.checks(generation)))
    return number
