"""python -m bench.live: what happens while others listen or sync: events to a thousand clients, pages beside a sync.

The memory of a client is what the server's anonymous memory grew by, shared among all. The time of an event runs from
its publish to the last client that has it, told by one process that reads all sockets. Pages of 100 rows are asked for
by wrk while a first load of a large table runs on the same cores, and once more while nothing runs.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

import httpx2
import psutil

from bench.serve import FOLDER, PAGE, sidecar, synced
from bench.servers import KEY, ROOT, Server, median, opened
from bench.wrk import Rate, ask
from cache.errors import OrdersError
from lab import Lab, LabError
from lab.servers import install

EVENTS = 21
SETTLED_SECONDS = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--clients", type=int, default=1_000, help="that listen to events (1000)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders of the sync (1000000)")
    asked = parser.parse_args()
    try:
        install("wrk")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            _events(Path(folder), asked.clients)
            _beside(Path(folder), asked.rows)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _events(folder: Path, count: int) -> None:
    data_dir = synced(100_000)
    with ExitStack() as stack:
        cache = stack.enter_context(closing(opened(data_dir)))
        api = stack.enter_context(sidecar(data_dir, folder))
        clients = [stack.enter_context(_listening(api)) for _ in range(count // 10)]
        _until_all(clients)
        before = _anonymous(api)
        more = [stack.enter_context(_listening(api)) for _ in range(count)]
        _until_all(more)
        time.sleep(SETTLED_SECONDS)
        each = (_anonymous(api) - before) / count
        head = cache.snapshots.head()
        assert head is not None
        times = []
        for i in range(EVENTS):
            began = time.monotonic()
            cache.snapshots.confirm(head.model_copy(update={"reason": f"event {i}"}))
            _until_all(clients + more)
            times.append(time.monotonic() - began)
            time.sleep(0.5 + i / EVENTS / 10)  # at no fixed distance from the looks of the server
        cache.snapshots.confirm(head)
    print(
        f"{count:,} clients of events: {each / 1000:.1f} KB each; from a publish until the last has it: median "
        f"{median(times) * 1000:.0f} ms, at most {max(times) * 1000:.0f} ms"
    )


def _listening(api: Server) -> socket.socket:
    address = httpx2.URL(api.url)
    client = socket.create_connection((address.host, address.port), 30)
    client.sendall(f"GET /events HTTP/1.1\r\nHost: {address.host}\r\nX-API-Key: {KEY}\r\n\r\n".encode())
    return client


def _until_all(clients: Sequence[socket.socket]) -> None:
    """Until each has been told of a snapshot."""
    with selectors.DefaultSelector() as selector:
        heard = dict.fromkeys(clients, b"")
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(30)
            if not ready:
                raise LabError("An event did not reach every client.")
            for key, _ in ready:
                client = cast(socket.socket, key.fileobj)
                heard[client] += client.recv(1 << 16)
                if b"event: snapshot" in heard[client]:
                    selector.unregister(client)


def _anonymous(api: Server) -> int:
    held = api.process.memory_full_info()
    return int(held.rss - held.shared)


def _beside(folder: Path, rows: int) -> None:
    data_dir = synced(100_000)
    loaded = FOLDER / f"data-{rows}"
    synced(rows)  # so that the table is there
    with Lab(FOLDER / "lab") as lab, sidecar(data_dir, folder) as api:
        alone = _pages(api, folder)
        env = {
            **os.environ,
            **lab.settings(),
            "SOURCE_TIMEZONE": "UTC",
            "PHPMYADMIN_LOGIN": "http",
            "DATA_DIR": str(folder / "data"),
        }
        sync = psutil.Popen([sys.executable, "-m", "scraper", "sync"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)  # past the login
            beside = _pages(api, folder)
            if sync.poll() is not None:
                raise LabError("The sync ended too soon to be measured beside.")
        finally:
            sync.terminate()
            sync.wait()
    print(
        f"pages of {PAGE} at 16 clients, alone: {alone.rate:.0f}/s, p99 {alone.p99:.1f} ms; beside a first load of "
        f"{loaded.name.removeprefix('data-')} rows: {beside.rate:.0f}/s, p99 {beside.p99:.1f} ms"
    )


def _pages(api: Server, folder: Path) -> Rate:
    script = (
        f'math.randomseed(os.time())\nrequest = function() return wrk.format("GET", '
        f'"/fetch-data?limit={PAGE}&offset=" .. math.random(0, 99000)) end\n'
    )
    return ask(api.url, script, 16, 10, folder, {"X-API-Key": KEY})


if __name__ == "__main__":
    sys.exit(main())
