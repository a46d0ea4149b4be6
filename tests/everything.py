"""Everything at once, nothing replaced: MariaDB, phpMyAdmin, Chrome, dashboard, API and worker over one cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
from cache_factory import cache_in
from paths import ROOT
from waiting import wait_for

from cache.storage.records import Worker
from cache.storage.store import Cache
from lab import Lab
from lab.servers import free_port
from scraper.processes import still_running

KEY = "a-key-for-the-end-to-end-tests"
COMMANDS = {
    "worker": ("-m", "scraper", "worker"),
    "api": (str(ROOT / "api_sidecar.py"),),
    "dashboard": (str(ROOT / "streamlit_app.py"),),
}


class Everything:
    """Dashboard, API and worker, each its own process and each standing for the scheduler.

    Parameters: `settings` are environment variables beside those of the lab.
    """

    def __init__(self, lab: Lab, folder: Path, **settings: str) -> None:
        self.lab = lab
        self.folder = folder
        self.environment = {
            **os.environ,
            **lab.settings(),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DATA_DIR": str(folder / "var"),
            "CACHE_URL": f"file:{folder / 'cache'}",
            "SHOPIFY_API_KEY": KEY,
            "REFRESH_MIN_SECONDS": "0",
            "API_PORT": str(free_port()),
            "DASHBOARD_PORT": str(free_port()),
            **settings,
        }
        self.cache: Cache = cache_in(folder)
        self.dashboard = f"http://127.0.0.1:{self.environment['DASHBOARD_PORT']}"
        self.api = httpx2.Client(
            base_url=f"http://127.0.0.1:{self.environment['API_PORT']}", headers={"X-API-Key": KEY}, timeout=60
        )
        self.processes = {name: self.start(*command) for name, command in COMMANDS.items()}

    def start(self, *command: str) -> psutil.Popen:
        with (self.folder / "log").open("ab") as log:
            return psutil.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_again(self, ended: psutil.Popen) -> None:
        """Starts what was killed; returns when all three stand for the scheduler."""
        name = next(name for name, process in self.processes.items() if process is ended)
        self.processes[name] = self.start(*COMMANDS[name])
        wait_for(lambda: len(self.cache.status().workers) == len(COMMANDS))

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def process_of(self, worker: Worker) -> psutil.Popen:
        return next(process for process in self.processes.values() if process.pid == worker.pid)

    def close(self) -> None:
        family = [child for p in self.processes.values() if p.is_running() for child in p.children(recursive=True)]
        for process in self.processes.values():
            if process.is_running():
                process.terminate()
        psutil.wait_procs(list(self.processes.values()), timeout=20)
        self.api.close()
        self.cache.close()
        left = still_running([*self.processes.values(), *family], 10)
        for process in left:
            process.kill()
        assert not left, f"still running after their end was asked for: {left}"


@contextmanager
def started(lab: Lab, folder: Path, **settings: str) -> Iterator[Everything]:
    """All of it, once the first sync is done and all three stand for the scheduler."""
    running = Everything(lab, folder, **settings)
    try:
        wait_for(lambda: running.cache.snapshots.head() is not None)
        wait_for(lambda: len(running.cache.status().workers) == 3)
        yield running
    finally:
        running.close()
