"""The first sync of an empty cache, beside `mariadb --batch --quick` of the same table over TCP into a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.memory import Peak
from bench.servers import ROOT, opened
from lab import DATABASE, TABLE, Lab, LabError


@dataclass(frozen=True)
class Synced:
    times: list[tuple[float, float, float]]
    """Seconds of each pair of runs: the sync, the login in it (Chrome), the client."""
    peak: Peak


def first_syncs(lab: Lab, folder: Path, runs: int) -> Synced:
    """Takes turns `runs` times, then syncs once more to look at memory, since looking takes time."""
    data_dir = folder / "data"
    times = [(*sync_process(data_dir)[:2], _client(lab, folder / "rows")) for _ in range(runs)]
    return Synced(times, sync_process(data_dir, watch=True)[2])


def sync_process(data_dir: Path, watch: bool = False) -> tuple[float, float, Peak]:
    shutil.rmtree(data_dir, ignore_errors=True)
    env = {**os.environ, "DATA_DIR": str(data_dir)}
    began = time.monotonic()
    process = psutil.Popen(
        [sys.executable, "-m", "scraper", "sync"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = Peak(process)
    if watch:
        with peak:
            _, log = process.communicate()
    else:
        _, log = process.communicate()
    seconds = time.monotonic() - began
    if process.returncode:
        raise LabError(f"The sync failed: {log[-800:]}")
    with closing(opened(data_dir)) as cache:
        return seconds, cache.runs.recent(1)[0].seconds["login"], peak


def _client(lab: Lab, file: Path) -> float:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@port")
        port = cursor.fetchone()[0]
    login = lab.settings()
    command = [
        "mariadb",
        "--no-defaults",
        "--batch",
        "--quick",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--user={login['PHPMYADMIN_USERNAME']}",
        DATABASE,
        f"--execute=SELECT * FROM {TABLE}",
    ]
    began = time.monotonic()
    with file.open("wb") as output:
        subprocess.run(
            command, env={**os.environ, "MYSQL_PWD": login["PHPMYADMIN_PASSWORD"]}, stdout=output, check=True
        )
    return time.monotonic() - began
