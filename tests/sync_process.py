"""A process that runs one sync after the other, and measures the memory that each takes.

Starting a process takes a second, so tests of many syncs share one. It reads settings as JSON, one line for each sync,
and answers with a line of JSON.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from paths import ROOT

LIMIT = 2048  # MB, the default of SYNC_MEMORY_MB
SECONDS = 20  # an answer that takes so long would be a fault


class Outcome(NamedTuple):
    """How a sync ended.

    Attributes:
        outcome: `Run.outcome`.
        code: The code of its error; empty if there is none.
        text: Message and advice of its error.
        megabytes: The most memory that the process held during it.
    """

    outcome: str
    code: str
    text: str
    megabytes: float


class SyncProcess:
    """The process."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def sync(self, settings: dict[str, Any], seconds: float = SECONDS) -> Outcome:
        """Runs a sync into an empty cache, which may take so many seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(settings), file=self._process.stdin, flush=True)
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self._process.kill()
            raise TimeoutError(f"a sync took more than {seconds} s")
        return Outcome(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


@contextmanager
def sync_process() -> Iterator[SyncProcess]:
    """A process for the block."""
    with closing(SyncProcess()) as process:
        yield process


def main() -> None:
    """Runs a sync for each line."""
    import httpx2

    from cache.storage.backends import open_cache
    from scraper import errors
    from scraper.__main__ import _return_memory_early
    from scraper.client import exporter
    from scraper.login.login import log_in
    from scraper.memory_limit import limit_memory
    from scraper.settings import ScraperSettings
    from scraper.sync.sync import sync

    exporter.PAUSES = (0, 0, 0)
    errors.LONGEST_WAIT = 0.01
    httpx2.create_ssl_context = functools.cache(httpx2.create_ssl_context)  # reads certificates for 30 ms
    _return_memory_early()
    limit_memory(LIMIT)
    gc.freeze()
    for line in sys.stdin:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what the sync before has left is not of this one
        with tempfile.TemporaryDirectory() as folder:
            settings = ScraperSettings.load(**json.loads(line), data_dir=folder)
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            with closing(open_cache(settings.cache_place)) as cache:
                run = sync(cache, settings, log_in)
            status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        error = (run.error.code, f"{run.error.message} {run.error.advice}") if run.error else ("", "")
        print(json.dumps([run.outcome, *error, peak]), flush=True)


if __name__ == "__main__":
    main()
