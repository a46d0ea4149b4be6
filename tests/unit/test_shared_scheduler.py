"""The scheduler on a shared cache: what it starts on a host without a copy, and what it asks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cache_factory import publish
from stores import open_shared

from cache.settings import Settings
from cache.storage.records import Run
from cache.storage.shared.database import Database
from cache.storage.store import Cache
from scraper.scheduler import Scheduler

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


@pytest.fixture
def hosts(shared_url: str, here: Path) -> Iterator[tuple[Cache, Cache]]:
    """The cache on two hosts, neither of which follows the other."""
    one, two = (open_shared(shared_url, here / name, name) for name in ("one", "two"))
    yield one, two
    one.close()
    two.close()


def scheduler_of(cache: Cache) -> Scheduler:
    """One that leads, and is not started: its steps are called by hand."""
    scheduler = Scheduler(cache, Settings.load(sync_interval_minutes=60), "test")
    scheduler._heartbeat()
    assert scheduler._is_leader
    return scheduler


def test_a_host_without_a_copy_knows_when_the_next_sync_is_due(hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    with one.sync_lock():
        head = publish(one, 3)
    assert two.snapshots.head() is None
    assert scheduler_of(two)._next_sync() == head.as_of + HOUR


def test_an_idle_leader_asks_nothing_but_renewals(hosts: tuple[Cache, Cache], monkeypatch: pytest.MonkeyPatch) -> None:
    cache = hosts[0]
    with cache.sync_lock():
        publish(cache, 3)
    scheduler = scheduler_of(cache)
    steps = (scheduler._heartbeat, scheduler._start_if_due, scheduler._close_killed_run)
    for step in 2 * steps:  # the second heartbeat tells when the next sync is due, which is a change
        step()
    cache.runs.version()
    scheduler._start_if_due()
    run, asked = Database._run, []

    def counted(database: Database, connections: object, sql: str, *values: object) -> object:
        asked.append(connections is database._renewals)
        return run(database, connections, sql, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "_run", counted)
    for step in 5 * steps:
        step()
    assert asked == [True] * 5


def test_a_leader_knows_of_a_failure_on_another_host(hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    scheduler = scheduler_of(two)
    assert not scheduler._failures()
    version = two.runs.version()
    with one.sync_lock():
        run = Run(trigger="test")
        one.runs.begin(run)
        one.runs.finish(run.model_copy(update={"outcome": "failed"}))
    two.runs.wait(version, 10)
    assert [failed.id for failed in scheduler._failures()] == [run.id]
