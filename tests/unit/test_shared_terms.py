"""Terms of the shared cache: one process holds each, and a writer that was replaced changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from stores import SOURCE, PostgreSQLStore, open_shared
from waiting import wait_for

from cache.errors import SyncLost, SyncRunning, Trouble
from cache.storage import records
from cache.storage.records import Run, Worker
from cache.storage.shared import database, terms
from cache.storage.shared import runs as shared_runs
from cache.storage.store import Cache

pytestmark = pytest.mark.slow

TABLES = ("runs", "tasks", "terms", "workers")
STOP = Trouble(code="login_refused", message="It is refused.", advice="Correct it.", stops_schedule=True)


@pytest.fixture
def store(shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> PostgreSQLStore:
    """An empty store. A term is renewed only by what a test does, and a term that is held is refused at once."""
    monkeypatch.setattr(terms, "RENEW_SECONDS", 3600)
    monkeypatch.setattr(terms, "PATIENCE_SECONDS", 0)
    return PostgreSQLStore(shared_url, here)


@pytest.fixture
def hosts(store: PostgreSQLStore) -> Iterator[tuple[Cache, Cache]]:
    """The cache on two hosts, `one` and `two`, each with a worker."""
    one, two = store.open("one"), store.open("two")
    one.leadership.heartbeat(Worker(host="one"))
    two.leadership.heartbeat(Worker(host="two"))
    yield one, two
    one.close()
    two.close()


def content(store: PostgreSQLStore) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the journal."""
    return {table: store.run(f"SELECT * FROM orders_cache.{table} ORDER BY 1, 2") for table in TABLES}


def waiting_for_locks(store: PostgreSQLStore) -> int:
    """How many statements wait for a lock."""
    ((count,),) = store.run(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return int(count)


@contextmanager
def transaction(store: PostgreSQLStore, sql: str) -> Iterator[None]:
    """Another client that has run a statement, and commits at the end."""
    with psycopg.connect(store.url) as connection:
        connection.execute(sql)
        yield


class Call(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except Exception as error:
            self.error = error

    def ended(self) -> Exception | None:
        """What it raised, once it has ended."""
        self.join(60)
        assert not self.is_alive()
        return self.error


TAKE_OVER = f"""
UPDATE orders_cache.terms SET epoch = epoch + 1, token = gen_random_uuid(), holder = 'other', host = 'other',
    taken = clock_timestamp(), renewed = clock_timestamp() WHERE source = '{SOURCE}' AND name = 'sync'
"""
WRITES: dict[str, Callable[[Cache, Run], object]] = {
    "recover": lambda cache, _: cache.runs.recover(),
    "begin": lambda cache, _: cache.runs.begin(Run(trigger="late")),
    "report": lambda cache, run: cache.runs.report(run),
    "finish": lambda cache, run: cache.runs.finish(run.model_copy(update={"outcome": "failed", "error": STOP})),
}


# -- fences


@pytest.mark.parametrize("write", WRITES)
def test_after_a_takeover_every_write_is_lost_and_nothing_changes(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_runs, "KEPT_RUNS", 1)  # `begin` deletes older ones
    one, two = hosts
    run = Run(trigger="test")
    one.runs.request("test")
    with one.sync_lock():
        one.runs.begin(run)
        one.runs.request("test", automatic=True)
        store.shift_term("sync", timedelta(seconds=-9))
        with two.leadership.sync_lock():
            before = content(store)
            with pytest.raises(SyncLost) as lost:
                WRITES[write](one, run)
            assert content(store) == before
    assert "Host two took over this sync at " in lost.value.message
    assert "because one was silent for 8 s" in lost.value.message


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_waited_while_the_term_was_taken_over_is_lost(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], write: str
) -> None:
    one, _ = hosts
    run = Run(trigger="test")
    with one.sync_lock():
        one.runs.begin(run)
        one.runs.request("test", automatic=True)
        with transaction(store, TAKE_OVER):
            before = content(store)
            call = Call(lambda: WRITES[write](one, run))
            wait_for(lambda: waiting_for_locks(store))
        assert isinstance(call.ended(), SyncLost)
    after = content(store)
    assert {table: after[table] for table in ("runs", "tasks")} == {table: before[table] for table in ("runs", "tasks")}


PLAIN = """held AS (
    SELECT version FROM orders_cache.terms
    WHERE source = %(source)s AND name = 'sync' AND epoch = %(epoch)s AND token = %(token)s
)"""


@pytest.mark.parametrize(("fence", "holds"), [(terms.FENCE, True), (PLAIN, False)], ids=["fence", "sub-select"])
def test_no_write_ends_after_a_takeover_and_a_sub_select_lets_it(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], monkeypatch: pytest.MonkeyPatch, fence: str, holds: bool
) -> None:
    one, two = hosts
    run = Run(trigger="test")
    with ExitStack() as stack:
        stack.enter_context(one.sync_lock())
        one.runs.begin(run)
        store.shift_term("sync", timedelta(seconds=-9))
        if not holds:
            monkeypatch.setattr(database, "_LOCK", "")
            monkeypatch.setattr(shared_runs, "_REPORT", shared_runs._REPORT.replace(terms.FENCE, fence))
        with transaction(store, "SELECT FROM orders_cache.runs FOR UPDATE"):  # the write stops in its middle
            before = store.run("SELECT beat FROM orders_cache.runs")
            write = Call(lambda: one.runs.report(run))
            wait_for(lambda: waiting_for_locks(store) == 1)
            take = Call(lambda: stack.enter_context(two.leadership.sync_lock()))
            if holds:
                wait_for(lambda: waiting_for_locks(store) == 2)
            else:
                assert take.ended() is None
        write.ended()
        taken_over = take.ended() is None
        written = store.run("SELECT beat FROM orders_cache.runs") != before
    assert (taken_over, written) == ((False, True) if holds else (True, True))


def test_the_token_fences_where_the_epoch_is_repeated(store: PostgreSQLStore, hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    with one.sync_lock():
        ((epoch,),) = store.run("SELECT epoch FROM orders_cache.terms WHERE name = 'sync'")
        store.shift_term("sync", timedelta(seconds=-9))
        with two.leadership.sync_lock():
            store.run("UPDATE orders_cache.terms SET epoch = %s WHERE name = 'sync'", epoch)  # a failover lost a commit
            with pytest.raises(SyncLost):
                one.runs.begin(Run(trigger="test"))
    assert store.run("SELECT id FROM orders_cache.runs") == []


def test_the_epoch_fences_where_it_was_set_back_by_hand(store: PostgreSQLStore, hosts: tuple[Cache, Cache]) -> None:
    one, _ = hosts
    with one.sync_lock():
        store.run("UPDATE orders_cache.terms SET epoch = epoch - 1 WHERE name = 'sync'")
        with pytest.raises(SyncLost, match="no longer holds the sync"):
            one.runs.begin(Run(trigger="test"))


def test_a_write_without_the_term_or_after_its_end_is_lost(hosts: tuple[Cache, Cache]) -> None:
    one, _ = hosts
    run = Run(trigger="test")
    with pytest.raises(SyncLost):
        one.runs.begin(run)
    with one.sync_lock():
        one.runs.begin(run)
    with pytest.raises(SyncLost):
        one.runs.report(run)


def test_a_lost_sync_does_not_end_the_term_of_the_next(store: PostgreSQLStore, hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    with ExitStack() as stack:
        with one.sync_lock():
            store.shift_term("sync", timedelta(seconds=-9))
            stack.enter_context(two.leadership.sync_lock())
        with pytest.raises(SyncRunning, match="on host two"), one.sync_lock():
            pass


@pytest.mark.parametrize("finish_first", [True, False])
def test_no_automatic_request_survives_an_error_that_stops_the_schedule(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], finish_first: bool
) -> None:
    """Both wait for the same row: each sees what the one before it committed."""
    one, two = hosts
    run = Run(trigger="test")
    with one.sync_lock():
        one.runs.begin(run)
        calls: list[Callable[[], object]] = [
            lambda: one.runs.finish(run.model_copy(update={"outcome": "failed", "error": STOP})),
            lambda: two.runs.request("test", automatic=True),
        ]
        started = []
        with transaction(store, "SELECT FROM orders_cache.terms WHERE name = 'sync' FOR UPDATE"):
            for number, call in enumerate(calls if finish_first else reversed(calls), 1):
                started.append(Call(call))
                wait_for(lambda number=number: waiting_for_locks(store) == number)
        assert [call.ended() for call in started] == [None, None]
    assert store.run("SELECT state, body -> 'error' ->> 'code' FROM orders_cache.tasks") == [("failed", STOP.code)]


# -- who holds a term


@pytest.mark.parametrize(("seconds", "free"), [(-9, True), (-4, False), (0, False), (7, False), (17, True)])
def test_a_sync_is_taken_over_after_eight_seconds(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], seconds: int, free: bool
) -> None:
    one, two = hosts
    with one.sync_lock(), ExitStack() as stack:
        store.shift_term("sync", timedelta(seconds=seconds))
        if free:
            stack.enter_context(two.leadership.sync_lock())
        else:
            with pytest.raises(SyncRunning, match="Another sync is running on host one"):
                stack.enter_context(two.leadership.sync_lock())
        with pytest.raises(SyncRunning):
            stack.enter_context(one.leadership.sync_lock())


@pytest.mark.parametrize(("seconds", "free"), [(-9, True), (-4, False), (0, False), (7, False), (17, True)])
def test_a_leader_is_followed_after_eight_seconds(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], seconds: int, free: bool
) -> None:
    _, two = hosts
    store.shift_term("leader", timedelta(seconds=seconds))
    assert bool(two.leadership.heartbeat(Worker(host="two"))) == free


def test_each_holder_gets_a_new_epoch_and_token_and_resigning_keeps_them(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache]
) -> None:
    one, two = hosts
    seen = []
    for cache in (one, one, two):
        with cache.sync_lock():
            seen += store.run("SELECT epoch, token FROM orders_cache.terms WHERE name = 'sync'")
        ended = store.run("SELECT epoch, token, renewed = '-infinity' FROM orders_cache.terms WHERE name = 'sync'")
        assert ended == [(*seen[-1], True)]
    epochs = [epoch for epoch, _ in seen]
    assert epochs == [1, 2, 3]
    assert len({token for _, token in seen}) == 3


def test_a_leader_renews_its_term_in_the_same_epoch(store: PostgreSQLStore, hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    worker, other = Worker(), Worker()
    store.shift_term("leader", timedelta(seconds=-9))
    assert one.leadership.heartbeat(worker)
    term = "SELECT epoch, token, holder FROM orders_cache.terms WHERE name = 'leader'"
    before = store.run(term)
    assert one.leadership.heartbeat(worker)
    assert not two.leadership.heartbeat(other)
    assert store.run(term) == before
    one.leadership.resign(worker)
    assert store.run(term) == before
    assert two.leadership.heartbeat(other)
    assert store.run(term)[0][0] == before[0][0] + 1


def test_a_silent_sync_renews_its_term(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = hosts
    monkeypatch.setattr(terms, "RENEW_SECONDS", 0.05)
    with one.sync_lock():
        store.shift_term("sync", timedelta(seconds=-9))
        age = "SELECT clock_timestamp() - renewed < interval '8 s' FROM orders_cache.terms WHERE name = 'sync'"
        wait_for(lambda: store.run(age) == [(True,)])


# -- clocks


def test_clocks_that_are_five_minutes_wrong_change_nothing(
    store: PostgreSQLStore, hosts: tuple[Cache, Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    (ahead, behind), true_now, worker = hosts, records.now, Worker()
    for asking, syncing, skew in ((ahead, behind, 5), (behind, ahead, -5)):
        theirs = true_now() - timedelta(minutes=skew)
        monkeypatch.setattr(records, "now", lambda skew=skew: true_now() + timedelta(minutes=skew))
        task = asking.runs.request("test")
        assert abs(task.requested_at - true_now()) < timedelta(minutes=1)
        monkeypatch.setattr(records, "now", lambda theirs=theirs: theirs)
        run = Run(trigger="request", started_at=theirs, beat_at=theirs)
        with syncing.sync_lock():
            assert [claimed.id for claimed in syncing.runs.begin(run)] == [task.id]
            syncing.runs.report(run)
            running = asking.runs.running()
            assert running is not None
            assert abs(running.beat_at - true_now()) < timedelta(minutes=1)
            assert abs(running.started_at - true_now()) < timedelta(minutes=1)
            assert running.started_at >= task.requested_at
            syncing.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
        assert asking.runs.task(task.id).state == "completed"
        assert not syncing.leadership.heartbeat(worker)
        assert worker.id in [alive.id for alive in asking.leadership.workers()]
    assert ahead.runs.recent(5)[0].finished_at is not None


def test_requests_of_skewed_hosts_keep_the_order_of_the_database(hosts: tuple[Cache, Cache]) -> None:
    one, two = hosts
    asked = [cache.runs.request("test").id for cache in (one, two, two, one)]
    with two.sync_lock():
        assert [task.id for task in two.runs.begin(Run(trigger="request"))] == asked


# -- several tables


def test_the_tables_of_one_database_share_nothing(store: PostgreSQLStore, hosts: tuple[Cache, Cache]) -> None:
    one, _ = hosts
    other = open_shared(store.url, store.here, "one", "shop.customers")
    assert other.leadership.workers() == ()
    assert other.leadership.heartbeat(Worker())
    task = other.runs.request("test")
    version = one.runs.version()
    run = Run(trigger="test")
    with one.sync_lock(), other.sync_lock():
        assert one.runs.begin(run) == []
        assert [claimed.id for claimed in other.runs.begin(Run(trigger="test"))] == [task.id]
        assert [each.id for each in one.runs.recent()] == [run.id]
    assert one.runs.version() > version
    version = one.runs.version()
    other.runs.request("test")
    assert one.runs.version() == version
    other.close()
