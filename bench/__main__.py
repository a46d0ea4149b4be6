"""python -m bench: the first sync beside the database's own client, and memory.

Times and rates are medians of runs that take turns, so that a busy moment of the machine meets both sides.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import psutil

from bench.first_sync import first_syncs
from bench.servers import median
from cache.errors import OrdersError
from cache.settings import from_checkout
from lab import Lab, LabError
from lab.servers import BROWSER, install


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="orders in the table (100000)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (5)")
    asked = parser.parse_args()
    try:
        install(*BROWSER)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab(from_checkout("var/bench/lab")) as lab:
            if lab.rows() != asked.rows:
                lab.seed(asked.rows)
            os.environ.update(lab.settings(), SOURCE_TIMEZONE="UTC")
            _report(lab, Path(folder), asked.runs)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _report(lab: Lab, folder: Path, runs: int) -> None:
    cores, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total >> 30
    print(f"{lab.rows():,} rows, medians of {runs} runs that take turns, {cores} cores, {memory} GB\n")

    synced = first_syncs(lab, folder, runs)
    ours, login, theirs = (median(each) for each in zip(*synced.times, strict=True))
    print(f"{'seconds':<34}{'ours':>10}{'peer':>10}{'ratio':>8}")
    _line("first sync : mariadb --quick", ours, theirs)
    _line("  the same without the login", ours - login, theirs)

    print(f"\n{'peak memory, MB':<34}{'USS':>10}{'anonymous':>10}")
    print(f"{'sync (Chrome apart)':<34}{synced.peak.uss / 1e6:>10.0f}{synced.peak.anonymous / 1e6:>10.0f}")
    print("USS counts pages of mapped files that no other process maps; the system can drop these. Anonymous does not.")


def _line(name: str, ours: float, theirs: float) -> None:
    print(f"{name:<34}{ours:>10.2f}{theirs:>10.2f}{ours / theirs:>8.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
