"""python -m bench.beside OTHER: this checkout beside another one, such as a worktree of an older commit.

Each checkout makes its own copy of the same orders. Then both are measured in turns, pair by pair, since the speed of a
machine drifts: requests a second of the API for some kinds of requests, and seconds of a sync that finds some changed
rows. Of pages and filters, the same one is asked for again and again, then another one each time. The report has the
median ratio of all pairs, this checkout to the other one.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx2

from bench.serve import PAGE
from bench.servers import KEY, ROOT, Server, median, running
from bench.wrk import ask
from cache.settings import from_checkout
from lab import Lab, LabError
from lab.servers import free_port, install

CLIENTS = 16
Figures = dict[str, list[float]]
"""What was measured of each side, `this` and `other`, pair by pair."""

_FILTER = f"/fetch-data?limit={PAGE}&sort=-created_at&financial_status=paid&total_price__gte="
_VARIED = """
local count = 0
request = function()
    count = count + 7
    return wrk.format("GET", "%s" .. (count %% %d) / %d)
end
"""
"""A script for wrk: an address that ends with another number in each request."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--rows", type=int, default=100_000, help="orders in the table (100000)")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of measurements (20)")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement of the API (2)")
    parser.add_argument("--touches", type=int, default=300, help="rows changed before each pair of syncs (300)")
    options = parser.parse_args()
    checkouts = {"this": ROOT, "other": options.other.resolve()}
    try:
        install("wrk")
        with tempfile.TemporaryDirectory(prefix="bench-") as name, Lab(from_checkout("var/bench/lab")) as lab:
            if lab.rows() != options.rows:
                lab.seed(options.rows)
            folder = Path(name)
            environments = {side: _environment(lab, folder / side) for side in checkouts}
            for side, checkout in checkouts.items():
                _sync(checkout, environments[side])
            _api(checkouts, environments, folder, options)
            _syncs(checkouts, environments, lab, options)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _environment(lab: Lab, data: Path) -> dict[str, str]:
    data.mkdir()
    return {
        **os.environ,
        **lab.settings(),
        "DATA_DIR": str(data),
        "CACHE_URL": f"file:{data / 'cache'}",
        "SOURCE_TIMEZONE": "UTC",
        "PHPMYADMIN_LOGIN": "http",
        "SCHEDULER": "off",
        "ORDERS_API_KEY": KEY,
        "RATE_LIMIT": "1000000000/minute",
        "PYTHONHASHSEED": "0",  # else processes of one checkout differ more
    }


def _sync(checkout: Path, environment: Mapping[str, str]) -> float:
    """Seconds that a sync took, from the start of its process to its end."""
    command = [sys.executable, "-m", "scraper", "sync"]
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise LabError(f"A sync of {checkout} failed: {ended.stderr.strip()[-400:]}")
    return time.perf_counter() - started


def _api(
    checkouts: Mapping[str, Path], environments: Mapping[str, dict[str, str]], folder: Path, options: argparse.Namespace
) -> None:
    """Measures the API, with a new process for each pair: two processes of one checkout differ by some per cent."""
    page = f"/fetch-data?limit={PAGE}&offset="
    cases = {
        "whole body": ("/fetch-data", ""),
        "304": ("/fetch-data", ""),
        "page": (f"{page}{options.rows // 2}", ""),
        "page, varied": (page, _VARIED % (page, options.rows - PAGE, 1)),
        "filter and sort": (f"{_FILTER}100", ""),
        "filter and sort, varied": (_FILTER, _VARIED % (_FILTER, 30_000, 100)),
    }
    rates: dict[str, Figures] = {case: {"this": [], "other": []} for case in cases}
    for _ in range(options.pairs):
        with ExitStack() as stack:
            servers = {}
            for side, checkout in checkouts.items():
                port = free_port()
                environment = {**environments[side], "API_PORT": str(port)}
                url, log = f"http://127.0.0.1:{port}", folder / f"{side}.log"
                command = [sys.executable, "api_sidecar.py"]
                servers[side] = stack.enter_context(running(command, url, "/health", environment, log, checkout))
            for case, (path, script) in cases.items():
                for side in _in_turns():
                    headers = {"X-API-Key": KEY}
                    if case == "304":
                        headers["If-None-Match"] = _tag(servers[side])
                    for seconds in (1, options.seconds):  # the first warms up
                        rate = ask(servers[side].url + path, script, CLIENTS, seconds, folder, headers).rate
                    rates[case][side].append(rate)
    for case, figures in rates.items():
        _report(f"{case}, requests/s", figures)


def _tag(server: Server) -> str:
    headers = {"X-API-Key": KEY, "Accept-Encoding": "identity"}  # as wrk asks: the tag depends on it
    return httpx2.get(f"{server.url}/fetch-data", headers=headers, timeout=60, trust_env=False).headers["ETag"]


def _syncs(
    checkouts: Mapping[str, Path], environments: Mapping[str, dict[str, str]], lab: Lab, options: argparse.Namespace
) -> None:
    seconds: Figures = {"this": [], "other": []}
    for _ in range(options.pairs):
        lab.mutate(touches=options.touches)
        for side in _in_turns():
            seconds[side].append(_sync(checkouts[side], environments[side]))
    _report("sync, seconds", seconds)


def _in_turns() -> list[str]:
    """Both sides in random order, so that none always comes second."""
    return random.sample(["this", "other"], 2)


def _report(what: str, figures: Figures) -> None:
    """Prints the medians of both sides and the median ratio of the pairs."""
    ratios = sorted(this / other for this, other in zip(figures["this"], figures["other"], strict=True))
    print(
        f"{what:<36} this {median(figures['this']):>10.2f}   other {median(figures['other']):>10.2f}   "
        f"ratio {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
