"""Whatever happens to a table, and to the syncs in between: the snapshot is the table, or what it was before."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cache_factory import cache_in
from copies import Copies, differences, json_rows
from follower import Follower
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from paths import ROOT

from lab import FaultProxy
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

TABLE = "rounds"
COLUMNS = "note TEXT, paid TINYINT(1), price DECIMAL(12,2), made DATETIME(3), goods TEXT"
SHAPES = (
    f"a INT, b INT NOT NULL DEFAULT 0, {COLUMNS}, PRIMARY KEY (a)",
    f"a INT, b INT NOT NULL, {COLUMNS}, PRIMARY KEY (a, b)",
    f"a VARCHAR(20), b INT NOT NULL, {COLUMNS}, PRIMARY KEY (a)",
    f"a INT, b INT, {COLUMNS}",
)
FATAL = "<br />\n<b>Fatal error</b>:  Allowed memory size of 1 bytes exhausted in <b>x.php</b> on line <b>1</b><br />"
ALERT = '<div class="alert alert-danger" role="alert"><code>#2006 - MySQL server has gone away</code></div>'


@dataclass
class Place:
    """Where the rounds take place; `outcomes` are those of their syncs."""

    copies: Copies
    folder: Path
    proxy: FaultProxy
    kill: Callable[[int], str]
    outcomes: list[str] = field(default_factory=list)


@pytest.fixture
def place(
    copies: Copies, here: Path, child_environment: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Pages, blocks and statements are small, so that a small table has many of each."""
    for name, value in {
        "scraper.sync.keyset_pager.PAGE_ROWS": 10,
        "scraper.sync.keyset_pager.LEAST_ROWS": 2,
        "scraper.sync.row_fingerprints.BLOCK_ROWS": 3,
        "scraper.sync.reconcile.FIRST_ROWS": 40,
        "scraper.sync.reconcile.LEAST_BUDGET": 20,
        "scraper.client.transport.SILENT_SECONDS": 0.5,
        "scraper.sync.draft.DRAFT_SECONDS": 0,
        "scraper.sync.reconcile.EARLY_ROWS": 15,
    }.items():
        monkeypatch.setattr(name, value)
    with ExitStack() as stack:
        folder = here / "rounds"
        kill = stack.enter_context(_killer(copies, folder, child_environment()))
        yield Place(copies, folder, stack.enter_context(FaultProxy(copies.session.export_url)), kill)


@contextmanager
def _killer(copies: Copies, folder: Path, environment: dict[str, str]) -> Iterator[Callable[[int], str]]:
    """Runs a sync that is killed before its n-th step; see tests/publish_killer.py."""
    login = {name.lower(): value for name, value in copies.lab.settings().items()} | {"phpmyadmin_table": TABLE}
    file = folder.with_suffix(".login")
    file.write_bytes(pickle.dumps((copies.session, login)))
    command = [sys.executable, str(ROOT / "tests" / "publish_killer.py"), str(folder), str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin
        assert process.stdout

        def kill(steps: int) -> str:
            process.stdin.write(f"{steps}\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        yield kill
        process.stdin.close()


keys = st.integers(-50, 400)
spoiled = st.sampled_from(["LIMIT", "INTERVAL(", "COUNT(*)", "SELECT"])
skipped = st.integers(0, 4)
often = st.sampled_from([1, 5, None])
bodies = st.sampled_from(["", FATAL, ALERT])
pages = st.sampled_from(["<html>It works!</html>", "<!doctype html><title>Just a moment...</title>"])


def machine(place: Place) -> type[RuleBasedStateMachine]:
    copies, proxy = place.copies, place.proxy

    class Rounds(RuleBasedStateMachine):
        @initialize(shape=st.sampled_from(SHAPES), rows=st.sampled_from([0, 1, 12, 150]))
        def begin(self, shape: str, rows: int) -> None:
            shutil.rmtree(place.folder, ignore_errors=True)
            self.cache = cache_in(place.folder)
            self.number = 0
            self.follower: Follower | None = None
            copies.table(shape, name=TABLE)
            self._insert(0, rows)

        def teardown(self) -> None:
            if hasattr(self, "cache"):
                self.cache.close()

        # -- what happens to the table

        def _insert(self, first: int, count: int) -> None:
            self.number += 1
            rows = [
                (
                    first + i,
                    self.number % 3,
                    f"note {self.number}",
                    i % 2,
                    f"{i}.{self.number % 90:02}",
                    f"2025-12-29 10:{i % 60:02}:00.{self.number % 900:03}",
                    f'{{"of": [{i}, {self.number}]}}',
                )
                for i in range(count)
            ]
            with copies.lab.connect() as connection, connection.cursor() as cursor:
                if rows:
                    cursor.executemany(f"INSERT IGNORE INTO {TABLE} VALUES ({', '.join(['%s'] * 7)})", rows)

        def _change(self, what: str) -> None:
            self.number += 1
            copies.execute(what)

        @rule(first=keys, count=st.integers(1, 40))
        def insert(self, first: int, count: int) -> None:
            self._insert(first, count)

        @rule(count=st.integers(1, 25))
        def append(self, count: int) -> None:
            ((last,),) = copies.execute(f"SELECT COALESCE(MAX(CAST(a AS INT)), 0) FROM {TABLE}")
            self._insert(last + 1, count)

        @rule(key=keys, count=st.integers(1, 5))
        def update(self, key: int, count: int) -> None:
            self._change(
                f"UPDATE {TABLE} SET note = 'new {self.number}', paid = 1 - paid WHERE a >= {key} LIMIT {count}"
            )

        @rule(key=keys)
        def empty_cells(self, key: int) -> None:
            self._change(f"UPDATE {TABLE} SET note = '', made = NULL, price = NULL, goods = NULL WHERE a = {key}")

        @rule(key=keys, count=st.integers(1, 3))
        def delete(self, key: int, count: int) -> None:
            self._change(f"DELETE FROM {TABLE} WHERE a >= {key} LIMIT {count}")

        @rule(key=keys, to=keys)
        def move(self, key: int, to: int) -> None:
            self._change(f"UPDATE IGNORE {TABLE} SET a = {to} WHERE a = {key}")

        @rule(low=keys, share=st.integers(1, 40))
        def delete_many(self, low: int, share: int) -> None:
            """At most 40 % in a row: more would be held back."""
            ((rows,),) = copies.execute(f"SELECT COUNT(*) FROM {TABLE}")
            head = self.cache.snapshots.head()
            held = self.cache.snapshots.open().rows if head else 0
            gone = min(rows * share // 100, rows - held * 6 // 10)
            if gone > 0:
                self._change(f"DELETE FROM {TABLE} WHERE a >= {low} LIMIT {gone}")

        # -- what happens to syncs

        @rule()
        def sync(self) -> None:
            assert self._sync() is None

        def _touch(self, key: int) -> None:
            """Something to do for a sync."""
            self.update(key=key, count=2)
            self._insert(key, 1)

        @rule(key=keys, what=spoiled, skip=skipped, rows=st.integers(0, 9), times=often)
        def cut(self, key: int, what: str, skip: int, rows: int, times: int | None) -> None:
            self._touch(key)
            proxy.cut(rows=rows, matching=what, skip=skip, times=times)
            self._sync()

        @rule(key=keys, what=spoiled, skip=skipped, size=st.integers(0, 400), times=often)
        def reset(self, key: int, what: str, skip: int, size: int, times: int | None) -> None:
            self._touch(key)
            proxy.reset(size=size, matching=what, skip=skip, times=times)
            self._sync()

        @rule(key=keys, what=spoiled, skip=skipped, text=st.sampled_from([FATAL, ALERT]), times=often)
        def append_error(self, key: int, what: str, skip: int, text: str, times: int | None) -> None:
            self._touch(key)
            proxy.append(text, matching=what, skip=skip, times=times)
            self._sync()

        @rule(key=keys, what=spoiled, skip=skipped, text=bodies, times=often)
        def other_body(self, key: int, what: str, skip: int, text: str, times: int | None) -> None:
            self._touch(key)
            proxy.replace(text, matching=what, skip=skip, times=times)
            self._sync()

        @rule(key=keys, what=spoiled, skip=skipped, text=pages)
        def foreign_page(self, key: int, what: str, skip: int, text: str) -> None:
            """Once: what is sent again and again in place of rows is a firewall's."""
            self._touch(key)
            proxy.replace(text, matching=what, skip=skip, times=1)
            assert self._sync() is None

        @rule(key=keys, skip=skipped)
        def stall(self, key: int, skip: int) -> None:
            self._touch(key)
            proxy.stall(1, size=10, matching="LIMIT", skip=skip, times=1)
            self._sync()

        @rule(key=keys, what=st.sampled_from(["QUERY", "CONNECTION"]), times=st.integers(1, 9))
        def kill_statements(self, key: int, what: Any, times: int) -> None:
            self._touch(key)
            with copies.lab.faults.killing(what, matching=TABLE, times=times):
                self._sync()

        @rule(key=keys, steps=st.integers(1, 30))
        def kill_sync(self, key: int, steps: int) -> None:
            self._touch(key)
            outcome = place.kill(steps)
            place.outcomes.append(outcome)
            if outcome != "killed":
                self._is_the_table()
            elif self.cache.snapshots.head():
                assert self.cache.snapshots.open().verify() == []

        def _sync(self) -> str | None:
            """One sync; its error's code."""
            before = self.cache.snapshots.head()
            rows = json_rows(self.cache.snapshots.open()) if before else None
            chosen: ScraperSettings = copies.settings.model_copy(update={"phpmyadmin_table": TABLE})
            run = sync(self.cache, chosen, lambda _: copies.through(proxy.url))
            proxy.clear()
            place.outcomes.append(run.outcome)
            if run.error is None:
                self._is_the_table()
                return None
            assert run.outcome == "failed"  # nobody writes meanwhile, so nothing can be unverified
            assert self.cache.snapshots.head() == before
            assert (json_rows(self.cache.snapshots.open()) if before else None) == rows
            return run.error.code

        def _is_the_table(self) -> None:
            head = self.cache.snapshots.head()
            assert head is not None
            assert head.verified
            snapshot = self.cache.snapshots.open()
            assert snapshot.verify() == []
            assert differences(copies.lab, TABLE, snapshot) == []
            if self.follower:
                self.follower.follow()  # no sync that failed or was killed leaves a gap
            elif snapshot.manifest.key:
                self.follower = Follower(self.cache)

    return Rounds


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("examples", "steps", "derandomize"), [(3, 10, True), pytest.param(12, 40, False, marks=pytest.mark.soak)]
)
def test_after_each_round_the_snapshot_is_the_table(place: Place, examples: int, steps: int, derandomize: bool) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(place),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
    print(Counter(place.outcomes))
    assert "published" in place.outcomes
