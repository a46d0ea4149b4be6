"""One sync at a time, when it is due or asked for; when the leader dies another goes on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from cache_factory import cache_in, publish
from waiting import wait_for

from cache.errors import NoWorker
from cache.storage.records import Run, Task, Worker
from cache.storage.store import Cache
from scraper.processes import still_running

Environment = Callable[..., dict[str, str]]


class Workers:
    """Processes that run `python -m scraper worker`, with all that they start."""

    def __init__(self, environment: Environment, temporary: str) -> None:
        self._environment = environment
        self._temporary = temporary
        self.processes: dict[int, psutil.Popen] = {}

    def start(self, **settings: str) -> psutil.Popen:
        process = self.run("worker", **settings)
        self.processes[process.pid] = process
        return process

    def run(self, *arguments: str, **settings: str) -> psutil.Popen:
        environment = self._environment(TMPDIR=self._temporary, **settings)
        return psutil.Popen([sys.executable, "-m", "scraper", *arguments], env=environment, stdin=subprocess.DEVNULL)

    def end(self) -> None:
        alive = [process for process in self.processes.values() if process.is_running()]
        family = [child for process in alive for child in process.children(recursive=True)]
        for process in alive:
            process.terminate()
        for process in alive:
            process.wait(30)
        assert still_running(family, 30) == []


@pytest.fixture
def workers(cache: Cache, child_environment: Environment) -> Iterator[Workers]:
    with TemporaryDirectory() as temporary:  # Chrome wants a short name
        workers = Workers(child_environment, temporary)
        yield workers
        workers.end()


def started_by(process: psutil.Popen) -> set[psutil.Process]:
    """All that it started until it ended."""
    family: set[psutil.Process] = set()
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
        time.sleep(0.05)
    return family


def leader(cache: Cache) -> Worker | None:
    return cache.status().leader


def ended(cache: Cache, task: Task) -> Task | None:
    found = cache.runs.task(task.id)
    return found if found.ended else None


def one_at_a_time(runs: list[Run]) -> bool:
    """Whether no run began before the one before it had ended."""
    assert all(run.finished_at for run in runs)
    return all(old.finished_at <= new.started_at for new, old in pairwise(runs))  # type: ignore[operator]


# -- with real processes


def test_it_works(cache: Cache, workers: Workers) -> None:
    """The first sync comes by itself, the next when it is due, and one that is asked for at once."""
    workers.start(SYNC_INTERVAL_MINUTES="0.05", PHPMYADMIN_LOGIN="http")
    wait_for(lambda: len([run for run in cache.runs.recent() if run.finished_at]) >= 2)
    second, first = cache.runs.recent()[-2:]
    assert (first.trigger, first.outcome) == ("schedule", "published")
    assert (second.trigger, second.outcome) == ("schedule", "unchanged")
    assert second.started_at - first.started_at >= timedelta(seconds=3)
    task = cache.runs.request("test")
    answered = wait_for(lambda: ended(cache, task))
    head = cache.snapshots.head()
    assert head is not None
    assert (answered.state, answered.generation) == ("completed", 1)
    assert head.verified_at > task.requested_at  # type: ignore[operator]
    assert one_at_a_time([run for run in cache.runs.recent() if run.finished_at])


@pytest.mark.soak
def test_twenty_requests_and_a_sync_by_hand_run_one_at_a_time(cache: Cache, here: Path, workers: Workers) -> None:
    publish(cache, 3)  # so that nothing is due
    workers.start()
    workers.start()
    wait_for(lambda: len(cache.status().workers) == 2 and leader(cache))
    by_hand = workers.run("sync")
    wait_for(lambda: cache.status().running)

    def ask(_: int) -> Task:
        with closing(cache_in(here)) as other:
            return other.runs.request("test")

    with ThreadPoolExecutor(20) as threads:
        tasks = list(threads.map(ask, range(20)))
    assert by_hand.wait(60) == 0
    for task in tasks:
        answered = wait_for(lambda task=task: ended(cache, task))  # type: ignore[misc]
        run = next(run for run in cache.runs.recent() if run.id == answered.run)
        assert answered.state == "completed"
        assert run.started_at > task.requested_at
    runs = cache.runs.recent()
    assert one_at_a_time(runs)
    assert [run.trigger for run in runs] == ["request", "command"]  # one sync answers them all


@pytest.mark.soak
def test_when_the_leader_is_killed_its_sync_ends_and_another_leads(cache: Cache, workers: Workers) -> None:
    workers.start()
    workers.start()
    wait_for(lambda: len(cache.status().workers) == 2 and leader(cache))
    running = wait_for(lambda: cache.status().running)  # the first sync, in its login
    task = cache.runs.request("test")
    old = leader(cache)
    assert old is not None
    family = wait_for(lambda: (found := psutil.Process(running.pid).children(recursive=True))[3:] and found)
    child = psutil.Process(running.pid)
    killed = workers.processes.pop(old.pid)
    killed.kill()
    killed.wait()
    assert still_running([child, *family], 15) == []
    new = wait_for(lambda: (found := leader(cache)) and found.id != old.id and found)
    assert isinstance(new, Worker)
    assert wait_for(lambda: ended(cache, task)).state == "completed"
    died = next(run for run in cache.runs.recent() if run.id == running.id)
    assert died.error is not None
    assert died.error.code == "sync_died"
    assert one_at_a_time(cache.runs.recent())


@pytest.mark.soak
def test_a_refused_login_is_not_tried_again_by_itself(cache: Cache, workers: Workers) -> None:
    workers.start(PHPMYADMIN_PASSWORD="wrong", SYNC_INTERVAL_MINUTES="0.01", PHPMYADMIN_LOGIN="http")
    failed = wait_for(lambda: cache.status().last)
    assert failed.error is not None
    assert failed.error.code == "login_refused"
    version = cache.runs.version()
    for _ in range(12):  # the interval passes several times
        version = cache.runs.wait(version, 0.25)
    assert cache.runs.request("a page", automatic=True).error == failed.error
    assert len(cache.runs.recent()) == 1
    task = cache.runs.request("test")  # someone presses the button
    answered = wait_for(lambda: ended(cache, task))
    assert answered.error == failed.error
    assert len(cache.runs.recent()) == 2


def test_a_sync_that_hangs_is_ended_at_its_time_limit(cache: Cache, workers: Workers) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        process = workers.run("sync", PHPMYADMIN_URL=url, SYNC_TIMEOUT_MINUTES="0.08")
        family = started_by(process)
    assert process.returncode == 1
    assert family
    assert still_running(family, 15) == []
    last = cache.status().last
    assert last is not None
    assert last.error is not None
    assert (last.error.code, last.error.transient) == ("sync_timed_out", True)
    assert "SYNC_TIMEOUT_MINUTES" in last.error.advice


def test_an_attached_sync_ends_with_its_parent(cache: Cache, workers: Workers) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, TemporaryDirectory() as temporary:
        environment = workers._environment(
            TMPDIR=temporary, PHPMYADMIN_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/"
        )
        command = [sys.executable, "-m", "scraper", "sync", "--attached"]
        with psutil.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
            family = wait_for(lambda: process.children(recursive=True)[3:])
            process.stdin.close()
            process.wait(30)
        # Chromium writes to its profile until it ends: the folder goes after it.
        assert still_running(family, 15) == []


def test_a_worker_that_is_asked_to_end_leaves_at_once(cache: Cache, workers: Workers) -> None:
    publish(cache, 3)
    process = workers.start()
    wait_for(lambda: leader(cache))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert cache.status().workers == ()
    with pytest.raises(NoWorker):
        cache.runs.request("test")


def test_a_second_sync_by_hand_says_that_one_runs(cache: Cache, workers: Workers) -> None:
    with cache.sync_lock():
        assert workers.run("sync").wait(60) == 75
    assert cache.runs.recent() == []


def test_missing_settings_are_told_to_readers_too(cache: Cache, workers: Workers, lab: object) -> None:
    environment = workers._environment()
    del environment["PHPMYADMIN_PASSWORD"]
    done = subprocess.run(
        [sys.executable, "-m", "scraper", "sync"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "PHPMYADMIN_PASSWORD" in done.stderr
    last = cache.status().last
    assert last is not None
    assert last.error is not None
    assert (last.error.code, "PHPMYADMIN_PASSWORD" in last.error.message) == ("settings_invalid", True)
