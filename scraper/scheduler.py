"""The thread that decides when a sync runs, and runs it as a child process.

Any process may host it; it works only while it holds the leader lease of the cache, the others stand by. What is due is
told by the age of the data, not by when a process started, so that restarts cost no extra sync.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import schedule

from cache.errors import CacheError
from cache.settings import Settings
from cache.storage.records import Run, Worker, now
from cache.storage.store import Cache

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
BUSY = 75  # exit code of a sync that finds another one running
LOOK_SECONDS = 0.25  # how soon a request is seen
BEAT_SECONDS = 2
GRACE_SECONDS = 15  # a child ends itself at its time limit; if it does not, it is ended here
FIRST_RETRY = timedelta(minutes=1)
# Another try with the same login could lock the account; the last one only a setting can mend.
NO_RETRY = {"login_refused", "second_factor_refused", "captcha_shown", "password_expired", "server_choice_needed"}


class Scheduler:
    """Parameters: `cache` and `settings` as every process has them; `host` says in logs which process hosts it."""

    def __init__(self, cache: Cache, settings: Settings, host: str) -> None:
        self._cache = cache
        self._interval = timedelta(minutes=settings.sync_interval_minutes)
        self._limit = timedelta(minutes=settings.sync_timeout_minutes)
        self._worker = Worker()
        self._host = host
        self._started = now()
        self._leads = False
        self._not_before = self._started
        self._child: _Child | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._jobs = schedule.Scheduler()
        self._jobs.every(BEAT_SECONDS).seconds.do(self._beat)
        self._jobs.every(1).seconds.do(self._start_if_due)
        self._jobs.every(BEAT_SECONDS).seconds.do(self._tidy)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends a running child, gives up the lease and returns when the thread has ended."""
        self._stopping.set()
        self._thread.join()

    # -- the loop

    def _run(self) -> None:
        try:
            self._guarded(self._beat)
            while not self._stopping.wait(LOOK_SECONDS):
                self._guarded(self._jobs.run_pending)
                self._guarded(self._look)
        finally:
            if self._child is not None:
                self._child.end()
                self._guarded(self._cache.recover)
            self._guarded(lambda: self._cache.leadership.resign(self._worker))

    def _guarded(self, step: object) -> None:
        """A step that fails (a full disk, say) is logged and tried again at its next turn."""
        assert callable(step)
        try:
            step()
        except CacheError as error:
            log.error("scheduler code=%s %s", error.code, error)
        except Exception:
            log.exception("scheduler: a step failed")

    def _beat(self) -> None:
        planned = self._next_sync() if self._leads else None
        leads = self._cache.leadership.heartbeat(self._worker.model_copy(update={"next_sync": planned}))
        if leads and not self._leads:
            log.info("scheduler host=%s pid=%d leads", self._host, self._worker.pid)
            self._cache.recover()
        self._leads = leads

    def _start_if_due(self) -> None:
        planned = self._next_sync()
        if self._leads and self._child is None and planned is not None and now() >= planned:
            self._start("schedule")

    def _tidy(self) -> None:
        """Closes the run of a sync by hand that was killed, so that the requests it left behind are run again."""
        if self._leads and self._child is None and self._cache.status().running is None:
            newest = self._cache.runs.recent(1)
            if newest and newest[0].outcome == "running":
                self._cache.recover()

    def _look(self) -> None:
        """Sees to the child that runs, else to the requests that wait."""
        child = self._child
        if child is not None:
            if now() > child.began + self._limit + timedelta(seconds=GRACE_SECONDS):
                child.end()
            if child.ended():
                self._child = None
                self._cache.recover()
                self._beat()
                if child.code != BUSY and not any(run.started_at >= child.began for run in self._cache.runs.recent(1)):
                    log.error("scheduler: a sync ended before it began; see its output. The next try is in a minute.")
                    self._not_before = now() + FIRST_RETRY
        elif self._leads:
            status = self._cache.status()
            if status.queued and status.running is None:
                self._start("request")

    def _start(self, trigger: str) -> None:
        if self._cache.status().running is None and now() >= self._not_before:
            self._child = _Child(trigger)

    # -- when

    def _next_sync(self) -> datetime | None:
        """When the next sync is due by itself; None after a failure that only a person can mend."""
        head = self._cache.snapshots.head()
        due = head.as_of + self._interval if head else self._started
        failed = self._failures()
        if not failed:
            return due
        if failed[0].error and failed[0].error.code in NO_RETRY and failed[0].started_at > self._started:
            return None
        pause: timedelta = min(FIRST_RETRY * int(2 ** (len(failed) - 1)), self._interval)
        return max(due, (failed[0].finished_at or failed[0].started_at) + pause)

    def _failures(self) -> list[Run]:
        """The failed runs since the last one that did not fail, newest first."""
        failed: list[Run] = []
        for run in self._cache.runs.recent(10):
            if run.outcome == "failed":
                failed.append(run)
            elif run.outcome != "running":
                break
        return failed


class _Child:
    """`python -m scraper sync` in a process of its own; it ends when its standard input closes."""

    def __init__(self, trigger: str) -> None:
        self.began = now()
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = psutil.Popen(
            [sys.executable, "-m", "scraper", "sync", "--attached", "--trigger", trigger],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        code: int | None = self._process.poll()
        return code

    def ended(self) -> bool:
        return self.code is not None

    def end(self) -> None:
        """Asks by closing its standard input, waits a little, then kills it and all that it started."""
        family: list[psutil.Process] = []
        with suppress(psutil.Error):
            family = [*self._process.children(recursive=True)]
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        for process in (self._process, *family):
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs([self._process, *family], timeout=5)
