"""Who asks for refreshes, who runs them, and what came of it: an SQLite file beside the snapshots.

SQLite (WAL) makes each change all or nothing for every process of this machine, also when one is killed.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from cache.errors import CacheUnwritable, NoWorker, Trouble, UnknownTask
from cache.storage.records import Run, Task, Worker, new_id, now

SILENT_AFTER = timedelta(seconds=8)  # a worker or run without a heartbeat for so long is gone
TRIES = 3
KEPT_RUNS, KEPT_TASKS = 1_000, 10_000
POLL_SECONDS = 0.02  # a look takes microseconds, and readers are told within 100 ms

_SCHEMA = """
CREATE TABLE IF NOT EXISTS version (n INTEGER NOT NULL);
INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT * FROM version);
CREATE TABLE IF NOT EXISTS lease (name TEXT PRIMARY KEY, worker TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, beat_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (n INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, run TEXT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (n INTEGER PRIMARY KEY, id TEXT UNIQUE, outcome TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (state, run);
"""

_DAMAGED = (
    "Check that this user may write to the cache folder (CACHE_URL) and that its disk is not full. Where the file is "
    "damaged, end all processes and remove journal.sqlite*: snapshots stay, the history of syncs begins anew."
)
_DIED = Trouble(
    code="sync_died",
    message="The sync ended without a result: its process was killed or the machine ran out of memory.",
    advice="Press refresh to try again; if it repeats, look at the log and give the machine more memory.",
    transient=True,
)


class Journal:
    """Parameters: `path` of the SQLite file. Raises CacheUnwritable where it cannot be opened or written."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self._write(bump=False) as db:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
        except sqlite3.Error as error:
            raise CacheUnwritable(f"{path.name} in the cache folder cannot be opened: {error}.", _DAMAGED) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self, bump: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; `bump` tells readers that something they show has changed."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    if bump:
                        self._db.execute("UPDATE version SET n = n + 1")
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                raise CacheUnwritable(f"The journal of the cache cannot be written: {error}.") from error

    def _rows(self, sql: str, *values: object) -> list[tuple[str]]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise CacheUnwritable(f"The journal of the cache cannot be read: {error}.", _DAMAGED) from error

    # -- for everyone

    def version(self) -> int:
        return int(self._rows("SELECT n FROM version")[0][0])

    def wait(self, version: int, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (current := self.version()) == version and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return current

    def bump(self) -> None:
        """Tells readers that the pointer moved."""
        with self._write():
            pass

    def request(self, by: str, accept: bool = False) -> Task:
        if not self.workers():
            raise NoWorker("No scheduler is alive, so nobody would run this refresh.")
        task = Task(id=new_id(), requested_at=now(), requested_by=by, state="queued", accept=accept)
        with self._write() as db:
            self._save(db, task)
            db.execute("DELETE FROM tasks WHERE n <= (SELECT MAX(n) FROM tasks) - ?", (KEPT_TASKS,))
        return task

    def task(self, id: str) -> Task:
        found = self._rows("SELECT body FROM tasks WHERE id = ?", id)
        if not found:
            raise UnknownTask("There is no refresh with that id.")
        return Task.model_validate_json(found[0][0])

    def queued(self) -> int:
        return int(self._rows("SELECT COUNT(*) FROM tasks WHERE state = 'queued'")[0][0])

    def runs(self, limit: int) -> list[Run]:
        found = self._rows("SELECT body FROM runs ORDER BY n DESC LIMIT ?", limit)
        return [Run.model_validate_json(body) for (body,) in found]

    def running(self) -> Run | None:
        """The sync under way: recorded as running, and heard of lately."""
        found = self._rows("SELECT body FROM runs WHERE outcome = 'running' ORDER BY n DESC LIMIT 1")
        run = Run.model_validate_json(found[0][0]) if found else None
        return run if run and now() - run.beat_at < SILENT_AFTER else None

    def workers(self) -> tuple[Worker, ...]:
        """The workers that are alive, the leader first."""
        found = self._rows("SELECT body FROM workers WHERE beat_at > ?", (now() - SILENT_AFTER).isoformat())
        workers = (Worker.model_validate_json(body) for (body,) in found)
        return tuple(sorted(workers, key=lambda worker: not worker.leader))

    # -- for schedulers

    def stand(self, worker: Worker, at: datetime | None = None) -> bool:
        at = at or now()
        with self._write(bump=False) as db:
            before = db.execute("SELECT body FROM workers WHERE id = ?", (worker.id,)).fetchone()
            holder = db.execute(
                "SELECT worker FROM lease JOIN workers ON worker = id WHERE name = 'leader' AND beat_at > ?",
                ((at - SILENT_AFTER).isoformat(),),
            ).fetchone()
            leads = holder is None or holder[0] == worker.id
            if leads:
                db.execute("REPLACE INTO lease VALUES ('leader', ?)", (worker.id,))
            body = worker.model_copy(update={"leader": leads}).model_dump_json()
            db.execute("REPLACE INTO workers VALUES (?, ?, ?)", (worker.id, at.isoformat(), body))
            db.execute("DELETE FROM workers WHERE beat_at < ?", ((at - 10 * SILENT_AFTER).isoformat(),))
            if before is None or before[0] != body:
                db.execute("UPDATE version SET n = n + 1")
        return leads

    def leave(self, worker: Worker) -> None:
        with self._write() as db:
            db.execute("DELETE FROM lease WHERE worker = ?", (worker.id,))
            db.execute("DELETE FROM workers WHERE id = ?", (worker.id,))

    # -- for syncs, under the sync lock

    def recover(self) -> None:
        """Call it under the sync lock: then every run that is recorded as running is dead."""
        if not self._rows("SELECT id FROM runs WHERE outcome = 'running'"):
            return
        with self._write() as db:
            for (body,) in db.execute("SELECT body FROM runs WHERE outcome = 'running'").fetchall():
                run = Run.model_validate_json(body)
                ended = run.model_copy(update={"outcome": "failed", "finished_at": now(), "error": _DIED})
                self._save_run(db, ended)
                for task in self._claimed(db, run):
                    again = task.tries < TRIES
                    state = {"state": "queued"} if again else {"state": "failed", "error": _DIED, "finished_at": now()}
                    self._save(db, task.model_copy(update={**state, "run": None}))

    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        with self._write() as db:
            self._save_run(db, run)
            db.execute("DELETE FROM runs WHERE n <= (SELECT MAX(n) FROM runs) - ?", (KEPT_RUNS,))
            waiting = db.execute("SELECT body FROM tasks WHERE state = 'queued' ORDER BY n").fetchall()
            claimed = []
            for (body,) in waiting if claim else ():
                task = Task.model_validate_json(body)
                if task.requested_at > run.started_at:  # the next sync answers it
                    continue
                task = task.model_copy(update={"state": "running", "run": run.id, "tries": task.tries + 1})
                self._save(db, task)
                claimed.append(task)
        return claimed

    def report(self, run: Run) -> None:
        """A run that has ended stays as it ended, and one that has not is still running, whatever it will say."""
        body = run.model_copy(update={"beat_at": now(), "outcome": "running"}).model_dump_json()
        with self._write() as db:
            db.execute("UPDATE runs SET body = ? WHERE id = ? AND outcome = 'running'", (body, run.id))

    def finish(self, run: Run) -> None:
        state = "failed" if run.error else "completed"
        answer = {"generation": run.generation, "changes": run.changes, "error": run.error, "finished_at": now()}
        with self._write() as db:
            self._save_run(db, run.model_copy(update={"finished_at": now(), "beat_at": now()}))
            for task in self._claimed(db, run):
                self._save(db, task.model_copy(update={"state": state, **answer}))

    def _claimed(self, db: sqlite3.Connection, run: Run) -> list[Task]:
        found = db.execute("SELECT body FROM tasks WHERE state = 'running' AND run = ?", (run.id,)).fetchall()
        return [Task.model_validate_json(body) for (body,) in found]

    def _save(self, db: sqlite3.Connection, task: Task) -> None:
        db.execute(
            "INSERT INTO tasks (id, state, run, body) VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (id) DO UPDATE SET state = ?2, run = ?3, body = ?4",
            (task.id, task.state, task.run, task.model_dump_json()),
        )

    def _save_run(self, db: sqlite3.Connection, run: Run) -> None:
        db.execute(
            "INSERT INTO runs (id, outcome, body) VALUES (?1, ?2, ?3) "
            "ON CONFLICT (id) DO UPDATE SET outcome = ?2, body = ?3",
            (run.id, run.outcome, run.model_dump_json()),
        )
