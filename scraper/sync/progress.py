"""Reports the progress of a sync: to the cache, where all readers can show it, and to the terminal if there is one."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from cache.errors import CacheError, SyncLost
from cache.storage.records import Progress, Run
from cache.storage.store import Cache

log = logging.getLogger(__name__)

PHASES = {
    "login": "log in",
    "table": "read the columns",
    "checksums": "compare checksums",
    "rows": "export rows",
    "publish": "publish",
}
BEAT_SECONDS = 1.0
SHOW_SECONDS = 0.2


class Reporter:
    """Reports the run of a sync. Progress is written at most five times a second, a heartbeat once a second.

    Only the thread of the sync may call its methods. The heartbeat thread only reads the run. Once another host has
    taken over the sync, each method that reports progress raises SyncLost.

    Args:
        cache: The cache in which the run is recorded.
        run: The run at its beginning.

    Attributes:
        run: The run with its present progress.
    """

    def __init__(self, cache: Cache, run: Run) -> None:
        self.run = run
        self._cache = cache
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lost: SyncLost | None = None
        self._shown = 0.0
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(bar_format="{desc}: {n_fmt} {bar} {elapsed}", unit="rows", file=sys.stderr)
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        if self._bar is not None:
            self._bar.close()

    def update(self, **values: Any) -> None:
        """Changes fields of the run. The next progress report or heartbeat writes them to the cache."""
        with self._lock:
            self.run = self.run.model_copy(update=values)

    @contextmanager
    def phase(self, name: str, total: int = 0, done: int = 0) -> Iterator[None]:
        """Measures the duration of a phase, and logs it.

        Args:
            name: One of PHASES.
            total: Number of rows in the phase; 0 if it is unknown.
            done: Number of rows already done, if an earlier call began the phase.
        """
        self._progress(Progress(phase=name, total=total, done=done, bytes=self.run.progress.bytes))  # type: ignore[arg-type]
        began = time.monotonic()
        try:
            yield
        finally:
            duration = time.monotonic() - began
            seconds = {**self.run.seconds, name: round(self.run.seconds.get(name, 0) + duration, 3)}
            self.update(seconds=seconds)
            progress = self.run.progress
            log.info(
                "sync=%s phase=%s seconds=%.2f rows=%d bytes=%d",
                self.run.id,
                name,
                duration,
                progress.done,
                progress.bytes,
            )

    def advance(self, rows: int, received: int) -> None:
        """Reports progress.

        Args:
            rows: Number of rows done since the last call.
            received: Size of all responses so far, in bytes.
        """
        progress = self.run.progress
        done = progress.done + rows
        changes = {"done": done, "bytes": received, "total": max(progress.total, done)}
        self._progress(progress.model_copy(update=changes), at_once=False)

    def _progress(self, progress: Progress, at_once: bool = True) -> None:
        if self._lost is not None:
            raise self._lost
        self.update(progress=progress)
        if at_once or time.monotonic() - self._shown >= SHOW_SECONDS:
            self._shown = time.monotonic()
            self._cache.runs.report(self.run)
        if self._bar is not None:
            self._bar.set_description(PHASES[progress.phase])
            self._bar.total, self._bar.n = progress.total or None, progress.done
            self._bar.refresh()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self._cache.runs.report(self.run)
            except SyncLost as error:
                self._lost = error
                return
            except CacheError as error:
                log.warning("heartbeat not written: %s", error.message)
