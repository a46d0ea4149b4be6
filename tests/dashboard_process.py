"""A real dashboard for tests: its own process, folder and port."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
from cache_factory import cache_in
from fronts import address_of, script_of, settings_of
from warm_process import ForkedProcess, warm

from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.store import Cache
from dashboard.auth.identity import Identities
from lab.servers import free_port

OIDC = {
    "oidc_metadata_url": "https://id.example/.well-known/openid-configuration",
    "oidc_client_id": "orders",
    "oidc_client_secret": "s3cret",
    "dashboard_url": "https://orders.example",
    "dashboard_viewers": "@example.com",
}
"""Settings of a sign-in with OpenID Connect."""


def wait_for(url: str, process: ForkedProcess | subprocess.Popen[bytes]) -> None:
    """Returns when the process answers there."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx2.get(url).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} did not answer")


RUNNING: list[Dashboard] = []
LOGGED = 6_000  # characters of a log that the report of a failed test shows


class Dashboard:
    """Parameters: `folder` is where it runs; `settings` are environment variables beside the defaults for tests."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.settings = settings_of(settings)
        self.cache: Cache = cache_in(folder)
        port = settings.get("DASHBOARD_PORT") or str(free_port())
        defaults = {
            "DASHBOARD_PORT": port,
            "DATA_DIR": str(folder / "var"),
            "CACHE_URL": f"file:{folder / 'cache'}",
            "SCHEDULER": "off",
        }
        with (folder / "log").open("ab") as log:
            self.process = warm(script_of("streamlit_app")).start(
                folder, {**os.environ, **defaults, **self.settings}, log, log
            )
        self._front = ExitStack()
        self.url = self._front.enter_context(address_of(f"http://127.0.0.1:{port}", "streamlit_app"))
        try:
            wait_for(f"{self.url}/_stcore/health", self.process)
        except AssertionError:
            self.close()
            raise AssertionError(f"the dashboard did not start: {self.log()}") from None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def threads(self) -> str:
        """The end of the log, with what each thread does now: why a page waits."""
        os.kill(self.process.pid, signal.SIGUSR1)
        time.sleep(0.5)  # it writes them
        return self.log()[-LOGGED:]

    def identities(self) -> Identities:
        """Recognises visitors as the dashboard does."""
        settings = Settings.load(**{name.lower(): value for name, value in self.settings.items()})
        documents = self.cache.documents
        return Identities(settings, documents, documents.read(API_KEYS).secret)

    def close(self) -> None:
        self._front.close()
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()
        self.cache.close()


@contextmanager
def dashboard(folder: Path, **settings: str) -> Iterator[Dashboard]:
    running = Dashboard(folder, settings)
    RUNNING.append(running)
    try:
        yield running
    except AssertionError:
        print(running.threads())
        raise
    finally:
        RUNNING.remove(running)
        running.close()
