"""A sync may be killed at any moment: readers keep the last good generation, and the next sync succeeds."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_factory import cache_in
from copies import Copies, json_rows
from paths import ROOT

from cache.storage.change_log import count_net
from cache.storage.snapshot import ChangeCounts

Environment = Callable[..., dict[str, str]]
ROWS = 25


class Killer:
    """Syncs in a process of their own, killed before their n-th step; see tests/publish_killer.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def sync(self, steps: int) -> str:
        """`killed`, or the outcome of a sync that had fewer steps."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def table(copies: Copies) -> str:
    return copies.table("id INT PRIMARY KEY, note TEXT", [(i, "v0") for i in range(ROWS)])


@pytest.fixture
def killer(copies: Copies, table: str, here: Path, child_environment: Environment) -> Iterator[Killer]:
    login = {name.lower(): value for name, value in copies.lab.settings().items()} | {"phpmyadmin_table": table}
    (here / "login").write_bytes(pickle.dumps((copies.session, login)))
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "publish_killer.py", here, here / "login"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    with process:
        yield Killer(process)
        assert process.stdin
        process.stdin.close()


class Reader(threading.Thread):
    """Reads the newest snapshot without a pause, as readers do; `wrong` is what it should not have seen."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._ended = threading.Event()
        self.reads = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        cache = cache_in(self._folder)
        while not self._ended.wait(0.005):
            try:
                notes = [row["note"] for row in json_rows(cache.snapshots.open())]
            except Exception as error:
                self.wrong.append(repr(error))
                continue
            self.reads += 1
            if len(notes) != ROWS or len(set(notes)) != 1:
                self.wrong.append(f"{len(notes)} rows of {set(notes)}")
        cache.close()

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_a_sync_killed_at_any_step_leaves_the_last_good_generation(
    copies: Copies, here: Path, table: str, killer: Killer, every: int
) -> None:
    assert killer.sync(0) == "published"
    shown = "v0"
    reader = Reader(here)
    reader.start()
    try:
        for step in range(1, 300, every):
            copies.execute(f"UPDATE {table} SET note = 'v{step}'")  # every range differs
            outcome = killer.sync(step)
            snapshot = copies.cache.snapshots.open()
            notes = {row["note"] for row in json_rows(snapshot)}
            assert snapshot.verify() == []
            assert snapshot.rows == ROWS
            assert notes in ({shown}, {f"v{step}"})
            (shown,) = notes
            changed = count_net(copies.cache.snapshots.changes(1, snapshot.generation))
            assert changed == ChangeCounts(updated=ROWS if snapshot.generation > 1 else 0)
            if outcome != "killed":
                break
    finally:
        reader.end()
    assert outcome == "published"
    assert step > 30  # segments, manifest, pointer and journal were all in the way
    assert reader.wrong == []
    assert reader.reads > step // every
    assert copies.differences(table) == []
    assert list((here / "cache/work").iterdir()) == []


def test_a_first_load_killed_at_any_step_leaves_nothing_or_all(
    copies: Copies, here: Path, table: str, killer: Killer
) -> None:
    """Every third step, since each is a first load of its own."""
    for step in range(1, 300, 3):
        outcome = killer.sync(step)
        head = copies.cache.snapshots.head()
        if head is not None:
            assert copies.cache.snapshots.open().verify() == []
            assert copies.differences(table) == []
            break
        assert outcome == "killed"
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


def test_what_a_killed_sync_had_promised_is_done_by_the_next(copies: Copies, table: str, killer: Killer) -> None:
    from cache.storage.records import Worker

    worker = Worker()
    for step in (3, 12, 25):
        copies.cache.leadership.heartbeat(worker)
        task = copies.cache.runs.request("test")
        assert killer.sync(step) == "killed"
        assert not copies.cache.runs.task(task.id).ended
        run = copies.sync(table)
        answered = copies.cache.runs.task(task.id)
        assert (answered.state, answered.run, answered.generation) == ("completed", run.id, run.generation)
        copies.execute(f"UPDATE {table} SET note = 'again {step}'")


def test_a_killed_publish_leaves_nothing_that_stays(copies: Copies, here: Path, table: str, killer: Killer) -> None:
    killer.sync(0)
    for step in (10, 20, 30):
        copies.execute(f"UPDATE {table} SET note = 'left over {step}'")
        assert killer.sync(step) == "killed"
    copies.execute(f"UPDATE {table} SET note = 'last'")
    copies.sync(table)
    kept = {
        segment.id
        for g in copies.cache.snapshots._numbers()
        for segment in copies.cache.snapshots.inspect(g).manifest.segments
    }
    assert {path.name for path in (here / "cache/segments").iterdir()} == kept
    assert list((here / "cache/work").iterdir()) == []
    assert {path.name for path in (here / "cache").iterdir()} <= {
        "current.json",
        "generations",
        "segments",
        "changes",
        "work",
        "sync.lock",
        "publish.lock",
    }
