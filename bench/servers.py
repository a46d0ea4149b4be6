"""Start a server for as long as it is measured, and take medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from cache.cache_place import CachePlace
from cache.storage.backends import open_cache
from cache.storage.store import Cache
from lab import LabError

ROOT = Path(__file__).resolve().parent.parent
KEY = "6d1f" * 8  # for these servers on loopback only
START_SECONDS = 60

median = statistics.median


def opened(data_dir: Path) -> Cache:
    """The cache of a DATA_DIR."""
    return open_cache(CachePlace.of_files(data_dir / "cache", data_dir / "kept"))


@dataclass(frozen=True)
class Server:
    url: str
    process: psutil.Process


@contextmanager
def running(
    command: Sequence[str], url: str, ready: str, env: Mapping[str, str], log: Path, checkout: Path = ROOT
) -> Iterator[Server]:
    """A server that answers at `ready` below `url`; it is ended afterwards. Raises LabError where it does not start."""
    with log.open("wb") as output:
        process = psutil.Popen(command, cwd=checkout, env={**os.environ, **env}, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url + ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{command[0]} did not start: {log.read_text()[-800:]}")
            time.sleep(0.1)
        yield Server(url, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=10, trust_env=False).is_success
    except httpx2.HTTPError:
        return False
