"""A thread that decides when a sync runs, and runs it as a child process.

Several processes may host a scheduler. Only the one that holds the leader lease of the cache works; the others stand
by. The age of the data says when a sync is due, not the start of the process, so a restart causes no extra sync.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from cache.errors import CacheError
from cache.settings import Settings
from cache.storage.digest_checks import DigestChecks
from cache.storage.records import Run, Worker, known, now
from cache.storage.store import Cache
from scraper.notifications.notifier import Notifier
from scraper.processes import kill

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
BUSY = 75  # exit code of a sync that finds another one running
POLL_SECONDS = 0.25  # between two looks for requests
VERIFY_SECONDS = 60  # between two looks for segments whose files are to be read
NOTIFY_SECONDS = 30  # between two looks for what is to be told
DUE_SECONDS = 1  # between two looks whether a sync is due
HEARTBEAT_SECONDS = 2
SHORTEST_PAUSE = 0.05  # seconds between two heartbeats
LEAD_SECONDS = 6.0  # after the start of a heartbeat; another worker takes over after records.SILENT_AFTER
GRACE_SECONDS = 15  # a child ends itself at its time limit; if it does not, it is killed after this
FIRST_RETRY = timedelta(minutes=1)
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds after a sync that ended before it began; each doubles the next


class Scheduler:
    """Runs due and requested syncs while it is the leader.

    Args:
        cache: Where runs, requests and the lease are kept.
        settings: How often a sync is due, and how long it may take.
        host: Names the process in logs.
    """

    def __init__(self, cache: Cache, settings: Settings, host: str) -> None:
        self._cache = cache
        self._interval = timedelta(minutes=settings.sync_interval_minutes)
        self._limit = timedelta(minutes=settings.sync_timeout_minutes)
        self._worker = Worker()
        self._host = host
        self._started = now()
        self._leads_until = 0.0
        self._free_in = 0.0  # seconds: a worker that stands by tries again when the lease of a silent leader ends
        self._led = False  # at the last look of the loop
        self._checks = DigestChecks(cache.snapshots)
        self._notifier = Notifier(cache, settings)
        # On the monotonic clock, as all pauses of this thread: the clock of the machine may jump.
        self._not_before = 0.0
        self._pause = FIRST_PAUSE
        self._seen, self._look_again = -1, 0.0  # the version of the cache at the last look for requests
        self._recent: tuple[int, list[Run]] | None = None  # the newest runs, and the version they belong to
        self._child: _SyncProcess | None = None
        self._stopping = threading.Event()
        self._beat_now = threading.Event()
        # The cache may be a database that does not answer for seconds: then heartbeats wait for it, and so do the steps
        # of the loop, but the running sync ends in time.
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("scheduler", self._run),
                ("lease", self._beat),
                ("lease watch", self._watch),
                ("notifications", self._notify),
            )
        ]

    def start(self) -> None:
        """Starts the threads."""
        self._cache.snapshots.follow()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends a running sync, gives up the lease, and returns when the threads have ended."""
        self._stopping.set()
        self._beat_now.set()
        for thread in self._threads:
            thread.join()
        self._safely(lambda: self._cache.leadership.resign(self._worker))

    # -- the loop

    def _run(self) -> None:
        jobs = (
            _Job(self._take_over, 0),
            _Job(self._start_if_due, DUE_SECONDS),
            _Job(self._close_killed_run, HEARTBEAT_SECONDS),
            _Job(self._verify, VERIFY_SECONDS),
            _Job(self._poll, 0),
        )
        try:
            while not self._stopping.wait(POLL_SECONDS):
                for job in jobs:
                    if job.is_due():
                        self._safely(job.step)
        finally:
            if self._child is not None:
                self._child.end()
                self._safely(self._cache.recover)

    def _safely(self, step: Callable[[], object]) -> None:
        """Logs a failure, of a full disk for example. The step runs again at its next turn."""
        try:
            step()
        except CacheError as error:
            log.error("scheduler code=%s %s", error.code, error)
        except Exception:
            log.exception("scheduler: a step failed")

    # -- the lease

    @property
    def _is_leader(self) -> bool:
        """Whether this process leads. The lease ends by itself, on the monotonic clock, if heartbeats fail or hang."""
        return time.monotonic() < self._leads_until

    def _beat(self) -> None:
        while not self._stopping.is_set():
            self._free_in = HEARTBEAT_SECONDS
            self._safely(self._heartbeat)
            self._beat_now.wait(min(HEARTBEAT_SECONDS, max(self._free_in, SHORTEST_PAUSE)))
            self._beat_now.clear()

    def _heartbeat(self) -> None:
        self._started = min(self._started, now())  # the clock was set back
        planned = self._next_sync() if self._is_leader else None
        began = time.monotonic()
        lease = self._cache.leadership.heartbeat(self._worker.model_copy(update={"next_sync": planned}))
        self._leads_until = began + LEAD_SECONDS if lease else 0.0
        self._free_in = lease.free_in

    def _watch(self) -> None:
        """Ends the running sync once this process no longer leads: another worker may lead soon."""
        while not self._stopping.wait(POLL_SECONDS):
            child = self._child
            if child is not None and not self._is_leader and not child.has_ended():
                log.error("scheduler host=%s pid=%d no longer leads. Its sync ends.", self._host, self._worker.pid)
                child.end()

    def _notify(self) -> None:
        """Tells what no sync tells: data that gets stale, and syncs that were killed."""
        while not self._stopping.wait(NOTIFY_SECONDS):
            if self._is_leader:
                self._safely(self._notifier.update)

    # -- the steps

    def _take_over(self) -> None:
        led, self._led = self._led, self._is_leader
        if self._led and not led:
            log.info("scheduler host=%s pid=%d is the leader", self._host, self._worker.pid)
            self._cache.recover()

    def _start_if_due(self) -> None:
        if self._is_leader and self._child is None:
            planned = self._next_sync()
            if planned is not None and now() >= planned:
                self._start("schedule")

    def _close_killed_run(self) -> None:
        """Closes the run of a manual sync that was killed, so that the requests it answered are run again."""
        if self._is_leader and self._child is None:
            newest = next(iter(self._runs()), None)
            if newest is not None and newest.outcome == "running" and self._cache.runs.running() is None:
                self._cache.recover()

    def _verify(self) -> None:
        """Reads files that are new or were last read a day ago, and compares them with their digests."""
        head = self._cache.snapshots.head()
        if self._is_leader and head is not None:
            self._checks.begin(self._cache.snapshots.inspect(head.generation))

    def _poll(self) -> None:
        """Checks on the running sync; if there is none, starts one for a waiting request."""
        child = self._child
        if child is not None:
            if time.monotonic() > child.began + self._limit.total_seconds() + GRACE_SECONDS:
                child.end()
            if child.has_ended():
                self._child, self._recent = None, None
                self._cache.recover()
                self._beat_now.set()
                if _newest_id(self._cache) != child.run_before:
                    self._pause = FIRST_PAUSE
                elif child.code != BUSY:
                    message = "scheduler: a sync ended before it began; see its output. Next attempt in %.0f s."
                    log.error(message, self._pause)
                    self._not_before = time.monotonic() + self._pause
                    self._pause = min(2 * self._pause, LONGEST_PAUSE)
        elif self._is_leader and self._has_changed() and self._cache.runs.queued():
            self._start("request")

    def _has_changed(self) -> bool:
        """Whether something changed in the cache, or so long ago that a run may have fallen silent meanwhile."""
        seen, self._seen = self._seen, self._cache.runs.wait(self._seen, 0)
        if self._seen != seen or time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + HEARTBEAT_SECONDS
            return True
        return False

    def _start(self, trigger: str) -> None:
        if self._cache.runs.running() is None and time.monotonic() >= self._not_before:
            self._child = _SyncProcess(trigger, _newest_id(self._cache))

    # -- when

    def _next_sync(self) -> datetime | None:
        """When the next scheduled sync is due; None after an error that stops the schedule.

        A time that lies in the future is not known, and delays nothing.
        """
        head = self._cache.snapshots.newest()
        as_of = known(head.as_of) if head else None
        due = as_of + self._interval if as_of else self._started
        failed = self._failures()
        if not failed:
            return due
        ended = known(failed[0].finished_at or failed[0].started_at)
        if ended is None:
            return due
        if failed[0].error and failed[0].error.stops_schedule and failed[0].started_at > self._started:
            return None
        pause: timedelta = min(FIRST_RETRY * int(2 ** (len(failed) - 1)), self._interval)
        return max(due, ended + pause)

    def _runs(self) -> list[Run]:
        """The newest runs, newest first. They are read again once something has changed: an idle leader asks little."""
        version = self._cache.runs.wait(-1, 0)
        recent = self._recent
        if recent is None or recent[0] != version:
            self._recent = recent = (version, self._cache.runs.recent(10))
        return recent[1]

    def _failures(self) -> list[Run]:
        """The failed runs since the last successful one, newest first."""
        failed: list[Run] = []
        for run in self._runs():
            if run.outcome == "failed":
                failed.append(run)
            elif run.outcome != "running":
                break
        return failed


def _newest_id(cache: Cache) -> str | None:
    return next((run.id for run in cache.runs.recent(1)), None)


class _Job:
    """A step of the loop, and how often it runs."""

    def __init__(self, step: Callable[[], object], seconds: float) -> None:
        self.step = step
        self._seconds = seconds
        self._due = time.monotonic() + seconds

    def is_due(self) -> bool:
        """Whether the step is due. If so, its next turn is planned."""
        if time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + self._seconds
        return True


class _SyncProcess:
    """`python -m scraper sync` as a child process. It ends when its standard input closes.

    Args:
        trigger: Why the sync runs, for the history.
        run_before: The id of the newest run before it.
    """

    def __init__(self, trigger: str, run_before: str | None) -> None:
        self.began = time.monotonic()
        self.run_before = run_before
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = psutil.Popen(
            [sys.executable, "-m", "scraper", "sync", "--attached", "--trigger", trigger],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        code: int | None = self._process.poll()
        return code

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self.code is not None

    def end(self) -> None:
        """Closes its standard input, waits up to three seconds, then kills it and its children."""
        children: list[psutil.Process] = []
        with suppress(psutil.Error):
            children = self._process.children(recursive=True)
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        kill([self._process, *children])
        self._process.poll()  # reaps it
