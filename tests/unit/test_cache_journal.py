"""Refreshes are asked for, claimed, run and answered; one worker leads; nothing is lost when a process dies.

Both stores hold to it. A sync that leaves its lock without an end stands for one whose process was killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cache_factory import publish
from stores import BROKEN, FileStore, PostgreSQLStore, Store

from cache.errors import NoWorker, Trouble, UnknownTask
from cache.storage.local import runs as local_runs
from cache.storage.records import SILENT_AFTER, Progress, Run, Worker, now
from cache.storage.shared import runs as shared_runs
from cache.storage.snapshot import ChangeCounts
from cache.storage.store import Cache

FAULT = Trouble(code="unreachable", message="It does not answer.", advice="Wait.", transient=True)


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(here: Path, request: pytest.FixtureRequest) -> Store:
    """An empty store."""
    return FileStore(here) if request.param == "file" else PostgreSQLStore(request.getfixturevalue("shared_url"), here)


@pytest.fixture
def cache(store: Store) -> Iterator[Cache]:
    """The cache in the store."""
    cache = store.open()
    yield cache
    cache.close()


@pytest.fixture
def worker(cache: Cache) -> Worker:
    """A worker that leads."""
    worker = Worker()
    assert cache.leadership.heartbeat(worker)
    return worker


# -- damaged records


@pytest.mark.parametrize("body", BROKEN)
def test_a_damaged_run_is_left_out_and_its_requests_run_again(
    cache: Cache, worker: Worker, store: Store, body: object
) -> None:
    first = Run(trigger="test", outcome="unchanged")
    task = cache.runs.request("test")
    with cache.leadership.sync_lock():
        cache.runs.finish(first)
        cache.runs.begin(Run(trigger="request"))
    store.damage("runs", body)
    assert [run.id for run in cache.runs.recent()] == [first.id]
    assert cache.status().running is None
    with cache.sync_lock():
        assert store.outcomes() == ["unchanged", "failed"]
        assert cache.runs.task(task.id).state == "queued"
        assert [claimed.id for claimed in cache.runs.begin(Run(trigger="request"))] == [task.id]


@pytest.mark.parametrize("body", BROKEN)
def test_a_damaged_request_is_unknown_and_asks_for_no_sync(
    cache: Cache, worker: Worker, store: Store, body: object
) -> None:
    intact = cache.runs.request("test")
    broken = cache.runs.request("test")
    store.damage("tasks", body)
    with pytest.raises(UnknownTask):
        cache.runs.task(broken.id)
    with cache.sync_lock():
        assert [claimed.id for claimed in cache.runs.begin(Run(trigger="request"))] == [intact.id]
    assert cache.status().queued == 0


@pytest.mark.parametrize("body", BROKEN)
def test_a_damaged_worker_is_left_out(cache: Cache, worker: Worker, store: Store, body: object) -> None:
    store.damage("workers", body)
    assert cache.status().workers == ()
    cache.leadership.heartbeat(worker)
    assert [alive.id for alive in cache.status().workers] == [worker.id]


@pytest.mark.parametrize("store", ["file"], indirect=True)  # PostgreSQL keeps times in columns
def test_a_time_without_a_time_zone_is_damage(cache: Cache, store: Store) -> None:
    run = Run(trigger="test")
    with cache.sync_lock():
        cache.runs.begin(run)
    store.damage("runs", run.model_dump_json().replace("Z", ""))
    assert cache.status().running is None


# -- requests


def test_it_works(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    assert (task.state, cache.status().queued) == ("queued", 1)
    run = Run(trigger="request")
    with cache.sync_lock():
        assert [claimed.id for claimed in cache.runs.begin(run)] == [task.id]
        assert (cache.runs.task(task.id).state, cache.status().queued) == ("running", 0)
        cache.runs.finish(
            run.model_copy(update={"outcome": "published", "generation": 7, "changes": ChangeCounts(inserted=3)})
        )
    done = cache.runs.task(task.id)
    assert (done.state, done.generation, done.changes, done.run) == ("completed", 7, ChangeCounts(inserted=3), run.id)
    assert done.finished_at is not None
    assert done.ended


def test_without_anyone_to_run_it_a_refresh_is_refused_at_once(cache: Cache) -> None:
    with pytest.raises(NoWorker, match="python -m scraper worker"):
        cache.runs.request("test")
    assert cache.status().queued == 0


def test_a_worker_that_stays_silent_counts_as_gone(cache: Cache) -> None:
    cache.leadership.heartbeat(Worker(), at=now() - SILENT_AFTER - timedelta(seconds=1))
    assert cache.status().workers == ()
    with pytest.raises(NoWorker):
        cache.runs.request("test")


def test_a_worker_of_tomorrow_counts_as_gone(cache: Cache) -> None:
    dead, alive = Worker(), Worker()
    assert cache.leadership.heartbeat(dead, at=now() + timedelta(days=1))
    assert cache.status().workers == ()
    with pytest.raises(NoWorker):
        cache.runs.request("test")
    assert cache.leadership.heartbeat(alive)
    assert [worker.id for worker in cache.status().workers] == [alive.id]


def test_a_run_of_tomorrow_does_not_count_as_running(cache: Cache, store: Store) -> None:
    with cache.sync_lock():
        cache.runs.begin(Run(trigger="test"))
        assert cache.status().running is not None
    store.shift_heartbeat(timedelta(days=1))
    assert cache.status().running is None


def test_a_request_of_tomorrow_is_answered_by_the_next_sync(
    cache: Cache, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as tomorrow:
        tomorrow.setattr(local_runs, "now", lambda: now() + timedelta(days=1))
        task = cache.runs.request("test")
    with cache.sync_lock():
        assert [claimed.id for claimed in cache.runs.begin(Run(trigger="request"))] == [task.id]


def test_a_worker_that_only_stands_by_is_enough(cache: Cache, worker: Worker) -> None:
    standby = Worker()
    cache.leadership.heartbeat(standby)
    cache.leadership.resign(worker)
    assert cache.status().leader is None
    assert cache.runs.request("test").state == "queued"


def test_an_unknown_refresh_is_said_so(cache: Cache) -> None:
    with pytest.raises(UnknownTask):
        cache.runs.task("0123456789abcdef")


def test_one_sync_answers_all_that_wait_and_what_comes_later_waits(cache: Cache, worker: Worker) -> None:
    early = [cache.runs.request("test") for _ in range(3)]
    run = Run(trigger="request")
    with cache.sync_lock():
        cache.runs.begin(run)
        late = cache.runs.request("test")
        cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert {cache.runs.task(task.id).state for task in early} == {"completed"}
    assert cache.runs.task(late.id).state == "queued"


def test_a_failed_sync_fails_its_refreshes_in_the_same_words(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    run = Run(trigger="request")
    with cache.sync_lock():
        cache.runs.begin(run)
        cache.runs.finish(run.model_copy(update={"outcome": "failed", "error": FAULT}))
    assert (cache.runs.task(task.id).state, cache.runs.task(task.id).error) == ("failed", FAULT)
    last = cache.status().last
    assert last is not None
    assert last.error == FAULT


STOP = FAULT.model_copy(update={"code": "login_refused", "stops_schedule": True})


def test_after_an_error_that_stops_only_people_can_ask_for_a_sync(cache: Cache, worker: Worker) -> None:
    run = Run(trigger="test")
    with cache.sync_lock():
        cache.runs.begin(run)
        waiting, asked = cache.runs.request("client", automatic=True), cache.runs.request("person")
        cache.runs.finish(run.model_copy(update={"outcome": "failed", "error": STOP}))
        stopped = cache.runs.task(waiting.id)
        assert (stopped.state, stopped.error, stopped.finished_at is None) == ("failed", STOP, False)
        assert cache.runs.task(asked.id).state == "queued"
        late = cache.runs.request("client", automatic=True)
        assert (late.state, late.error, late.finished_at is None) == ("failed", STOP, False)
        assert cache.runs.task(late.id) == late
        again = Run(trigger="request")
        assert [task.id for task in cache.runs.begin(again)] == [asked.id]
        cache.runs.finish(again.model_copy(update={"outcome": "unchanged"}))
    assert cache.runs.request("client", automatic=True).state == "queued"


def test_a_sync_that_verifies_nothing_claims_no_request(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    with cache.sync_lock():
        assert cache.runs.begin(Run(trigger="import"), claim=False) == []
    cache.recover()
    assert (cache.runs.task(task.id).state, cache.runs.task(task.id).tries) == ("queued", 0)


def test_a_request_comes_back_as_it_was_made(cache: Cache, worker: Worker) -> None:
    made = cache.runs.request("Ida\x00 ü \\u0000", accept=True)
    assert cache.runs.task(made.id) == made
    assert (made.accept, made.automatic, made.tries, made.run) == (True, False, 0, None)
    assert made.requested_by.endswith("ü \\u0000")


def test_requests_from_many_threads_are_each_claimed_once(cache: Cache, worker: Worker) -> None:
    asked: list[str] = []
    threads = [threading.Thread(target=lambda: asked.append(cache.runs.request("test").id)) for _ in range(20)]
    for thread in threads:
        thread.start()
    claimed: list[str] = []
    end = time.monotonic() + 60
    with cache.sync_lock():
        while len(claimed) < 20:
            assert time.monotonic() < end
            claimed += [task.id for task in cache.runs.begin(Run(trigger="request"))]
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(asked)


# -- runs


def test_progress_is_seen_by_every_process(cache: Cache, store: Store) -> None:
    run = Run(trigger="test")
    with cache.sync_lock():
        cache.runs.begin(run)
        cache.runs.report(run.model_copy(update={"progress": Progress(phase="rows", done=5, total=20)}))
    other = store.open()
    running = other.status().running
    assert running is not None
    assert (running.progress.phase, running.progress.fraction) == ("rows", 0.25)
    other.close()


def test_a_late_report_does_not_wake_a_run_that_has_ended(cache: Cache, worker: Worker) -> None:
    run = Run(trigger="test")
    with cache.sync_lock():
        cache.runs.begin(run)
        cache.runs.finish(run.model_copy(update={"outcome": "failed", "error": FAULT}))
        cache.runs.report(run)
    assert cache.status().running is None
    assert [(old.outcome, old.error, old.finished_at is None) for old in cache.runs.recent()] == [
        ("failed", FAULT, False)
    ]


def test_requests_of_a_run_that_reported_its_end_early_are_recovered(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    run = Run(trigger="request")
    with cache.sync_lock():
        cache.runs.begin(run)
        cache.runs.report(run.model_copy(update={"outcome": "published"}))  # and then its process is killed
    cache.recover()
    assert cache.runs.task(task.id).state == "queued"


def test_a_run_without_a_heartbeat_no_longer_counts_as_running(cache: Cache, store: Store) -> None:
    with cache.sync_lock():
        cache.runs.begin(Run(trigger="test"))
        assert cache.status().running is not None
    store.shift_heartbeat(-SILENT_AFTER - timedelta(seconds=1))
    assert cache.status().running is None


def test_a_dead_run_is_closed_and_its_requests_wait_again(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    with cache.sync_lock():
        cache.runs.begin(Run(trigger="request"))
    cache.recover()
    assert cache.runs.task(task.id).state == "queued"
    last = cache.status().last
    assert last is not None
    assert last.error is not None
    assert (last.outcome, last.error.code) == ("failed", "sync_died")
    assert last.finished_at is not None


def test_after_three_dead_runs_a_refresh_fails(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    for _ in range(3):
        assert cache.runs.task(task.id).state == "queued"
        with cache.sync_lock():
            cache.runs.begin(Run(trigger="request"))
        cache.recover()
    done = cache.runs.task(task.id)
    assert done.error is not None
    assert (done.state, done.error.code) == ("failed", "sync_died")
    assert done.finished_at is not None


@pytest.mark.slow
def test_a_living_run_is_not_recovered(cache: Cache, worker: Worker) -> None:
    with cache.sync_lock():
        run = Run(trigger="test")
        cache.runs.begin(run)
        cache.recover()
        assert cache.status().running is not None
        cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))


def test_the_next_sync_recovers_what_a_killed_one_left(cache: Cache, worker: Worker) -> None:
    task = cache.runs.request("test")
    with cache.sync_lock():
        cache.runs.begin(Run(trigger="request"))
    with cache.sync_lock():
        run = Run(trigger="command")
        assert [claimed.id for claimed in cache.runs.begin(run)] == [task.id]
        cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert cache.runs.task(task.id).state == "completed"


def test_a_thousand_runs_are_kept_and_the_newest_come_first(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (local_runs, shared_runs):
        assert module.KEPT_RUNS == 1_000
        monkeypatch.setattr(module, "KEPT_RUNS", 10)
    runs = [Run(trigger=str(i)) for i in range(15)]
    with cache.sync_lock():
        for run in runs:
            cache.runs.begin(run)
            cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert [run.trigger for run in cache.runs.recent(3)] == ["14", "13", "12"]
    assert len(cache.runs.recent(100)) == 10


def test_past_syncs_are_restored_as_they_were_into_an_empty_history(cache: Cache) -> None:
    at = now() - timedelta(days=3)
    runs = [
        Run(
            trigger="schedule",
            host="another machine",
            started_at=at - timedelta(hours=n),
            beat_at=at - timedelta(hours=n) + timedelta(seconds=8),
            finished_at=at - timedelta(hours=n) + timedelta(seconds=9),
            outcome="failed" if n == 2 else "published",
            error=FAULT if n == 2 else None,
            generation=9 - n,
        )
        for n in range(5)
    ]
    with cache.sync_lock():
        cache.runs.restore(runs)
        assert cache.runs.recent() == runs
        cache.runs.restore([Run(trigger="schedule", outcome="published")])
        assert cache.runs.recent() == runs


# -- the lease


def test_the_first_leads_and_the_second_stands_by(cache: Cache) -> None:
    first, second = Worker(), Worker()
    leases = [cache.leadership.heartbeat(worker) for worker in (first, second, first)]
    assert [lease.leads for lease in leases] == [True, False, True]
    assert [worker.id for worker in cache.status().workers] == [first.id, second.id]


def test_a_silent_leader_loses_the_lease_and_comes_back_as_standby(cache: Cache) -> None:
    first, second = Worker(), Worker()
    at = now()
    cache.leadership.heartbeat(first, at)
    assert not cache.leadership.heartbeat(second, at + SILENT_AFTER / 2)
    later = at + SILENT_AFTER * 1.5
    assert cache.leadership.heartbeat(second, later)
    assert not cache.leadership.heartbeat(first, later + timedelta(seconds=1))


def test_a_worker_that_stands_by_learns_when_the_lease_ends(cache: Cache) -> None:
    at = now()
    cache.leadership.heartbeat(Worker(), at)
    lease = cache.leadership.heartbeat(Worker(), at + timedelta(seconds=3))
    assert not lease
    assert lease.free_in == pytest.approx(SILENT_AFTER.total_seconds() - 3)


def test_a_leader_that_leaves_is_followed_at_once(cache: Cache) -> None:
    first, second = Worker(), Worker()
    cache.leadership.heartbeat(first)
    cache.leadership.heartbeat(second)
    cache.leadership.resign(first)
    assert cache.leadership.heartbeat(second)


def test_of_many_workers_that_stand_at_once_one_leads(cache: Cache, store: Store) -> None:
    leads: list[bool] = []

    def stand() -> None:
        other = store.open()
        leads.append(other.leadership.heartbeat(Worker()).leads)
        other.close()

    threads = [threading.Thread(target=stand) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(leads) == [False] * 9 + [True]


# -- watching


def test_readers_are_woken_by_whatever_they_show(cache: Cache, worker: Worker) -> None:
    run = Run(trigger="test")
    steps = (
        lambda: cache.runs.request("test"),
        lambda: cache.runs.begin(run),
        lambda: cache.runs.report(run.model_copy(update={"progress": Progress(phase="rows", done=1)})),
        lambda: publish(cache, 2),
        lambda: cache.runs.finish(run),
        lambda: cache.leadership.resign(worker),
    )
    with cache.sync_lock():
        for step in steps:
            version = cache.runs.version()
            step()
            assert cache.runs.wait(version, timeout=60) > version


def test_a_heartbeat_wakes_readers_only_if_it_shows_something_new(cache: Cache) -> None:
    worker, standby = Worker(), Worker()
    planned = worker.model_copy(update={"next_sync": now()})
    for beat, wakes in ((worker, True), (worker, False), (planned, True), (planned, False), (standby, True)):
        version = cache.runs.version()
        cache.leadership.heartbeat(beat)
        assert (cache.runs.version() > version) == wakes
    cache.leadership.resign(worker)
    version = cache.runs.version()
    assert cache.leadership.heartbeat(standby)  # it leads now
    assert cache.runs.version() > version


def test_the_known_version_has_what_this_process_did_at_once(cache: Cache, worker: Worker) -> None:
    cache.runs.wait(-1, 0)
    known = cache.runs.known_version()
    cache.runs.request("test")
    assert cache.runs.known_version() > known


def test_the_known_version_has_what_others_did_once_wait_tells_it(cache: Cache, store: Store) -> None:
    known = cache.runs.wait(-1, 0)
    with closing(store.open()) as other:
        other.leadership.heartbeat(Worker())
    deadline = time.monotonic() + 20
    while (told := cache.runs.wait(known, 1)) == known:
        assert time.monotonic() < deadline
    assert cache.runs.known_version() >= told > known


def test_a_wait_ends_when_something_changes_in_another_process(cache: Cache, store: Store) -> None:
    other = store.open()
    version = other.runs.version()

    def change() -> None:
        with cache.sync_lock():
            publish(cache, 2)

    timer = threading.Timer(0.2, change)
    timer.start()
    began = time.monotonic()
    assert other.runs.wait(version, timeout=60) > version
    assert time.monotonic() - began < 60
    timer.join()
    other.close()


def test_a_wait_without_a_change_ends_at_its_time_limit(cache: Cache) -> None:
    version = cache.runs.version()
    assert cache.runs.wait(version, timeout=0.2) == version
