"""Stores requests for a sync, and the syncs that answer them, in PostgreSQL.

The times and the order of records are those of the database: the clocks of hosts never matter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from typing_extensions import override

from cache.errors import CacheUnreachable, NoWorker, UnknownTask
from cache.storage.damage import intact
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.records import DIED, KEPT_RUNS, KEPT_TASKS, MAX_TRIES, RUNS, TASKS, Run, Task, new_id
from cache.storage.shared.changes import Changes
from cache.storage.shared.database import NOTIFY, Database, text_of
from cache.storage.shared.terms import FENCE, SILENT, SharedLeadership
from cache.storage.store import Runs

REACH_SECONDS = 5.0  # how long the state of a request waits for a generation that this host is still copying


def _utc(at: str) -> str:
    """The SQL of a time as records have it."""
    return f"""to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _with(fields: str) -> str:
    """The SQL of a body with other fields. A body that is no object is damaged, and stays as it is."""
    return f"CASE WHEN jsonb_typeof(body) = 'object' THEN body || jsonb_build_object({fields}) ELSE body END"


_NOW = _utc("clock_timestamp()")
_TASK = _with("'state', state, 'run', run, 'tries', tries") + "::text"
_RUN = (
    _with(
        f"'outcome', outcome, 'started_at', {_utc('started')}, 'beat_at', {_utc('beat')}, "
        f"'finished_at', {_utc('finished')}"
    )
    + "::text"
)
_DIED = "'error', %(died)s::jsonb"

_READ_TASK = f"SELECT {_TASK} FROM orders_cache.tasks WHERE source = %(source)s AND id = %(id)s"
_CLAIMED = f"""
SELECT {_TASK} FROM orders_cache.tasks
WHERE source = %(source)s AND state = 'running' AND run = %(run)s ORDER BY n
"""
_QUEUED = "SELECT count(*) FROM orders_cache.tasks WHERE source = %(source)s AND state = 'queued'"
_RECENT = f"SELECT {_RUN} FROM orders_cache.runs WHERE source = %(source)s ORDER BY n DESC LIMIT %(limit)s"
_RUNNING = f"""
SELECT {_RUN} FROM (
    SELECT * FROM orders_cache.runs WHERE source = %(source)s AND outcome = 'running' ORDER BY n DESC LIMIT 1
) AS newest WHERE beat BETWEEN clock_timestamp() - {SILENT} AND clock_timestamp() + {SILENT}
"""
_TOUCH = "UPDATE orders_cache.terms SET version = version WHERE source = %(source)s AND name = %(locked)s"

_REQUEST = f"""
WITH changed AS (
    UPDATE orders_cache.terms SET version = version + 1 WHERE source = %(source)s AND name = 'sync' RETURNING version
), last AS (
    SELECT body -> 'error' AS error FROM orders_cache.runs
    WHERE source = %(source)s AND outcome <> 'running' ORDER BY n DESC LIMIT 1
), refusal AS (
    SELECT error FROM last WHERE %(automatic)s AND error ->> 'stops_schedule' = 'true'
), added AS (
    INSERT INTO orders_cache.tasks AS task (source, id, state, automatic, body)
    SELECT %(source)s, %(id)s, CASE WHEN error IS NULL THEN 'queued' ELSE 'failed' END, %(automatic)s,
        %(body)s::jsonb || jsonb_build_object('requested_at', {_NOW}, 'error', error)
            || CASE WHEN error IS NULL THEN '{{}}' ELSE jsonb_build_object('finished_at', {_NOW}) END
    FROM changed LEFT JOIN refusal ON true
    RETURNING {_TASK}
), old AS (
    DELETE FROM orders_cache.tasks WHERE source = %(source)s AND n <= (
        SELECT n FROM orders_cache.tasks WHERE source = %(source)s ORDER BY n DESC OFFSET %(others)s LIMIT 1
    )
)
SELECT added.*, {NOTIFY} FROM added
"""
_RECOVER = f"""
WITH {FENCE}, died AS (
    UPDATE orders_cache.runs SET outcome = 'failed', finished = clock_timestamp(), body = {_with(_DIED)}
    FROM held WHERE source = %(source)s AND outcome = 'running' RETURNING id
), again AS (
    UPDATE orders_cache.tasks SET state = 'queued', run = NULL
    WHERE source = %(source)s AND state = 'running' AND run IN (SELECT id FROM died) AND tries < %(max_tries)s
), failed AS (
    UPDATE orders_cache.tasks SET state = 'failed', run = NULL, body = {_with(f"{_DIED}, 'finished_at', {_NOW}")}
    WHERE source = %(source)s AND state = 'running' AND run IN (SELECT id FROM died) AND tries >= %(max_tries)s
)
SELECT {NOTIFY} FROM held
"""
_BEGIN = f"""
WITH {FENCE}, begun AS (
    INSERT INTO orders_cache.runs AS run (source, id, outcome, started, beat, body)
    SELECT %(source)s, %(id)s, %(outcome)s, clock_timestamp(), clock_timestamp(), %(body)s::jsonb FROM held
    ON CONFLICT (source, id) DO UPDATE SET outcome = excluded.outcome, beat = excluded.beat, body = excluded.body
), old AS (
    DELETE FROM orders_cache.runs USING held WHERE source = %(source)s AND n <= (
        SELECT n FROM orders_cache.runs WHERE source = %(source)s ORDER BY n DESC OFFSET %(others)s LIMIT 1
    )
), claimed AS (
    UPDATE orders_cache.tasks SET state = 'running', run = %(id)s, tries = tries + 1
    FROM held WHERE source = %(source)s AND state = 'queued' AND %(claim)s
)
SELECT {NOTIFY} FROM held
"""
_REPORT = f"""
WITH {FENCE}, reported AS (
    UPDATE orders_cache.runs SET beat = clock_timestamp(), body = %(body)s::jsonb
    FROM held WHERE source = %(source)s AND id = %(id)s AND outcome = 'running'
)
SELECT {NOTIFY} FROM held
"""
_RESTORE = f"""
WITH {FENCE}, restored AS (
    INSERT INTO orders_cache.runs (source, id, outcome, started, beat, finished, body)
    SELECT %(source)s, run ->> 'id', run ->> 'outcome', (run ->> 'started_at')::timestamptz,
        (run ->> 'beat_at')::timestamptz, (run ->> 'finished_at')::timestamptz, run
    FROM held, jsonb_array_elements(%(runs)s::jsonb) WITH ORDINALITY AS listed (run, place)
    WHERE NOT EXISTS (SELECT FROM orders_cache.runs WHERE source = %(source)s)
    ORDER BY place
)
SELECT {NOTIFY} FROM held
"""
_FINISH = f"""
WITH {FENCE}, finished AS (
    INSERT INTO orders_cache.runs AS run (source, id, outcome, started, beat, finished, body)
    SELECT %(source)s, %(id)s, %(outcome)s, clock_timestamp(), clock_timestamp(), clock_timestamp(), %(body)s::jsonb
    FROM held
    ON CONFLICT (source, id) DO UPDATE
    SET outcome = excluded.outcome, beat = excluded.beat, finished = excluded.finished, body = excluded.body
), answered AS (
    UPDATE orders_cache.tasks SET state = %(state)s,
        body = {_with(f"'finished_at', {_NOW}") + " || %(result)s::jsonb"}
    FROM held WHERE source = %(source)s AND state = 'running' AND run = %(id)s
), stopped AS (
    UPDATE orders_cache.tasks SET state = 'failed', body = {_with(f"'error', %(error)s::jsonb, 'finished_at', {_NOW}")}
    FROM held WHERE source = %(source)s AND state = 'queued' AND automatic AND %(stops)s
)
SELECT {NOTIFY} FROM held
"""


class SharedRuns(Runs):
    """The requests and syncs of one shared cache.

    Args:
        database: Stores the requests and the syncs.
        leadership: Lists the workers that are alive, and holds the sync term.
        changes: Counts the changes.
        files: The generations on this host: a request is completed here once its generation is among them.
    """

    def __init__(
        self, database: Database, leadership: SharedLeadership, changes: Changes, files: LocalSnapshots
    ) -> None:
        self._files = files
        self._database = database
        self._leadership = leadership
        self._changes = changes

    @override
    def version(self) -> int:
        return self._changes.version()

    @override
    def known_version(self) -> int:
        return self._changes.seen

    @override
    def wait(self, version: int, timeout: float) -> int:
        return self._changes.wait(version, timeout)

    @override
    def request(self, by: str, accept: bool = False, automatic: bool = False) -> Task:
        if not self._leadership.workers():
            self.require_writable()  # a full disk stops the heartbeats of schedulers
            raise NoWorker()
        id = new_id()
        body = json.dumps({"id": id, "requested_by": by, "automatic": automatic, "accept": accept})
        ((task, _),) = self._database.write(
            "sync", _REQUEST, id=id, automatic=automatic, body=text_of(body), others=KEPT_TASKS - 1
        )
        with suppress(CacheUnreachable):  # the request is recorded; whoever asks this process now must see it
            self._changes.look()
        return Task.model_validate_json(task)

    @override
    def require_writable(self) -> None:
        self._database.write("leader", _TOUCH)

    @override
    def task(self, id: str) -> Task:
        for task in intact(Task, self._bodies(_READ_TASK, id=id), TASKS):
            if task.state == "completed" and task.generation and not self._arrives(task.generation):
                return task.model_copy(update={"state": "running", "finished_at": None, "generation": None})
            return task
        raise UnknownTask()

    def _arrives(self, generation: int) -> bool:
        """Whether this host soon shows what a sync published.

        Behind a load balancer, another host may have said before that the request is completed.
        """
        end = time.monotonic() + REACH_SECONDS
        while True:
            seen = self._changes.seen
            if self._is_here(generation):
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._changes.wait(seen, left)

    def _is_here(self, generation: int) -> bool:
        """Whether this host shows what a sync published, or a restored database has lost it."""
        head = self._files.head()
        if head is not None and head.generation >= generation:
            return True
        pointer = self._changes.look()
        return pointer is None or pointer.generation < generation

    @override
    def queued(self) -> int:
        return int(self._database.rows(_QUEUED)[0][0])

    @override
    def recent(self, limit: int = 20) -> list[Run]:
        return list(intact(Run, self._bodies(_RECENT, limit=limit), RUNS))

    @override
    def running(self) -> Run | None:
        return next(intact(Run, self._bodies(_RUNNING), RUNS), None)

    @override
    def recover(self) -> None:
        self._fenced(_RECOVER, died=DIED.model_dump_json(), max_tries=MAX_TRIES)

    @override
    def begin(self, run: Run, claim: bool = True) -> list[Task]:
        self._fenced(_BEGIN, id=run.id, outcome=run.outcome, body=_body(run), others=KEPT_RUNS - 1, claim=claim)
        # Read apart: the answer may be long, and a process that is stopped in it would hold the row of the term.
        return list(intact(Task, self._bodies(_CLAIMED, run=run.id), TASKS))

    @override
    def report(self, run: Run) -> None:
        self._fenced(_REPORT, id=run.id, body=_body(run))

    @override
    def restore(self, runs: Sequence[Run]) -> None:
        self._fenced(_RESTORE, runs=f"[{','.join(_body(run) for run in reversed(runs))}]")

    @override
    def finish(self, run: Run) -> None:
        result = run.model_dump_json(include={"generation", "changes", "error"})
        self._fenced(
            _FINISH,
            id=run.id,
            outcome=run.outcome,
            body=_body(run),
            state="failed" if run.error else "completed",
            result=text_of(result),
            error=text_of(run.error.model_dump_json()) if run.error else None,
            stops=bool(run.error and run.error.stops_schedule),
        )

    def _fenced(self, sql: str, **values: object) -> None:
        """Writes while this process holds the sync term.

        Raises:
            SyncLost: It does not hold it, and nothing was written.
        """
        term = self._leadership.term()
        if not self._database.write("sync", sql, epoch=term.epoch, token=term.token, **values):
            raise self._leadership.lost(term)

    def _bodies(self, sql: str, **values: object) -> Iterator[str]:
        return (body for (body,) in self._database.rows(sql, **values))


def _body(run: Run) -> str:
    return text_of(run.model_dump_json())
