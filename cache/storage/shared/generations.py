"""The generations of a shared cache: the pointer to the newest one, manifests, change lists and drafts.

The pointer and the sync term are one row. So one statement publishes: it moves the pointer where this process holds the
term and the parent is still the newest generation, stores the manifest, and wakes the other hosts. If it has no row,
nothing has happened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from cache.check_report import CheckReport
from cache.errors import CacheError, CacheUnreachable, PublishConflict, PublishUnknown, UnknownGeneration
from cache.storage.change_log import MOST_BYTES, MOST_LISTS
from cache.storage.file_format import decode, encode
from cache.storage.records import Draft
from cache.storage.shared.blobs import Key
from cache.storage.shared.database import NOTIFY, Database
from cache.storage.shared.terms import FENCE, SharedLeadership
from cache.storage.snapshot import Head, Manifest

log = logging.getLogger(__name__)

KEPT_GENERATIONS, KEPT_MINUTES = 5, 15  # as on disk: see `LocalSnapshots`
PART = 1 << 20  # bytes of a change list in one statement
TERM_SECONDS = 6.0  # a process trusts its term for so long without an answer
RETRY_SECONDS = 0.2

_POINTER = """
SELECT generation, head::text, digest FROM orders_cache.terms WHERE source = %(source)s AND name = 'sync'
"""
_MOVED = """held AS (
    UPDATE orders_cache.terms SET
        renewed = clock_timestamp(), version = version + 1, head = %(head)s::jsonb,
        generation = %(generation)s, digest = %(digest)s
    WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
        AND generation IS NOT DISTINCT FROM %(parent)s
    RETURNING generation
)"""
_PUBLISH = f"""
WITH {_MOVED}, written AS (
    INSERT INTO orders_cache.manifests AS manifest (source, generation, digest, body, blobs, checks)
    SELECT %(source)s, %(generation)s, %(digest)s, %(body)s, %(blobs)s::jsonb, %(checks)s FROM held
    ON CONFLICT (source, generation) DO UPDATE
    SET digest = excluded.digest, body = excluded.body, blobs = excluded.blobs, checks = excluded.checks,
        replaced = NULL
), replaced AS (
    UPDATE orders_cache.manifests SET replaced = clock_timestamp()
    FROM held WHERE source = %(source)s AND manifests.generation = %(parent)s
), left_over AS (  -- by a publish that was killed, or in a history that was lost
    DELETE FROM orders_cache.changes AS change USING held
    WHERE change.source = %(source)s
        AND (change.generation > %(generation)s OR change.generation = %(generation)s AND change.part >= %(parts)s)
), done AS (
    DELETE FROM orders_cache.drafts USING held WHERE source = %(source)s
)
SELECT {NOTIFY} FROM held
"""
_CONFIRM = f"""
WITH held AS (
    UPDATE orders_cache.terms SET renewed = clock_timestamp(), version = version + 1, head = %(head)s::jsonb
    WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
        AND generation = %(generation)s
    RETURNING generation
)
SELECT {NOTIFY} FROM held
"""
_MANIFEST = """
SELECT body, blobs::text, checks, digest FROM orders_cache.manifests
WHERE source = %(source)s AND generation = %(generation)s
"""
_KEYS = """
SELECT blobs::text FROM (
    SELECT generation, blobs FROM orders_cache.manifests WHERE source = %(source)s
    UNION ALL SELECT NULL, blobs FROM orders_cache.drafts WHERE source = %(source)s
) AS kept ORDER BY generation NULLS FIRST
"""
_GENERATIONS = "SELECT generation, digest FROM orders_cache.manifests WHERE source = %(source)s ORDER BY generation"
_PUT_CHANGES = f"""
WITH {FENCE}
INSERT INTO orders_cache.changes (source, generation, part, data)
SELECT %(source)s, %(generation)s, %(part)s, %(data)s FROM held
ON CONFLICT (source, generation, part) DO UPDATE SET data = excluded.data, made = excluded.made
RETURNING part
"""
_GET_CHANGES = """
SELECT data FROM orders_cache.changes WHERE source = %(source)s AND generation = %(generation)s AND part = %(part)s
"""
_SAVE_DRAFT = f"""
WITH {FENCE}, saved AS (
    INSERT INTO orders_cache.drafts (source, body, blobs)
    SELECT %(source)s, %(body)s, %(blobs)s::jsonb FROM held
    ON CONFLICT (source) DO UPDATE SET body = excluded.body, blobs = excluded.blobs
)
SELECT version FROM held
"""
_DRAFT = "SELECT body, blobs::text FROM orders_cache.drafts WHERE source = %(source)s"
_COLLECT = f"""
WITH {FENCE}, kept AS MATERIALIZED (
    SELECT generation, blobs FROM orders_cache.manifests AS manifest
    WHERE source = %(source)s AND (
        replaced IS NULL OR replaced > clock_timestamp() - interval '{KEPT_MINUTES} min' OR generation IN (
            SELECT newest.generation FROM orders_cache.manifests AS newest
            WHERE newest.source = %(source)s ORDER BY generation DESC LIMIT %(keep)s
        )
    )
), named AS MATERIALIZED (
    SELECT blob.key AS segment, blob.value::bigint AS epoch FROM kept, jsonb_each_text(kept.blobs) AS blob
    UNION
    SELECT blob.key, blob.value::bigint
    FROM orders_cache.drafts AS draft, jsonb_each_text(draft.blobs) AS blob WHERE draft.source = %(source)s
), manifests AS (
    DELETE FROM orders_cache.manifests AS manifest USING held
    WHERE source = %(source)s AND generation NOT IN (SELECT generation FROM kept)
), surplus AS MATERIALIZED (
    SELECT max(generation) AS newest FROM (
        SELECT generation, made, sum(octet_length(data)) OVER newer AS bytes, dense_rank() OVER newer AS place
        FROM orders_cache.changes WHERE source = %(source)s WINDOW newer AS (ORDER BY generation DESC)
    ) AS list WHERE made < clock_timestamp() - %(keep_changes)s OR bytes > {MOST_BYTES} OR place > {MOST_LISTS}
), changes AS (
    DELETE FROM orders_cache.changes AS change USING held, surplus
    WHERE change.source = %(source)s AND change.generation <= surplus.newest
), blobs AS (
    DELETE FROM orders_cache.blobs AS blob USING held
    WHERE source = %(source)s AND epoch <> %(epoch)s
        AND NOT EXISTS (SELECT FROM named WHERE named.segment = blob.segment AND named.epoch = blob.epoch)
)
SELECT version FROM held
"""


class Pointer(NamedTuple):
    """The newest generation, as the database has it.

    Attributes:
        generation: Its number.
        head: Its freshness.
        digest: The SHA-256 of its manifest, in hexadecimal. It tells it from another one with the same number.
    """

    generation: int
    head: Head
    digest: str


class Stored(NamedTuple):
    """A generation in the database.

    Attributes:
        manifest: Its segments.
        blobs: Where the files of each segment are, by segment id.
        checks: What the checks found of it; None if they were not made.
        digest: The SHA-256 of its manifest, in hexadecimal.
        body: The file of its manifest.
    """

    manifest: Manifest
    blobs: Mapping[str, Key]
    checks: CheckReport | None
    digest: str
    body: bytes


class Generations:
    """The generations of one shared cache.

    Args:
        database: Stores them.
        leadership: Holds the sync term, without which nothing is written.
    """

    def __init__(self, database: Database, leadership: SharedLeadership) -> None:
        self._database = database
        self._leadership = leadership

    def pointer(self) -> Pointer | None:
        """Returns the pointer; None before the first publish."""
        for generation, head, digest in self._database.rows(_POINTER):
            if generation is not None:
                return Pointer(generation, Head.model_validate_json(head), digest)
        return None

    def digests(self) -> dict[int, str]:
        """Returns the digests of the manifests that are kept, by number, in ascending order."""
        return dict(self._database.rows(_GENERATIONS))

    def read(self, generation: int) -> Stored:
        """Returns a generation.

        Raises:
            UnknownGeneration: It is not kept.
        """
        for body, blobs, checks, digest in self._database.rows(_MANIFEST, generation=generation):
            keys = {segment: Key(segment, epoch) for segment, epoch in json.loads(blobs).items()}
            report = decode(CheckReport, checks.encode()) if checks else None
            return Stored(decode(Manifest, body.encode()), keys, report, digest, body.encode())
        raise UnknownGeneration.of(generation)

    def publish(
        self,
        manifest: Manifest,
        head: Head,
        blobs: Mapping[str, Key],
        changes: bytes | None = None,
        checks: CheckReport | None = None,
    ) -> None:
        """Makes a generation the newest.

        Args:
            manifest: The generation. Its segments are uploaded.
            head: Its freshness.
            blobs: Where the files of each segment are, by segment id.
            changes: Its change list, if its changes are known.
            checks: What the checks found of it.

        Raises:
            SyncLost: Another process has the sync term.
            PublishConflict: The parent is no longer the newest generation.
            PublishUnknown: The database does not answer, and it is not known whether the generation was published.
        """
        parts = [changes[start : start + PART] for start in range(0, len(changes), PART)] if changes else []
        for part, data in enumerate(parts):
            self._fenced(_PUT_CHANGES, generation=manifest.generation, part=part, data=data)
        body = encode(manifest)
        digest = hashlib.sha256(body).hexdigest()
        values = {
            "generation": manifest.generation,
            "parent": manifest.parent,
            "head": head.model_dump_json(),
            "digest": digest,
            "body": body.decode(),
            "blobs": json.dumps({segment: key.epoch for segment, key in blobs.items()}),
            "checks": encode(checks).decode() if checks else None,
            "parts": len(parts),
        }
        self._move(_PUBLISH, values, manifest.parent, (manifest.generation, head, digest))

    def confirm(self, head: Head) -> None:
        """Records that the newest generation was verified again.

        Raises:
            SyncLost: Another process has the sync term.
            PublishConflict: The generation is no longer the newest.
            PublishUnknown: The database does not answer, and it is not known whether this was recorded.
        """
        values = {"generation": head.generation, "head": head.model_dump_json()}
        before = self.pointer()
        digest = before.digest if before else ""
        self._move(_CONFIRM, values, head.generation, (head.generation, head, digest))

    def keys(self) -> dict[str, Key]:
        """Returns where the files of each segment are that a kept generation or the draft names, by segment id."""
        rows = self._database.rows(_KEYS)
        return {segment: Key(segment, epoch) for (blobs,) in rows for segment, epoch in json.loads(blobs).items()}

    def changes(self, generation: int) -> bytes | None:
        """Returns the change list of a generation; None if it has none."""
        parts: list[bytes] = []
        while rows := self._database.rows(_GET_CHANGES, generation=generation, part=len(parts)):
            parts.append(bytes(rows[0][0]))
        return b"".join(parts) if parts else None

    def save_draft(self, draft: Draft, blobs: Mapping[str, Key]) -> None:
        """Saves the draft of a first load, whose segments are uploaded. The next publish removes it.

        Raises:
            SyncLost: Another process has the sync term.
        """
        epochs = json.dumps({segment: key.epoch for segment, key in blobs.items()})
        self._fenced(_SAVE_DRAFT, body=encode(draft).decode(), blobs=epochs)

    def draft(self) -> tuple[Draft, Mapping[str, Key]] | None:
        """Returns the draft of an interrupted first load, and where the files of its segments are."""
        for body, blobs in self._database.rows(_DRAFT):
            keys = {segment: Key(segment, epoch) for segment, epoch in json.loads(blobs).items()}
            return decode(Draft, body.encode()), keys
        return None

    def collect(self, keep_changes: timedelta = timedelta(days=30), keep: int = KEPT_GENERATIONS) -> None:
        """Removes generations that are neither among the newest nor recently replaced, and files that nothing names.

        Files that this term uploaded stay: they may be of a generation that is about to be published.

        Args:
            keep_changes: How long change lists are kept.
            keep: How many of the newest generations stay.

        Raises:
            SyncLost: Another process has the sync term.
        """
        self._fenced(_COLLECT, keep_changes=keep_changes, keep=keep)
        try:  # without it, the table would keep the space of all that was deleted
            self._database.rows("VACUUM orders_cache.blobs")
        except CacheError as error:
            log.warning("orders_cache.blobs is not vacuumed: %s", error.message)

    def _move(self, sql: str, values: Mapping[str, object], parent: int | None, moved: tuple[int, Head, str]) -> None:
        """Moves the pointer. If the answer is lost, reads what has become of it."""
        term = self._leadership.term()
        end = time.monotonic() + TERM_SECONDS
        while True:
            try:
                done = self._database.write("sync", sql, epoch=term.epoch, token=term.token, **values)
            except CacheUnreachable as error:
                now = self._answer(end)
                if now is None:
                    raise PublishUnknown() from error
                if now.pointer and tuple(now.pointer) == moved:
                    return
                if (now.pointer.generation if now.pointer else None) != parent:
                    raise PublishUnknown() from error
                continue
            if done:
                return
            pointer = self.pointer()
            if pointer and tuple(pointer) == moved:
                return  # sent twice; the first one ran after it was looked up, when its connection was cut already
            if (pointer.generation if pointer else None) != parent:
                raise PublishConflict(f"Generation {parent} is no longer the newest.")
            raise self._leadership.lost(term)

    def _answer(self, end: float) -> _Answer | None:
        """The pointer, once the database answers again; None if it does not while this process trusts its term."""
        while time.monotonic() < end:
            try:
                return _Answer(self.pointer())
            except CacheUnreachable:
                time.sleep(RETRY_SECONDS)
        return None

    def _fenced(self, sql: str, **values: object) -> None:
        term = self._leadership.term()
        if not self._database.write("sync", sql, epoch=term.epoch, token=term.token, **values):
            raise self._leadership.lost(term)


class _Answer(NamedTuple):
    pointer: Pointer | None
