"""When a sync is due, and who starts it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from cache_factory import publish

from cache.errors import Trouble
from cache.settings import Settings
from cache.storage import run_journal
from cache.storage.local_store import LocalStore
from cache.storage.records import Run, Worker, now
from scraper.scheduler import FIRST_RETRY, Scheduler

T = TypeVar("T")


def wait_for(found: Callable[[], T | None], seconds: float = 60) -> T:
    """What `found` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"it did not happen within {seconds} seconds")


def leader(store: LocalStore) -> Worker | None:
    return store.status().leader


# -- what is due


@pytest.fixture
def scheduler(store: LocalStore) -> Scheduler:
    """One that is not started: its steps are called by hand."""
    return Scheduler(store, Settings.load(sync_interval_minutes=60), "test")


def record(store: LocalStore, outcome: str, code: str = "unreachable") -> Run:
    """A run that has just ended so."""
    run = Run(trigger="test")
    store.begin(run)
    error = Trouble(code=code, message="It failed.", advice="Wait.") if outcome == "failed" else None
    store.finish(run.model_copy(update={"outcome": outcome, "error": error}))
    return store.runs(1)[0]


def test_without_a_snapshot_a_sync_is_due_at_once(scheduler: Scheduler) -> None:
    assert scheduler._next_sync() is not None
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


@pytest.mark.parametrize("minutes", [0, 45, 61, 6000])
def test_what_is_due_is_told_by_the_age_of_the_data(store: LocalStore, scheduler: Scheduler, minutes: int) -> None:
    at = now() - timedelta(minutes=minutes)
    publish(store, 3, verified_at=at)
    assert scheduler._next_sync() == at + timedelta(minutes=60)
    assert Scheduler(store, Settings.load(sync_interval_minutes=0.5), "other")._next_sync() == at + timedelta(
        seconds=30
    )


def test_pauses_after_failures_grow_to_the_interval_and_end_with_success(
    store: LocalStore, scheduler: Scheduler
) -> None:
    publish(store, 3, verified_at=now() - timedelta(hours=5))
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        failed = record(store, "failed")
        assert failed.finished_at is not None
        assert scheduler._next_sync() == failed.finished_at + minutes * FIRST_RETRY
    record(store, "unchanged")
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


def test_a_failure_does_not_bring_a_sync_forward(store: LocalStore, scheduler: Scheduler) -> None:
    head = publish(store, 3)
    record(store, "failed")
    assert scheduler._next_sync() == head.as_of + timedelta(minutes=60)


def test_after_a_refused_login_nothing_is_due_until_a_restart(store: LocalStore, scheduler: Scheduler) -> None:
    record(store, "failed", "login_refused")
    assert scheduler._next_sync() is None
    restarted = Scheduler(store, Settings.load(), "test")
    assert restarted._next_sync() is not None


def test_the_requests_of_a_sync_by_hand_that_was_killed_are_run_again(store: LocalStore, scheduler: Scheduler) -> None:
    scheduler._beat()
    task = store.request("test")
    store.begin(Run(trigger="command", beat_at=now() - run_journal.SILENT_AFTER * 2))
    assert store.task(task.id).state == "running"
    scheduler._tidy()
    assert store.task(task.id).state == "queued"


def test_only_the_leader_starts_a_sync(store: LocalStore, scheduler: Scheduler) -> None:
    store.stand(Worker())
    scheduler._beat()
    store.request("test")
    scheduler._look()
    scheduler._start_if_due()
    assert scheduler._child is None


def test_a_step_that_fails_does_not_end_the_scheduler(
    store: LocalStore, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, 3)
    failures: list[str] = []

    def fails() -> None:
        failures.append("look")
        raise OSError("no memory to fork")

    monkeypatch.setattr(scheduler, "_look", fails)
    scheduler.start()
    try:
        wait_for(lambda: len(failures) > 2)
        assert leader(store)
    finally:
        scheduler.stop()
    assert store.status().workers == ()
