"""python -m bench.refresh: a sync of a large table beside its own statements, sent by curl to /dev/null.

The statements of each sync are recorded and sent again right after it, so both sides ask the server for the same. The
login is left out on both sides. Memory is that of `python -m scraper sync` in a process of its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.first_sync import sync_process
from bench.servers import median, opened
from cache.errors import OrdersError
from cache.settings import from_checkout
from cache.storage.records import Run
from lab import TABLE, Lab, LabError
from lab.servers import install
from scraper.client.exporter import Exporter, _Request
from scraper.client.session import Session
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.row_fingerprints import BLOCK_ROWS
from scraper.sync.sync import sync

CHECKSUMS = "MD5("
SMALL, SMALL_ROWS = "orders_small", 100_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.refresh", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders in the table (1000000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--touches", type=int, default=300, help="rows changed between two syncs (300)")
    asked = parser.parse_args()
    logging.disable()
    try:
        install("curl")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab(from_checkout("var/bench/lab")) as lab:
            if abs(lab.rows() - asked.rows) > asked.rows // 100:
                lab.seed(asked.rows)
            os.environ.update(lab.settings(), SOURCE_TIMEZONE="UTC")
            _report(lab, Path(folder), asked.runs, asked.touches)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _report(lab: Lab, folder: Path, runs: int, touches: int) -> None:
    settings = ScraperSettings.load(**{name.lower(): value for name, value in lab.settings().items()})
    session = log_in(settings)
    times: dict[str, list[tuple[float, float]]] = {
        "first load": [],
        "nothing changed": [],
        f"{touches} rows changed": [],
    }
    exported: list[int] = []
    print(f"{lab.rows():,} rows, medians of {runs} runs that take turns\n")
    for i in range(runs):
        with closing(opened(folder / f"data{i}")) as cache:
            for name, seconds in times.items():
                if name.endswith("rows changed"):
                    lab.mutate(touches=touches)
                with _recorded() as statements:
                    began = time.monotonic()
                    run = sync(cache, settings, lambda _: session)
                    took = time.monotonic() - began
                _expect(run)
                wanted = statements if name == "first load" else [sql for sql in statements if CHECKSUMS in sql]
                if name.endswith("rows changed"):
                    exported.append(run.exported_ranges)
                seconds.append((took, _curl(session, settings, wanted, folder)))
    print(f"{'seconds':<34}{'sync':>10}{'curl':>10}{'ratio':>8}")
    for name, pairs in times.items():
        ours, theirs = (median(list(side)) for side in zip(*pairs, strict=True))
        print(f"{name:<34}{ours:>10.2f}{theirs:>10.2f}{ours / theirs:>8.2f}", flush=True)
    whole = lab.rows() // BLOCK_ROWS
    print(f"\nranges exported where {touches} rows changed: {', '.join(map(str, exported))} of {whole:,}")
    _memory(lab, folder)


def _memory(lab: Lab, folder: Path) -> None:
    """Peaks of first loads of the table and of a smaller one."""
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE TABLE {SMALL} LIKE {TABLE}")
        cursor.execute(f"INSERT INTO {SMALL} SELECT * FROM {TABLE} ORDER BY id LIMIT {SMALL_ROWS}")
    try:
        for table in (SMALL, TABLE):
            os.environ["PHPMYADMIN_TABLE"] = table
            _, login, peak = sync_process(folder / "watched", watch=True)
            with closing(opened(folder / "watched")) as cache:
                run = cache.runs.recent(1)[0]
            late = peak.alone_since - run.started_at.timestamp() - login
            print(
                f"first load of {run.rows:,} rows: at most {peak.uss / 1e6:.0f} MB of private memory, Chrome apart; "
                f"login {login:.1f} s; Chrome gone {'after' if late > 0.1 else 'before'} the first statement"
            )
    finally:
        os.environ["PHPMYADMIN_TABLE"] = TABLE
        with lab.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {SMALL}")


def _expect(run: Run) -> None:
    if run.error is not None:
        raise LabError(f"The sync failed: {run.error.message}")


@contextmanager
def _recorded() -> Iterator[list[str]]:
    """The statements that exports send meanwhile."""
    statements: list[str] = []
    original = Exporter._send

    def send(self: Exporter, request: Any, body: Any) -> object:
        statements.append(request.sql)
        return original(self, request, body)

    Exporter._send = send  # type: ignore[method-assign, assignment]
    try:
        yield statements
    finally:
        Exporter._send = original  # type: ignore[method-assign]


def _curl(session: Session, settings: ScraperSettings, statements: list[str], folder: Path) -> float:
    """Seconds that one curl needs for the statements, one after the other."""
    with Exporter(session, settings) as export:
        _, form = export._prepared(_Request())
    lines = []
    for i, sql in enumerate(statements):
        data = folder / f"form{i}"
        data.write_text(urlencode({**form, "sql_query": sql}))
        cookies = "; ".join(f"{name}={value}" for name, value in session.cookies)
        lines += [
            "next",
            f'url = "{session.export_url}"',
            f'data = "@{data}"',
            f'cookie = "{cookies}"',
            f'user-agent = "{session.user_agent}"',
            'output = "/dev/null"',
            "silent",
            "fail",
        ]
    config = folder / "curl"
    config.write_text("\n".join(lines[1:]))
    began = time.monotonic()
    subprocess.run(["curl", "--config", str(config)], check=True)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
