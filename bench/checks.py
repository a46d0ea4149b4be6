"""python -m bench.checks: the checks over the data beside the syncs that they are part of.

One first load of a large table, then some refreshes after a few rows changed. The log of each sync says how long its
checks took.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.servers import ROOT, median
from cache.settings import from_checkout
from lab import Lab, LabError

_CHECKED = re.compile(r"checks of generation \d+: (\w+) orders, ([\d.]+) s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.checks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders in the table (1000000)")
    parser.add_argument("--runs", type=int, default=3, help="refreshes (3)")
    parser.add_argument("--touches", type=int, default=300, help="rows changed before each refresh (300)")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, Lab(from_checkout("var/bench/lab")) as lab:
            if abs(lab.rows() - options.rows) > options.rows // 100:
                lab.seed(options.rows)
            environment = {**os.environ, **lab.settings(), "DATA_DIR": str(Path(folder) / "data")}
            environment |= {"SOURCE_TIMEZONE": "UTC", "PHPMYADMIN_LOGIN": "http"}
            seconds, which, checks = _sync(environment)
            print(f"first load   {seconds:7.1f} s   checks of {which} orders {checks:6.2f} s   {checks / seconds:.1%}")
            refreshes = []
            for _ in range(options.runs):
                lab.mutate(touches=options.touches)
                seconds, which, checks = _sync(environment)
                refreshes.append(checks)
                print(f"refresh      {seconds:7.1f} s   checks of {which} orders {checks:6.2f} s")
            print(f"refresh, median of the checks {median(refreshes):.2f} s")
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _sync(environment: dict[str, str]) -> tuple[float, str, float]:
    """Seconds of a sync, which orders its checks looked at, and their seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", "scraper", "sync"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    checked = _CHECKED.search(ended.stderr)
    if ended.returncode or not checked:
        raise LabError(f"The sync failed, or made no checks: {ended.stderr.strip()[-400:]}")
    return seconds, checked.group(1), float(checked.group(2))


if __name__ == "__main__":
    sys.exit(main())
