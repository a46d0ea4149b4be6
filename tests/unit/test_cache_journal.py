"""Refreshes are asked for, claimed, run and answered; one worker leads; nothing is lost when a process dies."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cache_factory import publish

from cache.errors import NoWorker, Trouble, UnknownTask
from cache.storage import run_journal
from cache.storage.local_store import LocalStore
from cache.storage.records import Progress, Run, Worker, now
from cache.storage.snapshot import Changes

FAULT = Trouble(code="unreachable", message="It does not answer.", advice="Wait.", transient=True)


@pytest.fixture
def worker(store: LocalStore) -> Worker:
    """A worker that leads."""
    worker = Worker()
    assert store.stand(worker)
    return worker


# -- requests


def test_it_works(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    assert (task.state, store.status().queued) == ("queued", 1)
    run = Run(trigger="request")
    assert [claimed.id for claimed in store.begin(run)] == [task.id]
    assert (store.task(task.id).state, store.status().queued) == ("running", 0)
    store.finish(run.model_copy(update={"outcome": "published", "generation": 7, "changes": Changes(inserted=3)}))
    done = store.task(task.id)
    assert (done.state, done.generation, done.changes, done.run) == ("completed", 7, Changes(inserted=3), run.id)
    assert done.finished_at is not None
    assert done.ended


def test_without_anyone_to_run_it_a_refresh_is_refused_at_once(store: LocalStore) -> None:
    with pytest.raises(NoWorker, match="python -m scraper worker"):
        store.request("test")
    assert store.status().queued == 0


def test_a_worker_that_stays_silent_counts_as_gone(store: LocalStore) -> None:
    store.stand(Worker(), at=now() - run_journal.SILENT_AFTER - timedelta(seconds=1))
    assert store.status().workers == ()
    with pytest.raises(NoWorker):
        store.request("test")


def test_a_worker_that_only_stands_by_is_enough(store: LocalStore, worker: Worker) -> None:
    standby = Worker()
    store.stand(standby)
    store.leave(worker)
    assert store.status().leader is None
    assert store.request("test").state == "queued"


def test_an_unknown_refresh_is_said_so(store: LocalStore) -> None:
    with pytest.raises(UnknownTask):
        store.task("0123456789abcdef")


def test_one_sync_answers_all_that_wait_and_what_comes_later_waits(store: LocalStore, worker: Worker) -> None:
    early = [store.request("test") for _ in range(3)]
    run = Run(trigger="request")
    store.begin(run)
    late = store.request("test")
    store.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert {store.task(task.id).state for task in early} == {"completed"}
    assert store.task(late.id).state == "queued"


def test_a_failed_sync_fails_its_refreshes_in_the_same_words(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    run = Run(trigger="request")
    store.begin(run)
    store.finish(run.model_copy(update={"outcome": "failed", "error": FAULT}))
    assert (store.task(task.id).state, store.task(task.id).error) == ("failed", FAULT)
    last = store.status().last
    assert last is not None
    assert last.error == FAULT


def test_requests_from_many_threads_are_each_claimed_once(store: LocalStore, worker: Worker) -> None:
    asked: list[str] = []
    threads = [threading.Thread(target=lambda: asked.append(store.request("test").id)) for _ in range(20)]
    for thread in threads:
        thread.start()
    claimed: list[str] = []
    while len(claimed) < 20:
        claimed += [task.id for task in store.begin(Run(trigger="request"))]
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(asked)


# -- runs


def test_progress_is_seen_by_every_process(store: LocalStore, here: Path) -> None:
    run = Run(trigger="test")
    store.begin(run)
    store.report(run.model_copy(update={"progress": Progress(phase="rows", done=5, total=20)}))
    other = LocalStore(here / "cache")
    running = other.status().running
    assert running is not None
    assert (running.progress.phase, running.progress.fraction) == ("rows", 0.25)
    other.close()


def test_a_late_report_does_not_wake_a_run_that_has_ended(store: LocalStore, worker: Worker) -> None:
    run = Run(trigger="test")
    store.begin(run)
    store.finish(run.model_copy(update={"outcome": "failed", "error": FAULT}))
    store.report(run)
    assert store.status().running is None
    assert [(old.outcome, old.error, old.finished_at is None) for old in store.runs()] == [("failed", FAULT, False)]


def test_requests_of_a_run_that_reported_its_end_early_are_recovered(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    run = Run(trigger="request")
    store.begin(run)
    store.report(run.model_copy(update={"outcome": "published"}))  # and then its process is killed
    store.recover()
    assert store.task(task.id).state == "queued"


def test_a_run_without_a_heartbeat_no_longer_counts_as_running(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin(Run(trigger="test", beat_at=now() - run_journal.SILENT_AFTER - timedelta(seconds=1)))
    assert store.status().running is None


def test_a_dead_run_is_closed_and_its_requests_wait_again(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    store.begin(Run(trigger="request"))
    store.recover()
    assert store.task(task.id).state == "queued"
    last = store.status().last
    assert last is not None
    assert last.error is not None
    assert (last.outcome, last.error.code) == ("failed", "sync_died")
    assert last.finished_at is not None


def test_after_three_dead_runs_a_refresh_fails(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    for _ in range(3):
        assert store.task(task.id).state == "queued"
        store.begin(Run(trigger="request"))
        store.recover()
    done = store.task(task.id)
    assert done.error is not None
    assert (done.state, done.error.code) == ("failed", "sync_died")
    assert done.finished_at is not None


def test_a_living_run_is_not_recovered(store: LocalStore, worker: Worker) -> None:
    with store.sync_lock():
        run = Run(trigger="test")
        store.begin(run)
        store.recover()
        assert store.status().running is not None
        store.finish(run.model_copy(update={"outcome": "unchanged"}))


def test_the_next_sync_recovers_what_a_killed_one_left(store: LocalStore, worker: Worker) -> None:
    task = store.request("test")
    store.begin(Run(trigger="request"))
    with store.sync_lock():
        run = Run(trigger="command")
        assert [claimed.id for claimed in store.begin(run)] == [task.id]
        store.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert store.task(task.id).state == "completed"


def test_a_thousand_runs_are_kept_and_the_newest_come_first(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_journal.KEPT_RUNS == 1_000
    monkeypatch.setattr(run_journal, "KEPT_RUNS", 10)
    runs = [Run(trigger=str(i)) for i in range(15)]
    for run in runs:
        store.begin(run)
        store.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert [run.trigger for run in store.runs(3)] == ["14", "13", "12"]
    assert len(store.runs(100)) == 10


# -- the lease


def test_the_first_leads_and_the_second_stands_by(store: LocalStore) -> None:
    first, second = Worker(), Worker()
    assert [store.stand(first), store.stand(second), store.stand(first)] == [True, False, True]
    assert [worker.id for worker in store.status().workers] == [first.id, second.id]


def test_a_silent_leader_loses_the_lease_and_comes_back_as_standby(store: LocalStore) -> None:
    first, second = Worker(), Worker()
    at = now()
    store.stand(first, at)
    assert not store.stand(second, at + run_journal.SILENT_AFTER / 2)
    later = at + run_journal.SILENT_AFTER * 1.5
    assert store.stand(second, later)
    assert not store.stand(first, later + timedelta(seconds=1))


def test_a_leader_that_leaves_is_followed_at_once(store: LocalStore) -> None:
    first, second = Worker(), Worker()
    store.stand(first)
    store.stand(second)
    store.leave(first)
    assert store.stand(second)


def test_of_many_workers_that_stand_at_once_one_leads(store: LocalStore, here: Path) -> None:
    leads: list[bool] = []

    def stand() -> None:
        other = LocalStore(here / "cache")
        leads.append(other.stand(Worker()))
        other.close()

    threads = [threading.Thread(target=stand) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(leads) == [False] * 9 + [True]


# -- watching


def test_readers_are_woken_by_whatever_they_show(store: LocalStore, worker: Worker) -> None:
    run = Run(trigger="test")
    steps = (
        lambda: store.request("test"),
        lambda: store.begin(run),
        lambda: store.report(run.model_copy(update={"progress": Progress(phase="rows", done=1)})),
        lambda: publish(store, 2),
        lambda: store.finish(run),
        lambda: store.leave(worker),
    )
    for step in steps:
        version = store.version()
        step()
        assert store.wait(version, timeout=0) > version


def test_a_wait_ends_when_something_changes_in_another_process(store: LocalStore, here: Path) -> None:
    other = LocalStore(here / "cache")
    version = other.version()
    timer = threading.Timer(0.2, lambda: publish(store, 2))
    timer.start()
    began = time.monotonic()
    assert other.wait(version, timeout=60) > version
    assert time.monotonic() - began < 60
    timer.join()
    other.close()


def test_a_wait_without_a_change_ends_at_its_time_limit(store: LocalStore) -> None:
    version = store.version()
    assert store.wait(version, timeout=0.2) == version
