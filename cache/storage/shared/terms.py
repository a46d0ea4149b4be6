"""Leadership: two terms, each held by one process at a time, for the leader and for the sync.

A term is held for as long as its holder renews it, by the clock of the database. The age is absolute, since that clock
may step back. Each new holder gets the next epoch and a random token. A write of a sync names both (`FENCE`), so it
changes nothing once another process has the term. The token fences also where an epoch is repeated, after a failover
that lost commits.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from cache.errors import CacheError, SyncLost, SyncRunning
from cache.storage.damage import intact
from cache.storage.records import SILENT_AFTER, WORKERS, Lease, Worker, new_id
from cache.storage.shared import schema
from cache.storage.shared.database import NOTIFY, Database, text_of
from cache.storage.store import Leadership

log = logging.getLogger(__name__)

SILENT = f"interval '{SILENT_AFTER.total_seconds():g} s'"
RENEW_SECONDS = 2.0
PATIENCE_SECONDS, RETRY_SECONDS = 1.0, 0.1  # `Cache.recover` holds the sync term for a moment

FENCE = """held AS (
    UPDATE orders_cache.terms SET renewed = clock_timestamp(), version = version + 1
    WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
    RETURNING version
)"""
"""The rows of a fenced write come from `held`. It is an UPDATE and no FOR SHARE, since the row also counts the changes:
two writes that share the row and then both change it would wait for each other."""

_AT = "COALESCE(%(at)s::timestamptz, clock_timestamp())"
_TAKE = f"""
UPDATE orders_cache.terms SET
    epoch = epoch + (holder IS DISTINCT FROM %(holder)s)::int,
    token = CASE WHEN holder IS DISTINCT FROM %(holder)s THEN gen_random_uuid() ELSE token END,
    taken = CASE WHEN holder IS DISTINCT FROM %(holder)s THEN clock_timestamp() ELSE taken END,
    holder = %(holder)s, host = %(host)s, renewed = {_AT}
WHERE source = %(source)s AND name = %(locked)s
    AND (holder = %(holder)s OR renewed NOT BETWEEN {_AT} - {SILENT} AND {_AT} + {SILENT})
RETURNING epoch, token::text
"""
_RENEW = """
UPDATE orders_cache.terms SET renewed = clock_timestamp()
WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
RETURNING true
"""
_END = """
UPDATE orders_cache.terms SET renewed = '-infinity'
WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
"""
_HOLDER = """
SELECT host, to_char(taken AT TIME ZONE 'UTC', 'HH24:MI') FROM orders_cache.terms
WHERE source = %(source)s AND name = 'sync' AND holder <> %(holder)s
"""
_BEAT = f"""{_TAKE};
WITH beat AS (
    SELECT leads, renewed AS taken, %(body)s::jsonb || jsonb_build_object('leader', leads) AS body
    FROM (
        SELECT COALESCE(holder = %(holder)s, false) AS leads, renewed FROM orders_cache.terms
        WHERE source = %(source)s AND name = 'leader'
    ) AS leader
), changed AS (
    UPDATE orders_cache.terms SET version = version + 1 FROM beat
    WHERE source = %(source)s AND name = 'leader' AND NOT EXISTS (
        SELECT FROM orders_cache.workers AS worker
        WHERE worker.source = %(source)s AND worker.id = %(holder)s AND worker.body = beat.body
    )
    RETURNING {NOTIFY}
), written AS (
    INSERT INTO orders_cache.workers (source, id, beat, body)
    SELECT %(source)s, %(holder)s, {_AT}, body FROM beat
    ON CONFLICT (source, id) DO UPDATE SET beat = excluded.beat, body = excluded.body
), gone AS (
    DELETE FROM orders_cache.workers
    WHERE source = %(source)s AND id <> %(holder)s
        AND beat NOT BETWEEN {_AT} - 10 * {SILENT} AND {_AT} + 10 * {SILENT}
)
SELECT leads, CASE WHEN isfinite(taken) THEN extract(epoch FROM taken - {_AT} + {SILENT}) ELSE 0 END::float8 FROM beat
"""
_RESIGN = f"""
WITH gone AS (
    DELETE FROM orders_cache.workers WHERE source = %(source)s AND id = %(holder)s
), changed AS (
    UPDATE orders_cache.terms SET
        version = version + 1, renewed = CASE WHEN holder = %(holder)s THEN '-infinity' ELSE renewed END
    WHERE source = %(source)s AND name = 'leader'
    RETURNING version
)
SELECT {NOTIFY} FROM changed
"""
_WORKERS = f"""
SELECT body::text FROM orders_cache.workers
WHERE source = %(source)s AND beat BETWEEN clock_timestamp() - {SILENT} AND clock_timestamp() + {SILENT}
"""


@dataclass(frozen=True)
class Term:
    """The sync term as this process took it. Fenced writes name epoch and token."""

    holder: str
    epoch: int
    token: str


class SharedLeadership(Leadership):
    """The terms of one shared cache.

    Args:
        database: Stores the terms and the workers.
        host: Names this machine to others.
    """

    def __init__(self, database: Database, host: str | None = None) -> None:
        self._database = database
        self._host = host or socket.gethostname()
        self._term: Term | None = None

    @override
    def workers(self) -> tuple[Worker, ...]:
        workers = intact(Worker, (body for (body,) in self._database.rows(_WORKERS)), WORKERS)
        return tuple(sorted(workers, key=lambda worker: not worker.leader))

    @override
    def heartbeat(self, worker: Worker, at: datetime | None = None) -> Lease:
        body = text_of(json.dumps({**worker.model_dump(mode="json"), "format": schema.FORMAT}))
        beat = self._database.renew("leader", _BEAT, holder=worker.id, host=worker.host, body=body, at=at)
        ((leads, free_in),) = beat
        return Lease(leads, free_in)

    @override
    def resign(self, worker: Worker) -> None:
        self._database.write("leader", _RESIGN, holder=worker.id)

    @override
    @contextmanager
    def sync_lock(self) -> Iterator[None]:
        self._term = term = self._take()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(term, ended), name="sync term", daemon=True)
        renewal.start()
        try:
            yield
        finally:
            self._term = None
            ended.set()
            renewal.join()
            self._end(term)

    def term(self) -> Term:
        """Returns the sync term that this process took. Another one may have taken it over since.

        Raises:
            SyncLost: This process has not taken it.
        """
        if self._term is None:
            raise SyncLost()
        return self._term

    def lost(self, term: Term) -> SyncLost:
        """Returns the error for a term that another process took over."""
        seconds = SILENT_AFTER.total_seconds()
        for host, taken in self._database.rows(_HOLDER, holder=term.holder):
            return SyncLost.to(host, f"{taken} UTC", self._host, seconds)
        return SyncLost()

    def _take(self) -> Term:
        holder = new_id()  # of its own for each sync: a write of an earlier sync of this process is fenced too
        end = time.monotonic() + PATIENCE_SECONDS
        while not (taken := self._database.write("sync", _TAKE, holder=holder, host=self._host, at=None)):
            if time.monotonic() >= end:
                hosts = self._database.rows(_HOLDER, holder=holder)
                where = f" on host {hosts[0][0]}" if hosts else ""
                raise SyncRunning(f"Another sync is running{where}.")
            time.sleep(RETRY_SECONDS)
        ((epoch, token),) = taken
        return Term(holder, epoch, token)

    def _renew(self, term: Term, ended: threading.Event) -> None:
        """Renews the term while the sync is silent, in its login for example. Its writes renew it too."""
        while not ended.wait(RENEW_SECONDS):
            try:
                if not self._database.renew("sync", _RENEW, epoch=term.epoch, token=term.token):
                    return  # the next fenced write says so
            except CacheError as error:
                log.warning("sync term not renewed: %s", error.message)

    def _end(self, term: Term) -> None:
        try:
            self._database.write("sync", _END, epoch=term.epoch, token=term.token)
        except CacheError as error:  # the term ends by itself
            log.warning("sync term not given up: %s", error.message)
