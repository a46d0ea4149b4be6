"""Hosts of a shared cache that run shared_worker.py, in network namespaces or beside each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from paths import ROOT
from shared_history import Event, history_of

PROGRAM = ROOT / "tests" / "shared_worker.py"


class SharedWorker:
    """One host. It may be started again.

    Parameters: `prefix` is the command that runs its program elsewhere; `minutes` is how far its clock is ahead;
    `sync_seconds` is how long its syncs take.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        name: str,
        *,
        prefix: Sequence[str] = (),
        minutes: float = 0,
        sync_seconds: float = 0,
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self._command = [*prefix, sys.executable, str(PROGRAM), str(self.folder), name, str(minutes)]
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "CACHE_URL": url,
            "CACHE_FOLDER": str(self.folder / "copy"),
            "DATA_DIR": str(self.folder / "var"),
            "SYNC_SECONDS": str(sync_seconds),
        }
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = psutil.Popen(
                self._command, env=self._environment, stdin=subprocess.PIPE, stdout=log, stderr=log, bufsize=0
            )

    def request(self, by: str = "test") -> None:
        self._process.stdin.write(f"{by}\n".encode())

    def resign(self) -> None:
        """Ends it, as a service manager does."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._process.stdin.close()

    def kill(self) -> None:
        with suppress(psutil.NoSuchProcess):
            family = self._process.children(recursive=True)
            for process in (self._process, *family):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()
        self._process.stdin.close()

    @property
    def history(self) -> list[Event]:
        return history_of(self.folder) if (self.folder / "history").exists() else []

    def last(self, event: str) -> object:
        """The newest value of something that it watches."""
        return next((each["value"] for each in reversed(self.history) if each["event"] == event), None)

    def first(self, event: str, value: object, after: float) -> float | None:
        """When it had a value for the first time, after a time; in seconds since then."""
        times = (each["at"] for each in self.history if each["event"] == event and each["value"] == value)
        return next((at - after for at in times if at > after), None)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()
