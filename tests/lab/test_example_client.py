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
from typing import Any

import pytest
from cache_factory import COLUMNS, as_json, order, publish
from conftest import ROOT
from copies import Copies, json_rows
from sidecar_process import KEY, Sidecar, sidecar

from examples.client import Copy, Refused


def rows(copy: Copy) -> list[dict[str, Any]]:
    found = [json.loads(row) for (row,) in copy.database.execute("SELECT row FROM rows")]
    return sorted(found, key=lambda row: int(row["id"]))


@pytest.fixture
def api(here: Path) -> Iterator[Sidecar]:
    with sidecar(here) as running:
        yield running


@pytest.fixture
def copy(api: Sidecar) -> Iterator[Copy]:
    copy = Copy(":memory:", api.url, KEY, page=2)
    with closing(copy.database):
        yield copy


def test_it_works(api: Sidecar, copy: Copy) -> None:
    publish(api.store, 7)
    copy.catch_up()
    assert rows(copy) == [as_json(i) for i in range(7)]

    publish(api.store, [{**order(i), "note": "new"} if i == 4 else order(i) for i in range(2, 9)])
    copy.catch_up()
    assert rows(copy) == [{**as_json(i), "note": "new"} if i == 4 else as_json(i) for i in range(2, 9)]


def test_rows_are_loaded_anew_where_changes_are_gone_and_stay_until_then(api: Sidecar, copy: Copy) -> None:
    publish(api.store, 5)
    copy.catch_up()
    publish(api.store, [{c.name: order(i)[c.name] for c in COLUMNS[:-1]} for i in range(6)], columns=COLUMNS[:-1])

    lengths = []
    while copy.step():
        lengths.append(len(rows(copy)))

    assert lengths[:3] == [5, 5, 5]
    expected = [as_json(i) for i in range(6)]
    for row in expected:
        del row["test"]
    assert rows(copy) == expected


def test_a_load_whose_generation_is_not_kept_any_more_begins_again(api: Sidecar, copy: Copy) -> None:
    publish(api.store, 5)
    copy.step()
    page_of_generation_9 = "AAAAAAAAAAkAAAAAAAAAAgAAAAAAAAAA"
    copy.database.execute("UPDATE state SET value = ? WHERE name = 'after'", (page_of_generation_9,))

    copy.catch_up()

    assert rows(copy) == [as_json(i) for i in range(5)]


def test_errors_are_told_in_the_words_of_the_api(api: Sidecar, copy: Copy) -> None:
    with pytest.raises(Refused, match="No cached data available") as raised:
        copy.catch_up()
    assert raised.value.status == 503
    publish(api.store, 2, columns=[column.model_copy(update={"key": 0}) for column in COLUMNS])
    with pytest.raises(Refused, match="has no key"):
        copy.catch_up()


# -- on the real lab


class Process:
    """The client as a process that is killed at some moment, or ends by itself."""

    def __init__(self, file: Path, api: Sidecar) -> None:
        self._command = [sys.executable, ROOT / "examples/client.py", file, "--api", api.url, "--every", "0"]
        self._environment = {**os.environ, "SHOPIFY_API_KEY": KEY}
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


def follow(copies: Copies, folder: Path, api: Sidecar, rounds: int) -> Counter[str]:
    """Rounds of changes and syncs, with a client that is killed at random; its copy is the table in the end."""
    chance = random.Random(rounds)
    process = Process(folder / "copy.sqlite", api)
    outcomes: Counter[str] = Counter()
    for number in range(rounds):
        copies.lab.mutate(seed=number, touches=chance.choice((5, 60, 300)))
        assert copies.sync().error is None
        for _ in range(chance.choice((0, 1, 2))):
            outcomes[process.run(chance.choice((None, chance.uniform(0.1, 0.9))))] += 1
    outcomes[process.run(None)] += 1
    with closing(Copy(str(folder / "copy.sqlite"), api.url, KEY).database) as database:
        held = dict(database.execute("SELECT key, row FROM rows"))
    expected = {json.dumps([row["id"]]): row for row in json_rows(copies.store.open())}
    assert {key: json.loads(row) for key, row in held.items()} == expected
    assert copies.differences() == []
    return outcomes


def test_a_copy_started_from_nothing_and_killed_at_random_is_the_table(
    copies: Copies, here: Path, api: Sidecar
) -> None:
    assert follow(copies, here, api, rounds=5)["ended"] >= 1


@pytest.mark.soak
def test_after_50_rounds_the_copy_is_the_table(copies: Copies, here: Path, api: Sidecar) -> None:
    outcomes = follow(copies, here, api, rounds=50)
    print(outcomes)
    assert min(outcomes["killed"], outcomes["ended"]) > 10
