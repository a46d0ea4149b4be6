"""Two APIs, two dashboards and two workers share a cache, while workers fail and the database restarts."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from network import Network, network
from paths import ROOT
from shared_history import AUDIT, READ_AUDIT, Accepted, faults
from sidecar_process import KEY
from waiting import wait_for

from cache.monitoring.metric_families import SNAPSHOT_GENERATION
from lab import Lab
from lab.nginx import Nginx, proxied
from lab.postgresql import PostgreSQL, Running, folder_for_servers, install_postgresql
from lab.servers import free_port

ORDERS = 300
NEWEST_SECONDS = 5.0
AWAY_SECONDS = 10.0  # longer than a leader may be silent
ANSWER_SECONDS = 120


class Process:
    """A program of the product on a host of the network, with a host name of its own."""

    def __init__(
        self, joined: Network, folder: Path, name: str, words: Sequence[str], settings: dict[str, str]
    ) -> None:
        self.number = joined.add()
        self.address = joined.address_of(self.number)
        self._folder = folder / name
        self._folder.mkdir()
        self._command = joined.command(
            self.number, "unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh", sys.executable, *words
        )
        self._environment = {
            **os.environ,
            **settings,
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self._folder / "var"),
            "CACHE_FOLDER": str(self._folder / "copy"),
            "CACHE_URL": f"{settings['CACHE_URL']}&application_name={name}",
        }
        self.start()

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = psutil.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self._process, *self._process.children(recursive=True)]
        return []

    def send(self, number: signal.Signals) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


class Hosts:
    """All of them, with the database and the shop. `happened` counts what was done to them."""

    def __init__(self, lab: Lab, joined: Network, folder: Path, stack: ExitStack) -> None:
        self._lab = lab
        self._joined = joined
        home = stack.enter_context(folder_for_servers())
        self.server = PostgreSQL(home, durable=True, network=joined.address)
        self._running = stack.enter_context(Running(self.server, home))
        self.happened: Counter[str] = Counter()
        self._back: list[threading.Timer] = []
        settings = {
            **lab.settings(),
            "PHPMYADMIN_URL": self._phpmyadmin(stack),
            "PHPMYADMIN_LOGIN": "http",
            "CACHE_URL": self.server.network_url(),
            "SHOPIFY_API_KEY": KEY,
            "RATE_LIMIT": "off",
            "REFRESH_MIN_SECONDS": "0",
            "SOURCE_TIMEZONE": "UTC",
        }
        api = {**settings, "API_HOST": "0.0.0.0", "API_PORT": "5000", "SCHEDULER": "off"}
        dashboard = {**settings, "DASHBOARD_HOST": "0.0.0.0", "DASHBOARD_PORT": "8501", "SCHEDULER": "off"}
        dashboard["DASHBOARD_PASSWORD"] = KEY
        kinds = {
            "api": ([str(ROOT / "api_sidecar.py")], api),
            "dashboard": ([str(ROOT / "streamlit_app.py")], dashboard),
            "worker": (["-m", "scraper", "worker"], settings),
        }
        self.hosts: dict[str, Process] = {}
        for kind, (words, environment) in kinds.items():
            for name in (f"{kind}-1", f"{kind}-2"):
                self.hosts[name] = Process(joined, folder, name, words, environment)
                stack.callback(self.hosts[name].kill)
        self.apis = self._clients(stack, "api", 5000)
        self.dashboards = self._clients(stack, "dashboard", 8501)

    def _clients(self, stack: ExitStack, kind: str, port: int) -> list[httpx2.Client]:
        addresses = [host.address for name, host in self.hosts.items() if name.startswith(kind)]
        return [
            stack.enter_context(
                httpx2.Client(base_url=f"http://{address}:{port}", headers={"X-API-Key": KEY}, trust_env=False)
            )
            for address in addresses
        ]

    def _phpmyadmin(self, stack: ExitStack) -> str:
        """The lab's phpMyAdmin as the hosts reach it."""
        port = free_port()
        listen = f"listen 127.0.0.1:{port}; listen {self._joined.address}:{port};"
        folder = stack.enter_context(folder_for_servers())
        stack.enter_context(
            Running(Nginx(folder, port, f"server {{ {listen} {proxied('/', self._lab.url.rstrip('/'))} }}"), folder)
        )
        return f"http://{self._joined.address}:{port}/"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    # -- what is done to them

    @property
    def disasters(self) -> tuple[Callable[[], None], ...]:
        return self.kill_leader, self.pause_leader, self.cut_leader, self.restart_database

    def _leader(self) -> Process | None:
        found = self.rows("SELECT body ->> 'pid' FROM orders_cache.workers WHERE body ->> 'leader' = 'true'")
        pids = {int(pid) for (pid,) in found}
        return next((host for host in self.hosts.values() if host.pid in pids), None)

    def _later(self, step: Callable[[], None]) -> None:
        timer = threading.Timer(AWAY_SECONDS, step)
        timer.start()
        self._back.append(timer)

    def kill_leader(self) -> None:
        if host := self._leader():
            host.kill()
            host.start()

    def pause_leader(self) -> None:
        if host := self._leader():
            host.send(signal.SIGSTOP)
            self._later(lambda: host.send(signal.SIGCONT))

    def cut_leader(self) -> None:
        if host := self._leader():
            self._joined.cut(host.number)
            self._later(lambda: self._joined.heal(host.number))

    def restart_database(self) -> None:
        self.server.stop_at_once()
        self._running.start()

    def strike(self) -> None:
        """A disaster at a random moment of the refresh. One host is away at a time."""
        for timer in self._back:
            timer.join()
        self._back.clear()
        time.sleep(random.uniform(0, 2))
        disaster = self.disasters[self.happened.total() % len(self.disasters)]
        disaster()
        self.happened[disaster.__name__] += 1

    def rest(self) -> None:
        for timer in self._back:
            timer.join()

    # -- a refresh

    def refresh(self) -> str:
        """Changes the shop, and requests a refresh of some API host until it takes it; returns the task."""
        with self._lab.connect() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE orders SET total_price = total_price + 1 ORDER BY RAND() LIMIT 3")

        def ask() -> str | None:
            with suppress(httpx2.TransportError):
                answer = random.choice(self.apis).post("/refresh")
                if answer.status_code == 202:
                    return str(answer.json()["task_id"])
            return None

        return wait_for(ask, ANSWER_SECONDS) or ""

    def is_completed(self, task: str) -> bool:
        with suppress(psycopg.Error):
            return bool(self.rows(f"SELECT id FROM orders_cache.tasks WHERE id = '{task}' AND state = 'completed'"))
        return False

    def newest_everywhere(self) -> bool:
        with suppress(psycopg.Error, httpx2.TransportError):
            newest = self.rows("SELECT max(generation) FROM orders_cache.terms")[0][0]
            shown = [api.get("/fetch-data?limit=0").json().get("generation") for api in self.apis]
            shown += [generation_of(dashboard.get("/metrics").text) for dashboard in self.dashboards]
            return newest is not None and shown == [newest] * len(shown)
        return False


def generation_of(metrics: str) -> int | None:
    """The generation that a dashboard shows."""
    found = re.search(rf"^{SNAPSHOT_GENERATION.name} (\d+)", metrics, re.MULTILINE)
    return int(found[1]) if found else None


@contextmanager
def hosts(lab: Lab, folder: Path) -> Iterator[Hosts]:
    install_postgresql()
    with network() as joined, ExitStack() as stack:
        made = Hosts(lab, joined, folder, stack)
        wait_for(made.newest_everywhere, 120)
        made.rows(AUDIT)
        yield made


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("refreshes", [20, 200])
def test_each_refresh_is_one_sync_whatever_happens(lab_folder: Path, tmp_path: Path, refreshes: int) -> None:
    lab = Lab(lab_folder)
    try:
        lab.up()
        lab.seed(ORDERS)
        with hosts(lab, tmp_path) as running:
            first = running.rows("SELECT max(generation) FROM orders_cache.terms")[0][0]
            slowest = 0.0
            for number in range(refreshes):
                task = running.refresh()
                if number % 2:
                    running.strike()
                wait_for(lambda task=task: running.is_completed(task), ANSWER_SECONDS)  # type: ignore[misc]
                ended = time.monotonic()
                wait_for(running.newest_everywhere, NEWEST_SECONDS)
                slowest = max(slowest, time.monotonic() - ended)
            running.rest()
            accepted = [Accepted(*row) for row in running.rows(READ_AUDIT)]
            generations = [each.generation for each in accepted if each.term == "sync" and each.moved]
            runs = Counter(running.rows("SELECT outcome, body ->> 'trigger' FROM orders_cache.runs"))
            print(
                dict(running.happened), dict(runs), f"last reader after {slowest:.2f} s, {max(generations)} generations"
            )
            assert faults({}, accepted, first) == []
            assert running.rows(LATE) == []
            assert running.rows(UNASKED) == []
            assert running.rows("SELECT id FROM orders_cache.tasks WHERE state <> 'completed'") == []
    finally:
        lab.down(delete=True)


LATE = """
SELECT task.id FROM orders_cache.tasks AS task JOIN orders_cache.runs AS run ON run.id = task.run
WHERE run.started < (task.body ->> 'requested_at')::timestamptz
"""
"""Requests that a sync answered which began before them."""
UNASKED = """
SELECT id FROM orders_cache.runs AS run
WHERE outcome IN ('published', 'unchanged') AND body ->> 'trigger' = 'request'
    AND NOT EXISTS (SELECT FROM orders_cache.tasks AS task WHERE task.run = run.id)
"""
"""Syncs that answered no request."""
