"""Three hosts share a cache while they are stopped and killed and the database is: its history has no fault.

The same check finds faults where a condition of the store is removed.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from paths import ROOT
from shared_history import AUDIT, READ_AUDIT, Accepted, Event, faults, history_of
from shared_node import KINDS, PLACES, SAID, SILENT, SOURCE
from waiting import wait_for

from cache.storage.shared.shared_cache import open_shared
from lab.postgresql import PostgreSQL, Running, folder_for_servers, install_postgresql

HOURS = {"one": "0", "two": "0", "three": "2"}  # how far the clock of each is ahead


class Host:
    """A process of shared_node.py, with a folder that stays when it is killed and started again."""

    def __init__(self, server: PostgreSQL, folder: Path, name: str, conditions: str) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self._command = [
            *(sys.executable, str(ROOT / "tests" / "shared_node.py")),
            *(f"{server.url()}?application_name={name}", str(self.folder), name, conditions, HOURS[name]),
        ]
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        with (self.folder / "log").open("ab") as log:
            self._process = psutil.Popen(
                self._command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, bufsize=0
            )

    def arm(self, *words: str) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{' '.join(words)}\n".encode())

    @property
    def has_stopped(self) -> bool:
        return self._process.status() == psutil.STATUS_STOPPED

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    @property
    def history(self) -> list[Event]:
        return history_of(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


class Chaos:
    """The hosts, their database, and what is done to them. `happened` counts it."""

    def __init__(self, server: PostgreSQL, running: Running, folder: Path, conditions: str = "") -> None:
        self._server = server
        self._running = running
        self.happened: Counter[str] = Counter()
        with closing(open_shared(server.url(), SOURCE, folder / "first")) as cache:
            cache.runs.version()  # makes the schema
        self.rows(AUDIT)
        self.hosts = [Host(server, folder, name, conditions) for name in HOURS]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def epoch(self) -> int:
        return int(self.rows("SELECT epoch FROM orders_cache.terms WHERE name = 'sync'")[0][0])

    def generation(self) -> int:
        return int(self.rows("SELECT COALESCE(max(generation), 0) FROM orders_cache.terms")[0][0])

    def strike(self, kind: str, place: str, fault: str) -> None:
        """The next host at a place is stopped, killed or cut off; a stopped one goes on after others have published."""
        for host in self.hosts:
            host.arm(kind, place, fault)
        if fault == "cut":
            time.sleep(0.5)
        elif fault == "kill":
            wait_for(lambda: any(host.has_ended for host in self.hosts), 60)
        else:
            stopped = wait_for(lambda: next((host for host in self.hosts if host.has_stopped), None), 60)
        for host in self.hosts:
            host.arm("none")
        if fault == "stop":
            before = self.epoch(), self.generation()
            wait_for(lambda: self._is_past(*before, but=stopped), 60)
        for host in self.hosts:
            if host.has_ended:
                host.kill()
                host.start()
            elif host.has_stopped:
                host.go_on()
        self.happened[f"{kind} {place} {fault}"] += 1

    def _is_past(self, epoch: int, generation: int, but: Host) -> bool:
        """Whether others have taken over from a host and published."""
        for host in self.hosts:
            if host is not but and host.has_stopped:  # it came to the place too, before it was told not to
                host.go_on()
        return self.epoch() > epoch and self.generation() > generation

    def restart(self) -> None:
        """The server ends as in a crash, while the hosts write."""
        self._server.stop_at_once()
        time.sleep(random.uniform(0, 0.3))
        self._running.start()
        self.happened["restart"] += 1

    def end(self) -> None:
        """The hosts publish no more. Their readers go on, until they have the newest."""
        for host in self.hosts:
            (host.folder / "rest").touch()

        def rests() -> bool:
            before = self.generation()
            time.sleep(2 * SILENT.total_seconds())
            return self.generation() == before and all(_last(host) == before for host in self.hosts)

        with suppress(AssertionError):  # the check says so too
            wait_for(rests, 15)

    def close(self) -> None:
        for host in self.hosts:
            host.kill()

    def faults(self) -> list[str]:
        accepted = [Accepted(*row) for row in self.rows(READ_AUDIT)]
        return faults({host.name: host.history for host in self.hosts}, accepted)

    def lost(self, folder: Path) -> list[str]:
        """Documents and requests that were acknowledged and are not there."""
        events = [event for host in self.hosts for event in host.history]
        with closing(open_shared(self._server.url(), SOURCE, folder / "last")) as cache:
            words = set(cache.documents.read(SAID).words)
        tasks = {id for (id,) in self.rows("SELECT id FROM orders_cache.tasks")}
        said = [event["word"] for event in events if event["event"] == "said"]
        requested = [event["task"] for event in events if event["event"] == "requested"]
        return [*(word for word in said if word not in words), *(id for id in requested if id not in tasks)]


def _last(host: Host) -> int:
    return max((event["generation"] for event in host.history if event["event"] == "seen"), default=0)


@contextmanager
def chaos(folder: Path, conditions: str = "") -> Iterator[Chaos]:
    install_postgresql()
    with folder_for_servers() as home:
        server = PostgreSQL(home, durable=True)
        with Running(server, home) as running:
            made = Chaos(server, running, folder, conditions)
            try:
                wait_for(lambda: made.generation() > 0)
                yield made
            finally:
                made.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [8, pytest.param(300, marks=pytest.mark.soak)])
def test_whatever_stops_a_shared_cache_has_one_history(tmp_path: Path, seconds: int) -> None:
    with chaos(tmp_path) as running:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for strike in _strikes(running):
                if time.monotonic() > end:
                    break
                strike()
        running.end()
        writes = Counter(
            (event["kind"], event.get("accepted", event.get("failed")))
            for host in running.hosts
            for event in host.history
            if event["event"] == "write"
        )
        print(dict(running.happened), dict(writes), f"{running.generation()} generations, {running.epoch()} epochs")
        assert running.faults() == []
        assert running.lost(tmp_path) == []
        assert running.generation() > sum(running.happened.values()) / 4
        assert "Traceback" not in "".join(host.log for host in running.hosts)


def _strikes(running: Chaos) -> list[Callable[[], None]]:
    strikes: list[Callable[[], None]] = [
        lambda words=words: running.strike(*words)  # type: ignore[misc]
        for words in [*product(KINDS, PLACES, ("stop", "kill")), *product(KINDS, ["sent"], ["cut"])]
    ]
    return random.sample([*strikes, *[running.restart] * 5], len(strikes) + 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("removed", "kind", "found"),
    [
        ("fence", "upload", r"upload of epoch \d+ began after epoch \d+ was taken"),
        pytest.param("fence parent", "publish", r"from \w+ while \w+ held the term", marks=pytest.mark.soak),
        pytest.param("fence parent", "publish", r"generation \d+ (twice|after \d+)", marks=pytest.mark.soak),
    ],
)
def test_the_check_finds_a_condition_that_was_removed(tmp_path: Path, removed: str, kind: str, found: str) -> None:
    with chaos(tmp_path, removed) as running:
        for _ in range(5):
            running.strike(kind, "before", "stop")
            time.sleep(0.5)
            if any(re.search(found, fault) for fault in running.faults()):
                return
        raise AssertionError(running.faults())
