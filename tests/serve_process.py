"""A real `serve.py` for tests: its own process, folder and ports."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
from paths import ROOT

from lab.servers import free_port


class Served:
    """serve.py in a process and folder of its own, with `arguments`. `said` grows line by line."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.api_port, self.dashboard_port = free_port(), free_port()
        defaults = {
            "API_PORT": str(self.api_port),
            "DASHBOARD_PORT": str(self.dashboard_port),
            "DATA_DIR": str(folder / "var"),
            "SCHEDULER": "off",
        }
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "serve.py", *arguments],
            cwd=folder,
            env={**os.environ, **defaults, **settings},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)

    def wait_for(self, text: str) -> str:
        """The first line that holds the text."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := [line for line in self.said if text in line]:
                return found[0]
            assert self.process.poll() is None, self.output
            time.sleep(0.1)
        raise AssertionError(self.output)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def program(self, script: str) -> psutil.Process:
        return next(process for process in self.family() if process.cmdline()[-1:] == [str(ROOT / script)])

    def answers(self, url: str) -> bool:
        try:
            return httpx2.get(url).is_success
        except httpx2.HTTPError:
            return False

    def status(self, key: str) -> dict[str, Any]:
        body: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{self.api_port}/status", headers={"X-API-Key": key}).json()
        return body

    def ended(self) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(60)
        self._reader.join(10)
        return code

    @property
    def output(self) -> str:
        return "".join(self.said)


@contextmanager
def served(folder: Path, *arguments: str, **settings: str) -> Iterator[Served]:
    one = Served(folder, *arguments, **settings)
    try:
        yield one
    finally:
        one.process.terminate()
        one.ended()
        if one.process.stdout:
            one.process.stdout.close()
