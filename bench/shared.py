"""python -m bench.shared: the shared cache, on a PostgreSQL of its own on this machine.

What a publish costs, how soon another host has it, how the database grows, what a host takes in memory, how the API
answers from the copy of a host beside a cache of files, and what idle hosts ask of the database. Rows are those of real
syncs, before and after some rows changed, published in turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.beside import CLIENTS
from bench.serve import FOLDER, PAGE, sidecar, synced
from bench.servers import KEY, ROOT, median, opened
from bench.wrk import ask
from cache.errors import OrdersError
from cache.settings import Settings
from cache.storage.records import Publication, as_published, now
from cache.storage.shared.shared_cache import open_shared
from cache.storage.snapshot import Manifest
from cache.storage.store import Cache
from lab import Lab, LabError
from lab.postgresql import PostgreSQL, Running, folder_for_servers
from lab.servers import install
from scraper.scheduler import Scheduler

NAME = "orders"
PARTS = ("publish", "notice", "growth", "memory", "api", "idle")
WAIT_SECONDS = 60.0
NOTICES = 100
IDLE_SECONDS = 20
_MEMORY = """
import re, sys, time
from pathlib import Path
from cache.storage.shared.shared_cache import open_shared
cache = open_shared(sys.argv[1], "orders", Path(sys.argv[2]))
cache.runs.version()

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
cache.snapshots.follow()
while cache.snapshots.head() is None:
    time.sleep(0.05)
print(peak() - before)
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the table in a cache of files: its manifest, and the folder of its segments."""

    manifest: Manifest
    segments: Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.shared", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="orders in the table (100000)")
    parser.add_argument("--large", type=int, default=1_000_000, help="orders for the memory of a host (1000000)")
    parser.add_argument("--touches", type=int, default=300, help="rows that change (300)")
    parser.add_argument("--syncs", type=int, default=200, help="syncs for the size of the database (200)")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of measurements of the API (10)")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement of the API (2)")
    parser.add_argument("--hosts", type=int, default=20, help="idle hosts (20)")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="what is measured")
    asked = parser.parse_args()
    try:
        install("wrk")
        with folder_for_servers() as home, tempfile.TemporaryDirectory(prefix="bench-") as folder:
            server = PostgreSQL(home, durable=True)
            with Running(server, home) as running:
                _report(server, running, Path(folder), asked)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _report(server: PostgreSQL, running: Running, folder: Path, asked: argparse.Namespace) -> None:
    before, after = _copies(asked.rows, asked.touches, folder)
    with closing(open_shared(_database(server, "shared"), NAME, folder / "writer", "writer")) as writer:
        for part in asked.only:
            if part == "publish":
                _publish(server, writer, before, after, folder)
            elif writer.snapshots.head() is None:
                _replay(writer, before)
            url = server.url("shared")
            if part == "notice":
                _notice(url, writer, folder)
            elif part == "growth":
                _growth(url, writer, (after, before), asked.syncs)
            elif part == "memory":
                _memory(server, asked.large, folder)
            elif part == "api":
                _api(server, running, url, asked, folder)
            elif part == "idle":
                _idle(server, before, asked.hosts, folder)


def _copies(rows: int, touches: int, folder: Path) -> tuple[Copy, Copy]:
    """The same table before and after some of its rows changed."""
    data_dir = synced(rows)
    changed = folder / "changed"
    shutil.copytree(data_dir, changed)
    with Lab(FOLDER / "lab") as lab:
        if lab.rows() != rows:
            raise LabError(f"Delete {data_dir}: the lab has {lab.rows()} rows.")
        lab.mutate(touches=touches)
        env = {**os.environ, **lab.settings(), "SOURCE_TIMEZONE": "UTC", "PHPMYADMIN_LOGIN": "http"}
        command = [sys.executable, "-m", "scraper", "sync"]
        subprocess.run(command, cwd=ROOT, env={**env, "DATA_DIR": str(changed)}, check=True, capture_output=True)
    return _copy(data_dir), _copy(changed)


def _copy(data_dir: Path) -> Copy:
    with closing(opened(data_dir)) as cache:
        return Copy(cache.snapshots.open().manifest, data_dir / "cache" / "segments")


def _database(server: PostgreSQL, name: str) -> str:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.url(name)


def _replay(cache: Cache, copy: Copy) -> float:
    """Publishes a copy as a sync does, and returns the seconds of its uploads and its publish."""
    with cache.sync_lock():
        cache.snapshots.catch_up()
        last = cache.snapshots.head()
        held = {segment.id for segment in cache.snapshots.inspect(last.generation).manifest.segments} if last else set()
        with cache.snapshots.workspace() as workspace:
            new = [segment for segment in copy.manifest.segments if segment.id not in held]
            for segment in new:
                shutil.copytree(copy.segments / segment.id, workspace / segment.id)
            began = time.monotonic()
            for segment in new:
                cache.snapshots.adopt(workspace / segment.id, segment)
            number = cache.snapshots.next_number()
            parent = last.generation if last else None
            manifest = copy.manifest.model_copy(update={"generation": number, "parent": parent, "created_at": now()})
            cache.snapshots.publish(Publication(manifest, as_published(manifest, None)))
            return time.monotonic() - began


@contextmanager
def _host(url: str, folder: Path) -> Iterator[Cache]:
    """Another host, which follows."""
    with closing(open_shared(url, NAME, folder, folder.name)) as cache:
        cache.snapshots.follow()
        yield cache


def _until(condition: Callable[[], bool]) -> float:
    """Seconds until a condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > WAIT_SECONDS:
            raise LabError(f"A host did not catch up within {WAIT_SECONDS:g} s.")
        time.sleep(0.002)
    return time.monotonic() - began


def _has(cache: Cache, generation: int) -> bool:
    head = cache.snapshots.head()
    return head is not None and head.generation >= generation


def _publish(server: PostgreSQL, writer: Cache, before: Copy, after: Copy, folder: Path) -> None:
    url = server.url("shared")
    print(f"publish of {before.manifest.rows:,} rows: {_replay(writer, before):.2f} s")
    empty = []
    for i in range(3):
        began = time.monotonic()
        with _host(url, folder / f"empty{i}") as host:
            _until(lambda host=host: _has(host, 1))  # type: ignore[misc]
            empty.append(time.monotonic() - began)
    print(f"an empty host has them after {median(empty):.2f} s")
    with _host(url, folder / "follower") as host:
        changed = []
        for i, copy in enumerate((after, before, after), start=2):
            began = time.monotonic()
            _replay(writer, copy)
            _until(lambda i=i: _has(host, i))  # type: ignore[misc]
            changed.append(time.monotonic() - began)
    print(f"changed rows, from the first upload until another host has them: {median(changed):.2f} s")


def _notice(url: str, writer: Cache, folder: Path) -> None:
    with _host(url, folder / "notices") as host:
        _until(lambda: host.snapshots.head() == writer.snapshots.head())
        times = []
        with writer.sync_lock():
            for i in range(NOTICES):
                head = writer.snapshots.head()
                assert head is not None
                told = head.model_copy(update={"as_of": now()})
                writer.snapshots.confirm(told)
                times.append(_until(lambda told=told: host.snapshots.head() == told))  # type: ignore[misc]
                time.sleep(0.02 + i / NOTICES / 50)
    p95 = sorted(times)[NOTICES * 95 // 100]
    print(f"another host notices a change after {median(times) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")


def _growth(url: str, writer: Cache, copies: tuple[Copy, Copy], syncs: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:

        def measured(what: str) -> int:
            row = connection.execute(f"SELECT {what}").fetchone()
            assert row is not None
            return int(row[0] or 0)

        for i in range(syncs):
            _replay(writer, copies[i % 2])
            connection.execute("UPDATE orders_cache.manifests SET replaced = replaced - interval '1 hour'")
        taken = measured("pg_total_relation_size('orders_cache.blobs')")
        live = measured("sum(octet_length(data)) FROM orders_cache.blobs")
    print(f"blobs after {syncs} syncs: {taken >> 20} MB for {live >> 20} MB live, ratio {taken / live:.2f}")


def _memory(server: PostgreSQL, rows: int, folder: Path) -> None:
    copy = _copy(synced(rows))
    url = _database(server, "large")
    with closing(open_shared(url, NAME, folder / "large", "large")) as cache:
        _replay(cache, copy)
    command = [sys.executable, "-c", _MEMORY, url, str(folder / "measured")]
    added = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    print(f"a host takes {float(added):.0f} MB more while it copies {copy.manifest.rows:,} rows")


def _api(server: PostgreSQL, running: Running, url: str, asked: argparse.Namespace, folder: Path) -> None:
    """The API over the copy of a host beside the API over a cache of files, in turns; then without the database."""
    shared = {"CACHE_URL": url, "CACHE_FOLDER": str(folder / "api")}
    with ExitStack() as stack:
        mirror = stack.enter_context(sidecar(folder / "data", folder, **shared))
        files = stack.enter_context(sidecar(synced(asked.rows), folder))
        page = f"/fetch-data?limit={PAGE}&offset={asked.rows // 2}"
        headers = {"X-API-Key": KEY}
        for name, down in (("", False), (", the database down", True)):
            if down:
                server.stop_at_once()
                time.sleep(1)
            for case, path in (
                ("same page", page),
                ("filter", f"{page}&financial_status=paid"),
                ("whole body", "/fetch-data"),
            ):
                ratios = []
                for i in range(asked.pairs):
                    rates = {}
                    for side in (mirror, files) if i % 2 else (files, mirror):
                        rates[side.url] = ask(side.url + path, "", CLIENTS, asked.seconds, folder, headers).rate
                    ratios.append(rates[mirror.url] / rates[files.url])
                spread = f"({min(ratios):.3f} to {max(ratios):.3f})"
                print(
                    f"requests/s on a copy to those on files, {case}{name}: {median(ratios):.3f} {spread}", flush=True
                )
        running.start()


def _idle(server: PostgreSQL, copy: Copy, hosts: int, folder: Path) -> None:
    url = _database(server, "idle")
    settings = Settings.load(data_dir=folder / "idle", sync_interval_minutes=10_000)
    with ExitStack() as stack, psycopg.connect(url, autocommit=True) as connection:
        for i in range(hosts):
            cache = stack.enter_context(_host(url, folder / f"idle{i}"))
            if not i:
                _replay(cache, copy)  # so that no sync is due
            scheduler = Scheduler(cache, settings, "bench")
            scheduler.start()
            stack.callback(scheduler.stop)
        time.sleep(5)

        def statements() -> int:
            row = connection.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = 'idle'").fetchone()
            assert row is not None
            return int(row[0])

        before = statements()
        time.sleep(IDLE_SECONDS)
        asked = (statements() - before) / IDLE_SECONDS
    print(f"{hosts} idle hosts: {asked:.1f} statements/s")


if __name__ == "__main__":
    sys.exit(main())
