"""python -m bench.serve: the API beside nginx with files of the same bytes, ROAPI, Datasette and a plain Flask app.

"one port" is the API on one port with the dashboard.

All serve the same rows. Each case is asked by wrk at concurrency 1, 16 and 64, server after server, and all of it
several times over, so that a busy moment of the machine meets every side; the table has medians and ratios. Pages and
queries are new ones each time. A peer that would need more memory or minutes than there are is left out of a cell.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from bench.memory import Peak
from bench.peers import TABLE, compressed, datasette, flask, nginx, roapi
from bench.servers import KEY, ROOT, Server, median, opened, running
from bench.wrk import Rate, ask
from cache.errors import OrdersError
from cache.storage.snapshot import Snapshot
from lab import Lab, LabError
from lab.servers import free_port, install

CLIENTS = (1, 16, 64)
FOLDER = ROOT / "var" / "bench"
PAGE = 100
FIRST_BYTES = 21  # requests whose first byte is timed
SLOW = 200_000_000  # bytes of a body for which Flask takes minutes
HEAVY = 2_000_000_000  # bytes of answers that a peer holds in memory at once
BULK = 20_000_000_000  # bytes that are under way at once
_HEADERS = {"X-API-Key": KEY}


@dataclass(frozen=True)
class Case:
    """One question, as each server understands it: an address or a Lua script, and headers. `peers` are those asked."""

    name: str
    asks: dict[str, tuple[str, str]]
    headers: dict[str, dict[str, str]] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.serve", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the table")
    parser.add_argument("--runs", type=int, default=3, help="rounds that take turns (3)")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement (2)")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    asked = parser.parse_args()
    try:
        install("nginx-light", "wrk", "curl")
        for rows in asked.rows:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                _report(rows, synced(rows), Path(folder), asked)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def synced(rows: int) -> Path:
    """DATA_DIR with a copy of that many orders; it is kept for the next time."""
    data_dir = FOLDER / f"data-{rows}"
    with closing(opened(data_dir)) as cache:
        if cache.snapshots.head() is not None:
            return data_dir
    with Lab(FOLDER / "lab") as lab:
        if lab.rows() != rows:
            lab.seed(rows)
        env = {
            **os.environ,
            **lab.settings(),
            "SOURCE_TIMEZONE": "UTC",
            "DATA_DIR": str(data_dir),
            "PHPMYADMIN_LOGIN": "http",
        }
        subprocess.run([sys.executable, "-m", "scraper", "sync"], cwd=ROOT, env=env, check=True, capture_output=True)
    return data_dir


@contextmanager
def sidecar(data_dir: Path, folder: Path, script: str = "api_sidecar.py", **settings: str) -> Iterator[Server]:
    """The API over a cache, without a scheduler; keys, limits and the log are on. `script` serves it."""
    port = free_port()
    env = {
        "DATA_DIR": str(data_dir),
        "SCHEDULER": "off",
        "ORDERS_API_KEY": KEY,
        "API_PORT": str(port),
        "DASHBOARD_PORT": str(port),
        "RATE_LIMIT": "1000000000/minute",
        **settings,
    }  # counted as ever, and never reached
    with running(
        [sys.executable, script], f"http://127.0.0.1:{port}", "/health", env, folder / f"{script}.log"
    ) as server:
        yield server


def _report(rows: int, data_dir: Path, folder: Path, asked: argparse.Namespace) -> None:
    cores, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total >> 30
    with closing(opened(data_dir)) as cache:
        snapshot = cache.snapshots.open()
    print(
        f"\n# {snapshot.rows:,} rows of {len(snapshot.columns)} columns, medians of {asked.runs} rounds of "
        f"{asked.seconds} s, {cores} cores, {memory} GB\n"
    )
    with ExitStack() as stack:
        api = stack.enter_context(sidecar(data_dir, folder))
        peak = stack.enter_context(Peak(api.process))
        body = _get(api, "/fetch-data").content
        page = _get(api, f"/fetch-data?limit={PAGE}&offset={snapshot.rows // 2}").content
        files = {"page": page, "fetch-data": body, "fetch-data.gz": compressed(body)}
        (folder / "rows.json").write_bytes(body)
        servers = {
            "ours": api,
            "one port": stack.enter_context(sidecar(data_dir, folder, "one_port.py")),
            "nginx": stack.enter_context(nginx(files, folder)),
            "roapi": stack.enter_context(roapi(snapshot, folder)),
            "datasette": stack.enter_context(datasette(snapshot, folder)),
            "flask": stack.enter_context(flask(folder / "rows.json", folder)),
        }
        servers["our 304"] = api
        for case in _cases(snapshot, servers, len(body)):
            case.asks["one port"] = case.asks["ours"]
            case.headers["one port"] = case.headers.get("ours", {})
            if asked.only in case.name:
                _measure(case, servers, asked, folder, len(body))
        print(f"\nfirst byte of the whole body, median: {_first_byte(api) * 1000:.1f} ms")
    print(f"API under this load, MB: anonymous {peak.anonymous / 1e6:.0f}, USS with mapped files {peak.uss / 1e6:.0f}")


def _get(server: Server, path: str, **headers: str) -> httpx2.Response:
    answer = httpx2.get(
        server.url + path, headers={**_HEADERS, "Accept-Encoding": "identity", **headers}, timeout=120, trust_env=False
    )
    return answer.raise_for_status()


# -- the questions


def _cases(snapshot: Snapshot, servers: dict[str, Server], size: int) -> Iterator[Case]:
    table = f"/api/tables/{TABLE}"
    rows, low, high = snapshot.rows, *_keys(snapshot)
    whole = {"ours": ("/fetch-data", ""), "nginx": ("/fetch-data", ""), "roapi": (table, "")}
    yield Case("whole body", {**whole, "flask": ("/fetch-data", "")})
    zipped = {"Accept-Encoding": "gzip"}
    yield Case("whole body, gzip", {name: whole[name] for name in ("ours", "nginx")}, {"ours": zipped, "nginx": zipped})
    tags = {name: {"If-None-Match": _get(servers[name], "/fetch-data").headers["ETag"]} for name in ("ours", "nginx")}
    yield Case("304", dict.fromkeys(tags, ("/fetch-data", "")), tags)
    # What monitors poll, beside a 304 of the same server: the ratio is that of both.
    yield Case("status", {"ours": ("/status", ""), "our 304": ("/fetch-data", "")}, {"our 304": tags["ours"]})
    depth = f"math.random(0, {rows - PAGE})"
    key = f'string.format("%.0f", {low} + math.random() * {high - low})'
    yield Case(
        f"page of {PAGE} at any depth",
        {
            "ours": ("", _script(f'"/fetch-data?limit={PAGE}&offset=" .. {depth}')),
            "nginx": ("/page", ""),
            "roapi": ("", _script(f'"{table}?limit={PAGE}&sort=id&filter[id]gte=" .. {key}')),
            "datasette": (
                "",
                _script(f'"/{TABLE}/{TABLE}.json?_shape=array&_nocount=1&_nofacet=1&_size={PAGE}&_next=" .. {key}'),
            ),
        },
    )
    price = 'string.format("%.2f", math.random() * 500)'
    state = '({"paid", "pending", "refunded"})[math.random(3)]'
    ours = (
        f'"/fetch-data?limit={PAGE}&sort=-created_at&total_price__gte=" .. {price} .. "&financial_status=" .. {state}'
    )
    theirs = (
        f'"{table}?limit={PAGE}&sort=-created_at&filter[total_price]gte=" .. {price} .. '
        f'"&filter[financial_status]=%27" .. {state} .. "%27"'
    )
    sqlite = (
        f'"/{TABLE}/{TABLE}.json?_shape=array&_nocount=1&_nofacet=1&_size={PAGE}&_sort_desc=created_at'
        f'&total_price__gte=" .. {price} .. "&financial_status=" .. {state}'
    )
    yield Case(
        f"filter and sort, page of {PAGE}",
        {
            "ours": ("", _script(ours)),
            "nginx": ("/page", ""),
            "roapi": ("", _script(theirs)),
            "datasette": ("", _script(sqlite)),
        },
    )


def _keys(snapshot: Snapshot) -> tuple[int, int]:
    """Bounds between which most keys are."""
    bounds = [segment.low for segment in snapshot.manifest.segments if segment.low is not None]
    return min(bounds), max(bounds)


def _script(path: str) -> str:
    """A request whose path is the Lua expression, computed each time."""
    return f'math.randomseed(os.time())\nrequest = function() return wrk.format("GET", {path}) end\n'


# -- measuring


def _measure(case: Case, servers: dict[str, Server], asked: argparse.Namespace, folder: Path, size: int) -> None:
    print(f"{case.name:<28}{'clients':>8}" + "".join(f"{name:>12}" for name in case.asks) + "   ours : each")
    for clients in CLIENTS:
        names = [name for name in case.asks if not _too_heavy(case, name, clients, size)]
        found: dict[str, list[Rate]] = {name: [] for name in names}
        for _ in range(asked.runs):
            for name in names:
                path, script = case.asks[name]
                headers = {**_HEADERS, **case.headers.get(name, {})}
                found[name].append(ask(servers[name].url + path, script, clients, asked.seconds, folder, headers))
        _line("  requests/s", clients, case, {n: median([r.rate for r in rates]) for n, rates in found.items()})
        _line("  p99, ms", clients, case, {n: median([r.p99 for r in rates]) for n, rates in found.items()})


def _too_heavy(case: Case, name: str, clients: int, size: int) -> bool:
    """Flask takes seconds for one answer, or minutes; ROAPI builds each answer in memory; and clients who wait over a
    minute for their first bytes are cut off by any server."""
    if name == "flask":
        return clients > 1 or size > SLOW
    return case.name == "whole body" and size * clients > (HEAVY if name == "roapi" else BULK)


def _line(what: str, clients: int, case: Case, values: dict[str, float]) -> None:
    cells = "".join(f"{values[name]:>12.2f}" if name in values else f"{'–':>12}" for name in case.asks)
    ratios = "  ".join(f"{name} {values['ours'] / values[name]:.2f}" for name in values if name != "ours")
    print(f"{what:<28}{clients:>8}{cells}   {ratios}", flush=True)


def _first_byte(api: Server) -> float:
    """Seconds from the request to the first byte of the body."""
    command = [
        "curl",
        "-s",
        "-o",
        os.devnull,
        "-w",
        "%{time_starttransfer}",
        "-H",
        f"X-API-Key: {KEY}",
        f"{api.url}/fetch-data",
    ]
    times = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(FIRST_BYTES)
    ]
    return median(times)


if __name__ == "__main__":
    sys.exit(main())
