"""When a sync is due, and who starts it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from cache_factory import publish
from waiting import wait_for

from cache.errors import CacheUnwritable
from cache.settings import Settings
from cache.storage.local import runs as local_runs
from cache.storage.records import SILENT_AFTER, Run, Worker, now
from cache.storage.snapshot import JSON
from cache.storage.store import Cache
from scraper.errors import LoginRefused, ScrapeError, Unreachable
from scraper.scheduler import FIRST_RETRY, LEAD_SECONDS, POLL_SECONDS, Scheduler
from scraper.settings import ScraperSettings
from scraper.sync.progress import Reporter
from scraper.sync.sync import _Sync


def leader(cache: Cache) -> Worker | None:
    return cache.status().leader


# -- what is due


@pytest.fixture
def scheduler(cache: Cache) -> Scheduler:
    """One that is not started: its steps are called by hand."""
    return Scheduler(cache, Settings.load(sync_interval_minutes=60), "test")


def record(cache: Cache, outcome: str, error: type[ScrapeError] = Unreachable) -> Run:
    """A run that has just ended so."""
    run = Run(trigger="test")
    cache.runs.begin(run)
    trouble = error("It failed.").trouble() if outcome == "failed" else None
    cache.runs.finish(run.model_copy(update={"outcome": outcome, "error": trouble}))
    return cache.runs.recent(1)[0]


def test_without_a_snapshot_a_sync_is_due_at_once(scheduler: Scheduler) -> None:
    assert scheduler._next_sync() is not None
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


@pytest.mark.parametrize("minutes", [0, 45, 61, 6000])
def test_what_is_due_is_told_by_the_age_of_the_data(cache: Cache, scheduler: Scheduler, minutes: int) -> None:
    at = now() - timedelta(minutes=minutes)
    publish(cache, 3, verified_at=at)
    assert scheduler._next_sync() == at + timedelta(minutes=60)
    assert Scheduler(cache, Settings.load(sync_interval_minutes=0.5), "other")._next_sync() == at + timedelta(
        seconds=30
    )


def test_pauses_after_failures_grow_to_the_interval_and_end_with_success(cache: Cache, scheduler: Scheduler) -> None:
    publish(cache, 3, verified_at=now() - timedelta(hours=5))
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        failed = record(cache, "failed")
        assert failed.finished_at is not None
        assert scheduler._next_sync() == failed.finished_at + minutes * FIRST_RETRY
    record(cache, "unchanged")
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


def test_a_failure_does_not_bring_a_sync_forward(cache: Cache, scheduler: Scheduler) -> None:
    head = publish(cache, 3)
    record(cache, "failed")
    assert scheduler._next_sync() == head.as_of + timedelta(minutes=60)


def test_a_copy_of_tomorrow_is_due_at_once(cache: Cache, scheduler: Scheduler) -> None:
    publish(cache, 3, verified_at=now() + timedelta(days=1))
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


@pytest.mark.parametrize("error", [Unreachable, LoginRefused])
def test_a_failure_of_tomorrow_delays_nothing(
    cache: Cache, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, error: type[ScrapeError]
) -> None:
    with monkeypatch.context() as tomorrow:
        tomorrow.setattr(local_runs, "now", lambda: now() + timedelta(days=1))
        run = Run(trigger="test", started_at=now() + timedelta(days=1))
        cache.runs.begin(run)
        cache.runs.finish(run.model_copy(update={"outcome": "failed", "error": error("It failed.").trouble()}))
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


def test_a_scheduler_that_began_tomorrow_starts_a_sync_at_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as tomorrow:
        tomorrow.setattr("scraper.scheduler.now", lambda: now() + timedelta(days=1))
        scheduler = Scheduler(cache, Settings.load(), "test")
    scheduler._heartbeat()
    assert scheduler._next_sync() <= now()  # type: ignore[operator]


@pytest.mark.slow
def test_a_scheduler_keeps_its_pace_when_the_clock_is_set_back(
    cache: Cache, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(cache, 3)
    clock = [now() + timedelta(days=1)]
    monkeypatch.setattr("scraper.scheduler.now", lambda: clock[0])
    monkeypatch.setattr("cache.storage.local.leadership.now", lambda: clock[0])
    monkeypatch.setattr(scheduler, "_start", lambda _: None)
    scheduler.start()
    try:
        wait_for(lambda: leader(cache))
        clock[0] -= timedelta(days=1)
        wait_for(lambda: leader(cache))
    finally:
        scheduler.stop()


def test_after_a_refused_login_nothing_is_due_until_a_restart(cache: Cache, scheduler: Scheduler) -> None:
    record(cache, "failed", LoginRefused)
    assert scheduler._next_sync() is None
    restarted = Scheduler(cache, Settings.load(), "test")
    assert restarted._next_sync() is not None


def test_the_requests_of_a_sync_by_hand_that_was_killed_are_run_again(cache: Cache, scheduler: Scheduler) -> None:
    scheduler._heartbeat()
    task = cache.runs.request("test")
    cache.runs.begin(Run(trigger="command", beat_at=now() - SILENT_AFTER * 2))
    assert cache.runs.task(task.id).state == "running"
    scheduler._close_killed_run()
    assert cache.runs.task(task.id).state == "queued"


def test_only_the_leader_starts_a_sync(cache: Cache, scheduler: Scheduler) -> None:
    cache.leadership.heartbeat(Worker())
    scheduler._heartbeat()
    cache.runs.request("test")
    scheduler._poll()
    scheduler._start_if_due()
    assert scheduler._child is None


def test_the_leader_finds_a_flipped_byte(cache: Cache, scheduler: Scheduler) -> None:
    publish(cache, 3)
    path = cache.snapshots.open().paths(JSON)[0]
    path.write_bytes(path.read_bytes().replace(b"1", b"9"))
    scheduler._heartbeat()
    scheduler._verify()
    wait_for(lambda: not cache.snapshots.inspect(1).holds(cache.snapshots.inspect(1).manifest.segments[0]))


@pytest.mark.slow
def test_a_step_that_fails_does_not_end_the_scheduler(
    cache: Cache, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(cache, 3)
    failures: list[str] = []

    def fails() -> None:
        failures.append("poll")
        raise OSError("no memory to fork")

    monkeypatch.setattr(scheduler, "_poll", fails)
    scheduler.start()
    try:
        wait_for(lambda: len(failures) > 2)
        assert leader(cache)
    finally:
        scheduler.stop()
    assert cache.status().workers == ()


class RunningSync:
    """A sync that runs until it is ended."""

    code = run_before = None

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended = threading.Event()

    def has_ended(self) -> bool:
        return self.ended.is_set()

    def end(self) -> None:
        self.ended.set()


@pytest.mark.slow
@pytest.mark.parametrize("heartbeat", ["fails", "hangs", "is refused"])
def test_a_leader_whose_heartbeat_fails_or_hangs_ends_its_sync(
    cache: Cache, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, heartbeat: str
) -> None:
    monkeypatch.setattr("scraper.scheduler.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("scraper.scheduler.LEAD_SECONDS", 1.0)
    monkeypatch.setattr(scheduler, "_start", lambda _: None)
    ending = threading.Event()
    beat = cache.leadership.heartbeat
    faulty = threading.Event()

    def heartbeats(worker: Worker) -> bool:
        if faulty.is_set() and heartbeat == "fails":
            raise CacheUnwritable("The database does not answer.")
        if faulty.is_set() and heartbeat == "hangs":
            ending.wait(60)
        return beat(worker) and not faulty.is_set()

    monkeypatch.setattr(cache.leadership, "heartbeat", heartbeats)
    scheduler.start()
    try:
        wait_for(lambda: scheduler._is_leader)
        sync = RunningSync()
        scheduler._child = sync  # type: ignore[assignment]
        time.sleep(1.5)
        assert not sync.has_ended()
        faulty.set()
        assert sync.ended.wait(3)
        assert not scheduler._is_leader
        wait_for(lambda: scheduler._child is None)
    finally:
        ending.set()
        scheduler.stop()


def test_another_worker_leads_only_after_the_leader_has_stopped() -> None:
    assert timedelta(seconds=LEAD_SECONDS + POLL_SECONDS) < SILENT_AFTER


def test_a_verification_of_tomorrow_is_not_known_to_the_next_sync(cache: Cache) -> None:
    publish(cache, 3, verified_at=now() + timedelta(days=1))
    settings = ScraperSettings.load(phpmyadmin_url="http://shop.test/", phpmyadmin_database="shop")
    with Reporter(cache, Run(trigger="schedule")) as reporter:
        sync = _Sync(cache, settings, reporter, accept=False, compare_all=False, check=None)
        assert sync._verified_at() is None
