"""Peak memory of one process, sampled; and a dashboard that has a visitor."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from bench.servers import running
from lab.servers import free_port
from scraper.browser import chrome

SAMPLE_SECONDS = 0.05
_IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"


class Peak:
    """The most that a process held at one time, in bytes, while the block ran. Its children are not counted.

    `uss` is what only this process maps, files included; `anonymous` leaves files out (both as Linux counts them).
    `alone_since` is when the last child was seen (seconds since the epoch; 0: none was).
    """

    def __init__(self, process: psutil.Process) -> None:
        self.uss = self.anonymous = 0
        self.alone_since = 0.0
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        with suppress(psutil.Error):
            while not self._ended.wait(SAMPLE_SECONDS):
                held = self._process.memory_full_info()
                self.uss = max(self.uss, held.uss)
                self.anonymous = max(self.anonymous, held.rss - held.shared)
                if self._process.children():
                    self.alone_since = time.time()


@contextmanager
def visited_dashboard(cache: str, folder: Path) -> Iterator[Peak]:
    """A dashboard from its start until a browser has shown its first page whole."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"CACHE_URL": cache, "SCHEDULER": "off", "DASHBOARD_PORT": str(port)}
    command = [sys.executable, "streamlit_app.py"]
    with (
        running(command, url, "/_stcore/health", env, folder / "dashboard.log") as server,
        Peak(server.process) as peak,
    ):
        with chrome() as browser:
            browser.get(url)
            wait = WebDriverWait(browser, 60)
            wait.until(lambda page: "Total sales" in page.find_element(By.TAG_NAME, "body").text)
            wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, _IDLE))
        yield peak
