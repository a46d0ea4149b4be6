"""Runs syncs that are killed just before their n-th step towards the disk. Not a test: driven by test_crash.py.

For each number read from standard input: a fork runs a sync and sends itself SIGKILL at that step; what became of it is
printed as one line, "killed" or the outcome of the run. A step is any fsync, rename, or commit of the journal.
"""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cache_factory import cache_in

import scraper.sync.keyset_pager
import scraper.sync.segment_assembler
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync


class Countdown:
    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self.step()
            return function(*arguments, **more)

        return counted


def run(steps: int, folder: Path, login: bytes) -> str:
    session, settings = pickle.loads(login)
    countdown = Countdown(steps)
    for name in ("fsync", "rename", "replace"):
        setattr(os, name, countdown.before(getattr(os, name)))

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                countdown.step()
            return super().execute(sql, *values)

    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Connection)  # type: ignore[assignment]
    scraper.sync.keyset_pager.PAGE_ROWS = scraper.sync.segment_assembler.SEGMENT_ROWS = 10
    cache = cache_in(folder)
    outcome = sync(cache, ScraperSettings.load(**settings), lambda _: session).outcome
    cache.close()
    return outcome


def main() -> None:
    folder, login = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(run(int(line), folder, login), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print("killed", flush=True)


if __name__ == "__main__":
    main()
