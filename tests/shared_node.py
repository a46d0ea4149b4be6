"""A host of a shared cache that publishes again and again, and is stopped at chosen places. For test_shared_chaos.py.

Not a test: a program. It appends to a file what it does and what its reader sees. A line on its standard input, such as
`publish sent stop`, arms a fault: at the next publish, once the statement is sent, the process stops itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.waiting import Wait
from pydantic import BaseModel

from cache.storage import records

SILENT = timedelta(seconds=1.2)  # in the place of eight seconds: more takeovers fit in the time of a test
if __name__ == "__main__":  # a test that imports this keeps the time of the product
    records.SILENT_AFTER = SILENT  # before the statements are made

from cache_factory import confirm, order, publish  # noqa: E402
from host_process import History, set_clock  # noqa: E402

from cache.errors import CacheError  # noqa: E402
from cache.storage.documents import Document  # noqa: E402
from cache.storage.records import Run, Worker  # noqa: E402
from cache.storage.shared import blobs, generations, runs, shared_cache, terms  # noqa: E402
from cache.storage.shared.database import Database, Row  # noqa: E402
from cache.storage.store import Cache  # noqa: E402

SOURCE = "shop.orders"
ROWS = 12
TERM = " AND epoch = %(epoch)s AND token = %(token)s"
PARENT = "AND generation IS NOT DISTINCT FROM %(parent)s"
KINDS, PLACES = ("publish", "upload", "collect"), ("before", "sent", "after")


class Said(BaseModel, frozen=True):
    """A document that grows with each change."""

    words: tuple[str, ...] = ()


SAID = Document("said", Said)


class Faults:
    """The fault that comes next."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._armed: tuple[str, ...] = ()

    def arm(self) -> None:
        """Read faults from standard input, for ever."""
        for line in sys.stdin:
            self._armed = tuple(line.split())
        os._exit(0)  # the test has ended

    def pass_by(self, kind: str, place: str, connection: psycopg.Connection[Any] | None = None) -> None:
        if self._armed[:2] != (kind, place):
            return
        fault, self._armed = self._armed[2], ()
        self._history.add("fault", kind=kind, place=place, fault=fault)
        if fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "cut" and connection is not None:
            with socket.socket(fileno=os.dup(connection.fileno())) as cut, suppress(OSError):
                cut.shutdown(socket.SHUT_RDWR)


def watch(history: History, faults: Faults) -> None:
    """Note each fenced write and what became of it, and pass by the faults around it and inside it."""
    now = threading.local()
    wait = psycopg.Connection.wait

    def watched(connection: psycopg.Connection[Any], steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        try:
            state = next(steps)
            while True:
                if state == Wait.R and (kind := getattr(now, "kind", "")):  # all is sent
                    faults.pass_by(kind, "sent", connection)
                state = steps.send((yield state))
        except StopIteration as ended:
            return ended.value

    def waiting(connection: Any, steps: Any, *more: Any, **options: Any) -> Any:
        return wait(connection, watched(connection, steps), *more, **options)

    psycopg.Connection.wait = waiting  # type: ignore[assignment,method-assign]

    def noted(call: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
        def run(self: Database, *words: str, **values: Any) -> list[Row]:
            if "epoch" not in values or "at" in values:
                return call(self, *words, **values)
            kind = _kind(call.__name__, values)
            faults.pass_by(kind, "before")
            began, now.kind = time.monotonic(), kind
            try:
                found = call(self, *words, **values)
            except CacheError as error:
                history.add("write", kind=kind, epoch=values["epoch"], began=began, failed=error.code)
                raise
            finally:
                now.kind = ""
            told = {name: values[name] for name in ("generation", "digest", "parent") if name in values}
            history.add("write", kind=kind, epoch=values["epoch"], began=began, accepted=bool(found), **told)
            faults.pass_by(kind, "after")
            return found

        return run

    for name in ("write", "upload", "renew"):
        setattr(Database, name, noted(getattr(Database, name)))


def _kind(method: str, values: dict[str, Any]) -> str:
    if method == "upload":
        return "upload"
    if "parent" in values:
        return "publish"
    return "collect" if "keep_changes" in values else "other"


def shorten() -> None:
    """All times in proportion to SILENT, and a superseded generation that is removed after seconds."""
    terms.RENEW_SECONDS = SILENT.total_seconds() / 4
    terms.PATIENCE_SECONDS = 0.1
    generations.TERM_SECONDS = SILENT.total_seconds() * 3 / 4
    generations._COLLECT = generations._COLLECT.replace("interval '15 min'", "interval '2 s'")


def remove(conditions: str) -> None:
    """Remove conditions of the store: the checker has to find it out.

    Parameters: `conditions` has the words `fence` and `parent`, or none.
    """
    without = [text for word, text in (("fence", TERM), ("parent", PARENT)) if word in conditions]
    for module in (blobs, generations, runs, terms):
        for name, sql in vars(module).items():
            if isinstance(sql, str) and name.startswith("_") and "held AS" in sql:
                for text in without:
                    sql = sql.replace(text, "")
                setattr(module, name, sql)


def read(cache: Cache, history: History) -> None:
    """What a reader of this host sees."""
    seen: object = None
    cache.snapshots.follow()
    while True:
        pointer = cache.snapshots.pointer()
        if pointer != seen:
            try:
                snapshot = cache.snapshots.open()
                rows = json.loads(b"[" + b"".join(snapshot.json_slices()) + b"]")
            except CacheError as error:
                history.add("refused", code=error.code)
            else:
                seen = pointer
                marks = {row["note"] for row in rows}
                history.add("seen", generation=snapshot.generation, marks=sorted(marks), rows=len(rows))
        time.sleep(0.02)


def beat(cache: Cache, name: str) -> None:
    worker = Worker(host=name)
    while True:
        with suppress(CacheError):
            cache.leadership.heartbeat(worker)
        time.sleep(SILENT.total_seconds() / 4)


def sync(cache: Cache, history: History, mark: str) -> None:
    """What a sync does. Each generation holds its mark in every row."""
    asked = time.monotonic()
    with cache.leadership.sync_lock():
        history.add("took", epoch=cache.leadership.term().epoch, began=asked)  # type: ignore[attr-defined]
        cache.runs.recover()
        cache.snapshots.catch_up()
        run = Run(trigger=mark)
        cache.runs.begin(run)
        head = publish(cache, [{**order(i), "note": mark} for i in range(ROWS)])
        history.add("published", generation=head.generation, mark=mark)
        confirm(cache, records.now())
        cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": head.generation}))


def main() -> None:
    url, folder, name, conditions, ahead = sys.argv[1:]
    history = History(Path(folder) / "history")
    faults = Faults(history)
    shorten()
    remove(conditions)
    watch(history, faults)
    set_clock(timedelta(hours=float(ahead)))
    cache = shared_cache.open_shared(url, SOURCE, Path(folder) / "cache", name)
    for target, arguments in ((faults.arm, ()), (read, (cache, history)), (beat, (cache, name))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    while not (Path(folder) / "rest").exists():
        mark = f"{name}-{time.monotonic_ns()}"
        try:
            sync(cache, history, mark)
        except CacheError as error:
            history.add("failed", code=error.code, mark=mark)
        with suppress(CacheError):
            cache.documents.change(SAID, lambda said, mark=mark: Said(words=(*said.words, mark)))  # type: ignore[misc]
            history.add("said", word=mark)
        with suppress(CacheError):
            history.add("requested", task=cache.runs.request(name).id)
        time.sleep(random.uniform(0, 0.1))
    while True:  # only its reader goes on
        time.sleep(1)


if __name__ == "__main__":
    main()
