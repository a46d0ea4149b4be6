"""The client in examples/ keeps a copy that is the table, wherever it is stopped and started again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from copies import Copies, json_rows
from paths import ROOT
from sidecar_process import KEY, Sidecar, sidecar

from examples.client import Copy


@pytest.fixture
def api(here: Path) -> Iterator[Sidecar]:
    with sidecar(here) as running:
        yield running


class Process:
    """The client as a process that is killed at some moment, or ends by itself."""

    def __init__(self, file: Path, api: Sidecar) -> None:
        self._command = [sys.executable, ROOT / "examples/client.py", file, "--api", api.url, "--every", "0"]
        self._environment = {**os.environ, "ORDERS_API_KEY": KEY}
        self._whole = 0.5  # seconds that the last whole run took

    def run(self, share: float | None) -> str:
        """Runs to its end, or is killed after a share of the time that the last whole run took."""
        began = time.monotonic()
        process = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            if share is not None:
                time.sleep(share * self._whole)
                process.kill()
            said, errors = process.communicate()
        if share is None:
            self._whole = time.monotonic() - began
        assert errors == b""
        return "ended" if said else "killed"


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_the_copy_of_a_client_that_is_killed_at_random_is_the_table(
    copies: Copies, here: Path, api: Sidecar, rounds: int
) -> None:
    chance = random.Random(rounds)
    process = Process(here / "copy.sqlite", api)
    outcomes: Counter[str] = Counter()
    for number in range(rounds):
        copies.lab.mutate(seed=number, touches=chance.choice((5, 60, 300)))
        assert copies.sync().error is None
        for _ in range(chance.choice((0, 1, 2))):
            outcomes[process.run(chance.choice((None, chance.uniform(0.1, 0.9))))] += 1
    outcomes[process.run(None)] += 1
    with closing(Copy(str(here / "copy.sqlite"), api.url, KEY).database) as database:
        held = dict(database.execute("SELECT key, row FROM rows"))
    expected = {json.dumps([row["id"]]): row for row in json_rows(copies.cache.snapshots.open())}
    assert {key: json.loads(row) for key, row in held.items()} == expected
    assert copies.differences() == []
    print(outcomes)
    assert outcomes["ended"] >= rounds / 5
