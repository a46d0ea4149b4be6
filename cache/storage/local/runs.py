"""Stores requests for a sync, and the syncs that answer them, in the journal."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence

from typing_extensions import override

from cache.errors import NoWorker, Trouble, UnknownTask
from cache.storage.damage import intact
from cache.storage.local.journal import Journal
from cache.storage.local.leadership import LocalLeadership
from cache.storage.records import (
    DIED,
    KEPT_RUNS,
    KEPT_TASKS,
    MAX_TRIES,
    RUNS,
    SILENT_AFTER,
    TASKS,
    Run,
    Task,
    new_id,
    now,
)
from cache.storage.store import Runs

POLL_SECONDS = 0.02  # a poll takes microseconds; readers must see a change within 100 ms


class LocalRuns(Runs):
    """The requests and syncs of one cache.

    Args:
        journal: Stores the requests and the syncs.
        leadership: Lists the workers that are alive.
    """

    def __init__(self, journal: Journal, leadership: LocalLeadership) -> None:
        self._journal = journal
        self._leadership = leadership

    @override
    def version(self) -> int:
        return self._journal.version()

    @override
    def known_version(self) -> int:
        return self._journal.version()

    @override
    def wait(self, version: int, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (current := self.version()) == version and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return current

    @override
    def request(self, by: str, accept: bool = False, automatic: bool = False) -> Task:
        if not self._leadership.workers():
            self.require_writable()  # a full disk stops the heartbeats of schedulers
            raise NoWorker()
        task = Task(
            id=new_id(), requested_at=now(), requested_by=by, automatic=automatic, state="queued", accept=accept
        )
        with self._journal.write() as db:
            if automatic and (error := _last_error(db)) and error.stops_schedule:
                task = _failed(task, error)
            _save_task(db, task)
            db.execute("DELETE FROM tasks WHERE n <= (SELECT MAX(n) FROM tasks) - ?", (KEPT_TASKS,))
        return task

    @override
    def require_writable(self) -> None:
        self._journal.require_writable()

    @override
    def task(self, id: str) -> Task:
        rows = self._journal.rows("SELECT body FROM tasks WHERE id = ?", id)
        for task in intact(Task, _bodies(rows), TASKS):
            return task
        raise UnknownTask()

    @override
    def queued(self) -> int:
        return int(self._journal.rows("SELECT COUNT(*) FROM tasks WHERE state = 'queued'")[0][0])

    @override
    def recent(self, limit: int = 20) -> list[Run]:
        rows = self._journal.rows("SELECT body FROM runs ORDER BY n DESC LIMIT ?", limit)
        return list(intact(Run, _bodies(rows), RUNS))

    @override
    def running(self) -> Run | None:
        rows = self._journal.rows("SELECT body FROM runs WHERE outcome = 'running' ORDER BY n DESC LIMIT 1")
        alive = (run for run in intact(Run, _bodies(rows), RUNS) if abs(now() - run.beat_at) < SILENT_AFTER)
        return next(alive, None)

    @override
    def recover(self) -> None:
        if not self._journal.rows("SELECT id FROM runs WHERE outcome = 'running'"):
            return
        with self._journal.write() as db:
            for id, body in db.execute("SELECT id, body FROM runs WHERE outcome = 'running'").fetchall():
                db.execute("UPDATE runs SET outcome = 'failed' WHERE id = ?", (id,))  # also if its record is damaged
                for run in intact(Run, [body], RUNS):
                    _save_run(db, run.model_copy(update={"outcome": "failed", "finished_at": now(), "error": DIED}))
                for task in _claimed(db, id):
                    again = task.tries < MAX_TRIES
                    task = task.model_copy(update={"state": "queued"}) if again else _failed(task, DIED)
                    _save_task(db, task.model_copy(update={"run": None}))

    @override
    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        claimed = []
        with self._journal.write() as db:
            _save_run(db, run)
            db.execute("DELETE FROM runs WHERE n <= (SELECT MAX(n) FROM runs) - ?", (KEPT_RUNS,))
            waiting = _queued(db) if claim else []
            if claim:  # also damaged requests: nobody waits for them any more
                db.execute("UPDATE tasks SET state = 'failed' WHERE state = 'queued'")
            for task in waiting:
                task = task.model_copy(update={"state": "running", "run": run.id, "tries": task.tries + 1})
                _save_task(db, task)
                claimed.append(task)
        return claimed

    @override
    def report(self, run: Run) -> None:
        body = run.model_copy(update={"beat_at": now(), "outcome": "running"}).model_dump_json()
        with self._journal.write() as db:
            db.execute("UPDATE runs SET body = ? WHERE id = ? AND outcome = 'running'", (body, run.id))

    @override
    def restore(self, runs: Sequence[Run]) -> None:
        with self._journal.write() as db:
            if not db.execute("SELECT 1 FROM runs LIMIT 1").fetchall():
                for run in reversed(runs):
                    _save_run(db, run)

    @override
    def finish(self, run: Run) -> None:
        state = "failed" if run.error else "completed"
        result = {"generation": run.generation, "changes": run.changes, "error": run.error, "finished_at": now()}
        with self._journal.write() as db:
            _save_run(db, run.model_copy(update={"finished_at": now(), "beat_at": now()}))
            for task in _claimed(db, run.id):
                _save_task(db, task.model_copy(update={"state": state, **result}))
            if run.error and run.error.stops_schedule:
                for task in _queued(db):
                    if task.automatic:
                        _save_task(db, _failed(task, run.error))


def _bodies(rows: Iterable[tuple[str]]) -> Iterator[str]:
    return (body for (body,) in rows)


def _failed(task: Task, error: Trouble) -> Task:
    return task.model_copy(update={"state": "failed", "error": error, "finished_at": now()})


def _last_error(db: sqlite3.Connection) -> Trouble | None:
    """The error of the last sync that ended."""
    rows = db.execute("SELECT body FROM runs WHERE outcome != 'running' ORDER BY n DESC LIMIT 1").fetchall()
    return next((run.error for run in intact(Run, _bodies(rows), RUNS)), None)


def _queued(db: sqlite3.Connection) -> list[Task]:
    rows = db.execute("SELECT body FROM tasks WHERE state = 'queued' ORDER BY n").fetchall()
    return list(intact(Task, _bodies(rows), TASKS))


def _claimed(db: sqlite3.Connection, run: str) -> list[Task]:
    rows = db.execute("SELECT body FROM tasks WHERE state = 'running' AND run = ?", (run,)).fetchall()
    return list(intact(Task, _bodies(rows), TASKS))


def _save_task(db: sqlite3.Connection, task: Task) -> None:
    db.execute(
        "INSERT INTO tasks (id, state, run, body) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (id) DO UPDATE SET state = ?2, run = ?3, body = ?4",
        (task.id, task.state, task.run, task.model_dump_json()),
    )


def _save_run(db: sqlite3.Connection, run: Run) -> None:
    db.execute(
        "INSERT INTO runs (id, outcome, body) VALUES (?1, ?2, ?3) "
        "ON CONFLICT (id) DO UPDATE SET outcome = ?2, body = ?3",
        (run.id, run.outcome, run.model_dump_json()),
    )
