"""A shop, all that serves it, many clients, and what goes wrong meanwhile. For tests/soak/test_chaos.py."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import orjson
import psutil
import pymysql
from copies import expected_rows
from paths import ROOT
from waiting import wait_for

from lab import Lab, LabError
from lab.servers import free_port

KEY = "a-key-for-the-chaos"
FULL_BYTES = 2_000  # size of a file on a disk that is full
REFUSALS = (404, 410, 503)  # 404 and 410: a page of a generation that is no longer kept


def digest(rows: list[dict[str, Any]]) -> str:
    """The same for equal tables alone."""
    return hashlib.sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Shop(threading.Thread):
    """Changes the orders all the time, one statement after the other.

    Attributes:
        states: The digests of all states that the table ever had.
    """

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self.states: set[str] = set()
        self.change("DO 0")

    def run(self) -> None:
        for number in itertools.count():
            if self._ended.wait(random.uniform(0.1, 0.5)):
                return
            values = f"total_price = total_price + 1, customer_name = 'change {number}'"
            self.change(f"UPDATE orders SET {values} WHERE id % 89 = {number % 89}")
            # one order goes and another comes: a table that loses most of its rows would be held back
            self.change(f"UPDATE orders SET id = id + 997000000 WHERE id % 997 = {number % 997} LIMIT 1")

    def change(self, statement: str) -> None:
        """Runs a statement and notes the state after it, also where the database ends in between."""
        with self._turn:
            with suppress(pymysql.Error, LabError), self._lab.connect() as connection, connection.cursor() as cursor:
                cursor.execute(statement)
            wait_for(self._note)

    def _note(self) -> bool:
        with suppress(pymysql.Error, LabError):
            self.states.add(digest(expected_rows(self._lab, "orders")))
            return True
        return False

    def end(self) -> None:
        self._ended.set()
        self.join()


class Client(threading.Thread):
    """Asks for the whole table, in one of the ways in which it can be read.

    Args:
        url: Of the API.
        number: Chooses the way.
        slowest: Seconds that a request may take.

    Attributes:
        verified: Digest of a table that was said to be verified -> its rows.
        faults: What must not happen.
        statuses: Of the responses.
    """

    def __init__(self, url: str, number: int, slowest: float) -> None:
        super().__init__()
        self._url = url
        self._slowest = slowest
        self._read = (self._whole, self._paged, self._lines, self._refresh)[number % 4]
        self._ended = threading.Event()
        self.verified: dict[str, list[dict[str, Any]]] = {}
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        with httpx2.Client(base_url=self._url, headers={"X-API-Key": KEY}, timeout=60, trust_env=False) as client:
            while not self._ended.wait(random.uniform(0.2, 1)):
                with suppress(httpx2.TransportError):  # the API was killed
                    rows = self._read(client)
                    if rows is not None:
                        self.verified.setdefault(digest(rows), rows)

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _get(self, client: httpx2.Client, path: str, method: str = "GET") -> httpx2.Response | None:
        started = time.monotonic()
        try:
            response = client.request(method, path)
        finally:
            took = time.monotonic() - started
            if took > self._slowest:
                self.faults.append(f"{path} took {took:.1f} s")
        self.statuses[response.status_code] += 1
        if response.is_success:
            return response
        if response.status_code not in REFUSALS or "code" not in response.json():
            self.faults.append(f"{path}: {response.status_code} {response.text[:200]}")
        return None

    def _whole(self, client: httpx2.Client) -> list[dict[str, Any]] | None:
        response = self._get(client, "/fetch-data")
        body = orjson.loads(response.content) if response else {}
        return body["data"] if body.get("verified") else None

    def _paged(self, client: httpx2.Client) -> list[dict[str, Any]] | None:
        rows: list[dict[str, Any]] = []
        path = "/fetch-data?limit=100"
        while response := self._get(client, path):
            body = orjson.loads(response.content)
            if not body["verified"]:
                return None
            rows += body["data"]
            if not body["next"]:
                return rows
            path = f"/fetch-data?limit=100&after={body['next']}"
        return None

    def _lines(self, client: httpx2.Client) -> list[dict[str, Any]] | None:
        response = self._get(client, "/fetch-data?format=ndjson")
        if response is None or response.headers["X-Verified"] != "true":
            return None
        return [orjson.loads(line) for line in response.content.splitlines()]

    def _refresh(self, client: httpx2.Client) -> None:
        self._get(client, "/refresh", "POST")
        self._get(client, "/status")


class Chaos:
    """Dashboard and API under `serve.py` and a worker beside them, and what can be done to them.

    Args:
        lab: A lab of its own, which is stopped and started again.
        folder: For the cache, the log and temporary files.
        shop: Changes the table.
    """

    def __init__(self, lab: Lab, folder: Path, shop: Shop) -> None:
        self.lab = lab
        self._folder = folder
        self._shop = shop
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        ports = {"API_PORT": str(free_port()), "DASHBOARD_PORT": str(free_port())}
        self.api, self.dashboard = (f"http://127.0.0.1:{port}" for port in ports.values())
        self._environment = {
            **os.environ,
            **lab.settings(),
            **ports,
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(folder / "data"),
            "TMPDIR": str(self.temporary),
            "HOME": str(self.temporary),
            "PHPMYADMIN_LOGIN": "http",
            "SHOPIFY_API_KEY": KEY,
            "RATE_LIMIT": "1000000/minute",
            "REFRESH_MIN_SECONDS": "0",
            "SOURCE_TIMEZONE": "UTC",
        }
        self._serve = self._start(str(ROOT / "serve.py"))
        self._worker = self._start("-m", "scraper", "worker")

    def _start(self, *command: str) -> psutil.Popen:
        with (self._folder / "log").open("ab") as log:
            return psutil.Popen(
                [sys.executable, *command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    @property
    def disasters(self) -> tuple[Callable[[], None], ...]:
        """What can go wrong; each takes some seconds at most and leaves nothing that the product cannot mend."""
        return (
            self.kill_api,
            self.kill_dashboard,
            self.kill_worker,
            self.kill_sync,
            self.stop_sync,
            self.fill_disk,
            self.sync_a_day_ahead,
            self.restart_database,
            self.restart_phpmyadmin,
            self.alter_table,
            self.delete_file,
            self.cut_file,
            self.flip_byte,
            self.delete_pointer,
        )

    def end(self) -> list[psutil.Process]:
        """Ends all, unless it has ended; returns what still ran."""
        if not self._serve.is_running():
            return []
        family = self._family()
        for process in (self._serve, self._worker):
            process.terminate()
            process.wait(30)
        _, left = psutil.wait_procs(family, timeout=15)
        for process in left:
            process.kill()
        return left

    # -- processes

    def _family(self) -> list[psutil.Process]:
        """All that was started, but the two that started it."""
        return [*self._serve.children(recursive=True), *self._worker.children(recursive=True)]

    def _processes(self, *words: str) -> list[psutil.Process]:
        """Those of the family whose command has all these words."""
        found = []
        for process in self._family():
            with suppress(psutil.Error):
                if all(word in " ".join(process.cmdline()) for word in words):
                    found.append(process)
        return found

    @staticmethod
    def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(number)

    def kill_api(self) -> None:
        self._signal(self._processes("api_sidecar.py")[:1], signal.SIGKILL)

    def kill_dashboard(self) -> None:
        self._signal(self._processes("streamlit_app.py")[:1], signal.SIGKILL)

    def kill_worker(self) -> None:
        """It is started again at once, as a service manager does."""
        self._worker.kill()
        self._worker.wait()
        self._worker = self._start("-m", "scraper", "worker")

    def kill_sync(self) -> None:
        self._signal(self._processes("scraper", "sync"), signal.SIGKILL)

    def stop_sync(self) -> None:
        stopped = self._processes("scraper", "sync")
        self._signal(stopped, signal.SIGSTOP)
        time.sleep(random.uniform(0.5, 3))
        self._signal(stopped, signal.SIGCONT)

    def fill_disk(self) -> None:
        """No process may write more than a few bytes to a file, as where a disk is full."""
        for size in (FULL_BYTES, psutil.RLIM_INFINITY):
            for process in (self._serve, self._worker, *self._family()):
                with suppress(psutil.Error):
                    process.rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))
            time.sleep(2 if size == FULL_BYTES else 0)

    def sync_a_day_ahead(self) -> None:
        """A sync whose clock is a day ahead; one that runs already keeps it out, which is no fault."""
        command = ["faketime", "-f", "+1d", sys.executable, "-m", "scraper", "sync"]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                command, env=self._environment, cwd=self._folder, capture_output=True, timeout=20, check=False
            )

    # -- the source

    def restart_database(self) -> None:
        self.lab.stop_database(kill=True)
        time.sleep(random.uniform(0, 2))
        self.lab.start_database()

    def restart_phpmyadmin(self) -> None:
        self.lab.stop_phpmyadmin(kill=True)
        time.sleep(random.uniform(0, 2))
        self.lab.start_phpmyadmin()

    def alter_table(self) -> None:
        self._shop.change("ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7")
        time.sleep(random.uniform(0, 2))
        self._shop.change("ALTER TABLE orders DROP COLUMN added")

    # -- files

    def delete_file(self) -> None:
        self._file().unlink(missing_ok=True)

    def cut_file(self) -> None:
        file = self._file()
        with suppress(FileNotFoundError):
            os.truncate(file, file.stat().st_size // 2)

    def flip_byte(self) -> None:
        """While nothing runs that has checked the file before."""
        self.kill_api()
        self.kill_dashboard()
        file = self._file()
        with suppress(FileNotFoundError), file.open("r+b") as opened:
            place = file.stat().st_size // 2
            opened.seek(place)
            old = opened.read(1)
            opened.seek(place)
            opened.write(bytes([old[0] ^ 1]))

    def delete_pointer(self) -> None:
        (self._folder / "data" / "cache" / "current.json").unlink(missing_ok=True)

    def _file(self) -> Path:
        """Some file of some segment."""
        files = [path for path in (self._folder / "data" / "cache" / "segments").rglob("*") if path.is_file()]
        return random.choice(files) if files else Path("none")


@contextmanager
def chaos(lab: Lab, folder: Path, slowest: float, many: int) -> Iterator[tuple[Chaos, Shop, list[Client]]]:
    """All of it with `many` clients, once the first sync is published."""
    shop = Shop(lab)
    running = Chaos(lab, folder, shop)
    clients = [Client(running.api, number, slowest) for number in range(many)]
    try:
        wait_for(lambda: _answers(running))
        for thread in (shop, *clients):
            thread.start()
        yield running, shop, clients
    finally:
        for thread in (shop, *clients):
            if thread.is_alive():
                thread.end()
        running.end()


def _answers(running: Chaos) -> bool:
    with suppress(httpx2.TransportError):
        return httpx2.get(f"{running.api}/fetch-data?limit=0", headers={"X-API-Key": KEY}, timeout=10).is_success
    return False
