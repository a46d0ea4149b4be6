"""A real sidecar for tests, in a process of its own or in this one. Tests play the worker through the cache.

The API is the same where it shares a port with the dashboard: tests of connections and of the contract run on both.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import cache_in, confirm, publish
from fronts import address_of, script_of, settings_of
from paths import ROOT
from warm_process import warm

from api.app import create_app
from api.contract.paths import PREFIX
from api.routes.cache_watcher import CacheWatcher
from api.server import Server
from cache.errors import Trouble
from cache.listen_address import listen
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.records import Progress, Run, Worker
from cache.storage.snapshot import ChangeCounts, Head
from cache.storage.store import Cache

SCRIPTS = ("api_sidecar", "one_port")
KEY = "a-key-for-tests-0123456789"


class Sidecar:
    """The API, by itself or on one port with the dashboard.

    Parameters: `folder` is where it runs; `settings` are environment variables beside the defaults for tests; `script`
    is one of SCRIPTS.
    """

    def __init__(self, folder: Path, settings: dict[str, str], script: str = "api_sidecar") -> None:
        self.folder = folder
        self.cache: Cache = cache_in(folder)
        defaults = {
            "SHOPIFY_API_KEY": KEY,
            "API_PORT": "0",
            "DASHBOARD_PORT": "0",
            "DATA_DIR": str(folder / "var"),
            "CACHE_URL": f"file:{folder / 'cache'}",
            "SCHEDULER": "off",
            "RATE_LIMIT": "off",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        with (folder / "log").open("ab") as log:
            environment = {**os.environ, **defaults, **settings_of(settings)}
            self.process = warm(script_of(script)).start(folder, environment, log)
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"API on (\S+)", line):
                self._front = ExitStack()
                self.url = self._front.enter_context(address_of(found[1], script))
                break
        else:
            self.process.wait(10)
            self.process.stdout.close()
            self.cache.close()
            raise AssertionError(f"the sidecar did not start: {self.log()}")
        self.client = httpx2.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=30)

    @property
    def prefixed(self) -> str:
        """The address below /v1, which is the address itself where a test is given no other."""
        return self.url.removesuffix(PREFIX) + PREFIX

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        self.client.close()
        self._front.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
        self.cache.close()


@contextmanager
def sidecar(folder: Path, script: str = "api_sidecar", **settings: str) -> Iterator[Sidecar]:
    running = Sidecar(folder, settings, script)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def served_here(folder: Path, rows: int, **constants: Any) -> Iterator[tuple[str, Cache]]:
    """A server in this process, with other values of `constants`; gives its address and its cache.

    `api__routes__cache_watcher__KEEPALIVE_SECONDS` is that of api/routes/cache_watcher.py.
    """
    settings = Settings.load(
        data_dir=folder / "var", cache_url=f"file:{folder / 'cache'}", rate_limit="off", access_log="off"
    )
    with pytest.MonkeyPatch.context() as patch, closing(open_cache(settings.cache_place)) as cache:
        for name, value in constants.items():
            patch.setattr(name.replace("__", "."), value)
        publish(cache, rows)
        watcher = CacheWatcher(cache)
        server = Server(create_app(cache, settings, KEY, watcher), watcher)
        with listen("127.0.0.1", 0, "API_HOST", "API_PORT") as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            host, port = listening.getsockname()
            try:
                yield f"http://{host}:{port}", cache
            finally:
                server.should_exit = True
                thread.join()


@contextmanager
def worker(cache: Cache) -> Iterator[Worker]:
    """A worker that leads and does nothing: tests run the syncs."""
    standing = Worker()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1):
            cache.leadership.heartbeat(standing)

    cache.leadership.heartbeat(standing)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield standing
    finally:
        ended.set()
        thread.join()
        cache.leadership.resign(standing)


@contextmanager
def sync(
    cache: Cache, rows: int | None = None, error: Trouble | None = None, changes: ChangeCounts | None = None
) -> Iterator[Run]:
    """A sync as a worker does it, begun at entry and finished at exit.

    Parameters: `rows` to publish (None: the data is unchanged); `error`, if it is to fail;
    `changes` as a sync counts them.
    """
    with cache.sync_lock():
        run = Run(trigger="test")
        cache.runs.begin(run)
        cache.runs.report(run.model_copy(update={"progress": Progress(phase="rows", done=2, total=8, bytes=512)}))
        yield run
        head: Head | None = cache.snapshots.head()
        values: dict[str, Any] = {"outcome": "failed", "error": error}
        if error is None:
            head = confirm(cache) if rows is None else publish(cache, rows)
            values = {"outcome": "unchanged" if rows is None else "published"}
        generation = head.generation if head else None
        cache.runs.finish(run.model_copy(update={**values, "generation": generation, "changes": changes}))


@contextmanager
def answering(cache: Cache, rows: int | None = None, error: Trouble | None = None) -> Iterator[None]:
    """A worker that answers requests with syncs as they come."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.05):
            if cache.status().queued:
                with sync(cache, rows, error):
                    pass

    with worker(cache):
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
