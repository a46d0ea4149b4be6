"""A worker that runs many syncs leaves no descriptor, thread, file or memory behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from copies import Copies
from waiting import wait_for

from cache.storage.records import Task

SYNCS = 300
MEASURED_FROM = 20  # syncs: by then all that is made once has been made
MEGABYTES = 8  # by which a worker's memory may differ


@pytest.fixture
def temporary() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # a short name, for Chrome
        yield Path(folder)


@pytest.fixture(params=["http", "browser"])
def worker(
    temporary: Path, child_environment: Callable[..., dict[str, str]], request: pytest.FixtureRequest
) -> Iterator[psutil.Popen]:
    """The scheduler, which runs each sync as a child. What these leave in the temporary folder or at home is seen."""
    environment = child_environment(
        TMPDIR=str(temporary), HOME=str(temporary), PHPMYADMIN_LOGIN=request.param, REFRESH_MIN_SECONDS="0"
    )
    command = [sys.executable, "-m", "scraper", "worker"]
    silent = subprocess.DEVNULL
    process = psutil.Popen(command, env=environment, stdin=silent, stdout=silent, stderr=silent)
    yield process
    process.terminate()
    process.wait(30)


def finished(copies: Copies, task: Task, seconds: float = 120) -> Task:
    wait_for(lambda: copies.cache.runs.task(task.id).ended, seconds)
    return copies.cache.runs.task(task.id)


def of_folder(temporary: Path) -> list[str]:
    """The processes that have this folder as their home: all that the worker started, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("HOME") == str(temporary):
                found.append(process.name())
    return found


@pytest.mark.timeout(7200)
@pytest.mark.soak
def test_syncs_in_a_row_leave_nothing_over(copies: Copies, here: Path, temporary: Path, worker: psutil.Popen) -> None:
    def measured() -> tuple[int, int, int, int]:
        wait_for(lambda: len(of_folder(temporary)) == 1)  # the worker alone
        memory = worker.memory_full_info().uss >> 20
        return worker.num_fds(), worker.num_threads(), len(list(temporary.rglob("*"))), memory

    wait_for(lambda: copies.cache.status().leader is not None, 60)
    finished(copies, copies.cache.runs.request("test"))
    first = measured()
    for n in range(SYNCS):
        if n % 3 == 0:
            copies.lab.mutate(seed=n, touches=10)
        assert finished(copies, copies.cache.runs.request("test")).error is None
        if n == MEASURED_FROM:
            first = measured()
        if n % 50 == 0:
            print(f"descriptors, threads, temporary files, MB after {n} syncs: {measured()}")
    print(f"descriptors, threads, temporary files, MB after {MEASURED_FROM} syncs: {first}, after all: {measured()}")
    limits = (*first[:3], first[3] + MEGABYTES)
    wait_for(lambda: all(now <= most for now, most in zip(measured(), limits, strict=True)))
    assert list((here / "cache/work").iterdir()) == []
    kept = {
        s.id for g in copies.cache.snapshots._numbers() for s in copies.cache.snapshots.inspect(g).manifest.segments
    }
    assert {folder.name for folder in (here / "cache/segments").iterdir()} == kept
    assert copies.differences() == []
