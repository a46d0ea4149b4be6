"""Leadership: a lease in the journal, and a file lock that only one sync holds at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout
from typing_extensions import override

from cache.errors import SyncRunning
from cache.storage.damage import intact
from cache.storage.local.atomic_files import disk_errors
from cache.storage.local.journal import Journal
from cache.storage.records import SILENT_AFTER, WORKERS, Lease, Worker, now
from cache.storage.store import Leadership


class LocalLeadership(Leadership):
    """The lease and the sync lock of one cache.

    Args:
        journal: Stores the workers and the lease.
        lock: The file that a sync locks.
    """

    def __init__(self, journal: Journal, lock: Path) -> None:
        self._journal = journal
        self._lock = lock

    @override
    def workers(self) -> tuple[Worker, ...]:
        rows = self._journal.rows("SELECT body FROM workers WHERE beat_at BETWEEN ? AND ?", *_alive(now()))
        workers = intact(Worker, (body for (body,) in rows), WORKERS)
        return tuple(sorted(workers, key=lambda worker: not worker.leader))

    @override
    def heartbeat(self, worker: Worker, at: datetime | None = None) -> Lease:
        at = at or now()
        with self._journal.write(bump=False) as db:
            before = db.execute("SELECT body FROM workers WHERE id = ?", (worker.id,)).fetchone()
            holder = db.execute(
                "SELECT worker, beat_at FROM lease JOIN workers ON worker = id "
                "WHERE name = 'leader' AND beat_at BETWEEN ? AND ?",
                _alive(at),
            ).fetchone()
            leads = holder is None or holder[0] == worker.id
            if leads:
                db.execute("REPLACE INTO lease VALUES ('leader', ?)", (worker.id,))
            body = worker.model_copy(update={"leader": leads}).model_dump_json()
            db.execute("REPLACE INTO workers VALUES (?, ?, ?)", (worker.id, at.isoformat(), body))
            db.execute("DELETE FROM workers WHERE beat_at NOT BETWEEN ? AND ?", _alive(at, 10 * SILENT_AFTER))
            if before is None or before[0] != body:
                db.execute("UPDATE version SET n = n + 1")
        if holder is None or leads:
            return Lease(leads)
        return Lease(leads, (datetime.fromisoformat(holder[1]) + SILENT_AFTER - at).total_seconds())

    @override
    def resign(self, worker: Worker) -> None:
        with self._journal.write() as db:
            db.execute("DELETE FROM lease WHERE worker = ?", (worker.id,))
            db.execute("DELETE FROM workers WHERE id = ?", (worker.id,))

    @override
    @contextmanager
    def sync_lock(self) -> Iterator[None]:
        lock = FileLock(self._lock, thread_local=False)
        with disk_errors():
            try:
                lock.acquire(timeout=1)  # `Cache.recover` holds it for a moment
            except Timeout as error:
                raise SyncRunning("Another sync is running.") from error
        try:
            yield
        finally:
            lock.release()


def _alive(at: datetime, silent: timedelta = SILENT_AFTER) -> tuple[str, str]:
    """Returns the bounds for the heartbeat of a living worker. A later one was written while the clock was wrong."""
    return (at - silent).isoformat(), (at + silent).isoformat()
