"""The copy of a shared cache on each host: whole or not at all, as new as the database, and readable without it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cache_factory import confirm, files, flip, order, publish
from paths import ROOT
from stores import SOURCE, PostgreSQLStore
from waiting import wait_for

from cache.errors import (
    CacheFormat,
    CacheUnreachable,
    ChangesGone,
    DiskFull,
    NoSnapshot,
    PublishConflict,
    RangeDamaged,
    SyncLost,
    UnknownGeneration,
    WarmingUp,
)
from cache.storage.change_log import fingerprint
from cache.storage.documents import API_KEYS, SETUP
from cache.storage.records import Draft, Run, Worker
from cache.storage.shared import blobs as shared_blobs
from cache.storage.shared import follower as shared_follower
from cache.storage.shared import snapshots as shared_snapshots
from cache.storage.shared.database import Database
from cache.storage.shared.generations import Generations
from cache.storage.shared.mirror import Mirror
from cache.storage.shared.shared_cache import open_shared
from cache.storage.snapshot import JSON, PARQUET, SEGMENT_FILES, Head
from cache.storage.store import Cache
from cache.table_setup import Setup
from lab.postgresql import PostgreSQL, Running

pytestmark = pytest.mark.slow


@dataclass
class Host:
    """One host of a shared cache."""

    folder: Path
    cache: Cache

    def publish(self, rows: int, **options: object) -> Head:
        """What a sync does under its lock."""
        with self.cache.sync_lock():
            self.cache.snapshots.catch_up(to_repair=True)
            return publish(self.cache, rows, **options)  # type: ignore[arg-type]

    def ids(self, generation: int | None = None) -> list[int]:
        """The rows as a reader of this host sees them."""
        return [
            row["id"] - 1000
            for row in json.loads(b"[" + b"".join(self.cache.snapshots.open(generation).json_slices()) + b"]")
        ]

    def generation(self) -> int:
        head = self.cache.snapshots.head()
        return head.generation if head else 0


@contextmanager
def host(url: str, folder: Path, name: str = "", follows: bool = True) -> Iterator[Host]:
    with closing(open_shared(url, SOURCE, folder, name or folder.name)) as cache:
        if follows:
            cache.snapshots.follow()
        yield Host(folder, cache)


@pytest.fixture
def store(shared_url: str, here: Path) -> PostgreSQLStore:
    return PostgreSQLStore(shared_url, here)


@pytest.fixture
def writer(store: PostgreSQLStore, tmp_path: Path) -> Iterator[Host]:
    with host(store.url, tmp_path / "writer", follows=False) as made:
        yield made


@pytest.fixture
def reader(store: PostgreSQLStore, tmp_path: Path) -> Iterator[Host]:
    with host(store.url, tmp_path / "reader") as made:
        yield made


# -- copies


def test_every_host_reads_what_one_published(writer: Host, reader: Host) -> None:
    for rows in (5, 8, 3):
        head = writer.publish(rows, segments=3)
        assert wait_for(lambda head=head: reader.cache.snapshots.head() == head)
        assert reader.ids() == writer.ids() == list(range(rows))
        assert reader.cache.snapshots.open().verify() == []
        assert reader.cache.snapshots.open().manifest == writer.cache.snapshots.open().manifest


def test_a_copy_has_the_files_of_a_cache_on_one_machine(writer: Host, reader: Host) -> None:
    writer.publish(5)
    writer.publish(8)
    assert wait_for(lambda: reader.generation() == 2)
    kept = {
        name for name in files(writer.folder) if name.startswith(("segments/", "changes/", "current", "generations/"))
    }
    assert kept - {"generations/0000000001.json"} <= files(reader.folder)


def test_a_segment_that_is_here_is_not_fetched_again(
    writer: Host, reader: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.publish(6, segments=3)
    assert wait_for(lambda: reader.generation() == 1)
    fetched: list[str] = []
    get = shared_blobs.Blobs.get
    monkeypatch.setattr(
        shared_blobs.Blobs, "get", lambda self, key, *rest: (fetched.append(key.segment), get(self, key, *rest))[1]
    )
    with writer.cache.sync_lock():
        publish(writer.cache, [*(order(i) for i in range(5)), order(9)], segments=3)
    assert wait_for(lambda: reader.generation() == 2)
    assert fetched == [writer.cache.snapshots.open().manifest.segments[-1].id]


def test_a_confirmation_moves_the_pointer_of_every_host(writer: Host, reader: Host) -> None:
    writer.publish(3)
    assert wait_for(lambda: reader.generation() == 1)
    pointer = reader.cache.snapshots.pointer()
    with writer.cache.sync_lock():
        head = confirm(writer.cache)
    assert wait_for(lambda: reader.cache.snapshots.head() == head)
    assert reader.cache.snapshots.pointer() != pointer


def test_hosts_take_turns(store: PostgreSQLStore, tmp_path: Path) -> None:
    with host(store.url, tmp_path / "one") as one, host(store.url, tmp_path / "two") as two:
        for number in range(1, 7):
            head = (one, two)[number % 2].publish(number)
            assert head.generation == number
        assert wait_for(lambda: one.generation() == two.generation() == 6)
        assert one.ids() == two.ids() == list(range(6))


def test_a_sync_begins_with_the_newest_generation(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    writer.publish(4)
    with host(store.url, tmp_path / "new", follows=False) as new:
        assert new.publish(5).generation == 2
        assert new.cache.snapshots.open().manifest.parent == 1
        assert [each.about.generation for each in new.cache.snapshots.changes(1, 2)] == [2]


def test_two_processes_of_a_host_share_its_copy(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    with host(store.url, tmp_path / "reader") as one, host(store.url, tmp_path / "reader") as two:
        writer.publish(4)
        assert wait_for(lambda: one.generation() == two.generation() == 1)
        assert one.ids() == two.ids() == list(range(4))


def test_another_process_of_the_host_follows_when_the_first_has_ended(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_follower, "POLL_SECONDS", 0.05)
    with host(store.url, tmp_path / "reader") as one:
        writer.publish(4)
        assert wait_for(lambda: one.generation() == 1)
        with host(store.url, tmp_path / "reader") as two:
            one.cache.close()  # once more at the end
            writer.publish(5)
            assert wait_for(lambda: two.generation() == 2)


def test_a_reader_wakes_when_its_copy_is_there(writer: Host, reader: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.publish(3)
    assert wait_for(lambda: reader.generation() == 1)
    allowed = threading.Event()
    catch_up = Mirror.catch_up
    monkeypatch.setattr(Mirror, "catch_up", lambda self: (allowed.wait(60), catch_up(self))[1])
    version = reader.cache.runs.version()
    monkeypatch.setattr(shared_snapshots.SharedSnapshots, "catch_up", lambda *_, **__: None)
    writer.publish(4)
    woken = reader.cache.runs.wait(version, 60)  # the database has changed
    assert woken > version
    assert reader.generation() == 1
    while (seen := reader.cache.runs.wait(woken, 0.5)) != woken:  # the end of the sync
        woken = seen
    allowed.set()
    assert reader.cache.runs.wait(woken, 60) > woken
    assert reader.generation() == 2


# -- copies that fail


def test_a_copy_that_was_cut_off_is_completed(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.publish(6, segments=3)
    get, calls = shared_blobs.Blobs.get, [0]

    def fails_second(self: shared_blobs.Blobs, *arguments: object) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise CacheUnreachable("The shared cache does not answer.")
        get(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_blobs.Blobs, "get", fails_second)
    monkeypatch.setattr(shared_follower, "FIRST_PAUSE", 0.01)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 1)
        assert reader.ids() == list(range(6))
    assert calls == [4]


def test_nothing_is_shown_before_a_copy_is_whole(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.publish(6, segments=3)
    get, going = shared_blobs.Blobs.get, threading.Semaphore(1)

    def waits(self: shared_blobs.Blobs, *arguments: object) -> None:
        going.acquire()
        get(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_blobs.Blobs, "get", waits)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: len(list((reader.folder / "segments").iterdir())) == 1)
        with pytest.raises(WarmingUp, match=r"This host is copying the orders: \d+ of \d+ MB\.") as failed:
            reader.cache.snapshots.open()
        assert isinstance(failed.value, NoSnapshot)
        assert reader.cache.status().head is None
        for _ in range(2):
            going.release()
        assert wait_for(lambda: reader.generation() == 1)
        assert reader.ids() == list(range(6))


def test_a_damaged_file_of_a_host_is_fetched_again(writer: Host, reader: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.publish(6, segments=3)
    assert wait_for(lambda: reader.generation() == 1)
    segment = reader.cache.snapshots.open().manifest.segments[1]
    flip(reader.cache.snapshots.segment_folder(segment) / JSON)
    assert reader.cache.snapshots.verify(segment) == "has a damaged rows.json"
    assert wait_for(lambda: not reader.cache.snapshots.inspect(1).faults)
    assert reader.cache.snapshots.verify(segment) is None
    assert reader.ids() == list(range(6))


def test_a_damaged_file_of_the_database_is_not_shown_and_is_repaired(
    store: PostgreSQLStore, writer: Host, tmp_path: Path
) -> None:
    writer.publish(6, segments=3)
    segment = writer.cache.snapshots.open().manifest.segments[1]
    store.run(
        "UPDATE orders_cache.blobs SET data = set_byte(data, 9, get_byte(data, 9) # 1) "
        "WHERE segment = %s AND name = %s",
        segment.id,
        PARQUET,
    )
    with host(store.url, tmp_path / "reader", follows=False) as reader:
        with pytest.raises(RangeDamaged, match=r"has a damaged rows\.parquet in the shared cache"):
            reader.cache.snapshots.catch_up()
        assert reader.generation() == 0
        with reader.cache.sync_lock():
            reader.cache.snapshots.catch_up(to_repair=True)
            assert list(reader.cache.snapshots.inspect(1).faults) == [segment.id]
            publish(reader.cache, 6, segments=3)  # the same rows, so the same names of files
        with host(store.url, tmp_path / "third") as third:
            assert wait_for(lambda: third.generation() == 2)
            assert third.ids() == list(range(6))


def test_a_generation_that_is_replaced_while_it_is_fetched(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.publish(6, segments=3)
    get, first = shared_blobs.Blobs.get, [True]

    def removes(self: shared_blobs.Blobs, *arguments: object) -> None:
        if first.pop() if first else False:
            monkeypatch.setattr(shared_blobs.Blobs, "get", get)
            writer.publish(2)
            store.run("DELETE FROM orders_cache.manifests WHERE generation = 1")
            store.run("UPDATE orders_cache.manifests SET replaced = NULL")
            with writer.cache.sync_lock():
                writer.cache.snapshots.prune()
        get(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_blobs.Blobs, "get", removes)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 2)
        assert reader.ids() == [0, 1]


def test_what_a_killed_process_left_is_removed(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    left_over = tmp_path / "reader/arriving/killed"
    left_over.mkdir(parents=True)
    (left_over / JSON).write_bytes(b"[")
    writer.publish(3)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 1)
    assert not list((tmp_path / "reader/arriving").iterdir())
    assert not (tmp_path / "reader/arriving.json").exists()


def test_a_publish_whose_host_has_a_full_disk_counts(
    writer: Host, reader: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cache.storage.local.snapshots.write_whole", full)
        patch.setattr(shared_follower.Follower, "_step", lambda *_: time.sleep(0.05))
        writer.publish(3)
    assert wait_for(lambda: reader.generation() == 1)
    writer.cache.snapshots.follow()
    assert wait_for(lambda: writer.generation() == 1)


def test_a_copy_that_finds_the_disk_full_says_so(
    writer: Host, store: PostgreSQLStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer.publish(3)
    monkeypatch.setattr("cache.storage.shared.mirror.write_whole", full)
    with host(store.url, tmp_path / "two", follows=False) as two, pytest.raises(DiskFull):
        two.cache.snapshots.catch_up()


# -- another history


def test_a_database_that_lost_its_newest_generations_is_followed_back(
    store: PostgreSQLStore, writer: Host, reader: Host
) -> None:
    """A failover lost commits, or an older backup of the database was restored."""
    for rows in (3, 4, 5):
        writer.publish(rows)
    assert wait_for(lambda: reader.generation() == 3)
    old = fingerprint(reader.cache.snapshots.inspect(3).manifest.created_at)
    restore_generation(store, 2)
    assert wait_for(lambda: reader.generation() == 2)
    assert reader.ids() == list(range(4))
    assert [each.about.generation for each in reader.cache.snapshots.changes(1, 2)] == [2]
    writer.publish(7)
    assert wait_for(lambda: reader.generation() == 3 and reader.ids() == list(range(7)))
    with pytest.raises(ChangesGone):
        reader.cache.snapshots.changes(3, 3, old)
    assert len(reader.cache.snapshots.changes(2, 3)) == 1


def test_another_generation_with_the_same_number_replaces_the_old_one(
    store: PostgreSQLStore, writer: Host, tmp_path: Path
) -> None:
    with host(store.url, tmp_path / "reader") as reader:
        for rows in (3, 4, 5):
            writer.publish(rows)
        assert wait_for(lambda: reader.generation() == 3)
        old = {number: fingerprint(reader.cache.snapshots.inspect(number).manifest.created_at) for number in (1, 2, 3)}
    restore_generation(store, 1)  # while the reader is off
    with host(store.url, tmp_path / "other", follows=False) as other:
        for rows in (6, 7, 8, 9):
            other.publish(rows)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 5)
        assert reader.ids() == list(range(9))
        assert reader.ids(3) == list(range(7))
        for number in (2, 3):
            with pytest.raises(ChangesGone):
                reader.cache.snapshots.changes(number, 5, old[number])
        assert len(reader.cache.snapshots.changes(1, 5, old[1])) == 4


def restore_generation(store: PostgreSQLStore, generation: int) -> None:
    """Sets the database back to an earlier generation, as a restored backup does."""
    store.run("DELETE FROM orders_cache.manifests WHERE generation > %s", generation)
    store.run("DELETE FROM orders_cache.changes WHERE generation > %s", generation)
    store.run(
        "UPDATE orders_cache.terms AS term SET generation = made.generation, digest = made.digest, "
        "head = jsonb_set(head, '{generation}', to_jsonb(made.generation)), version = version + 1 "
        "FROM orders_cache.manifests AS made WHERE made.generation = %s AND term.name = 'sync'",
        generation,
    )


def test_the_first_sync_of_an_empty_database_forgets_an_older_copy(
    store: PostgreSQLStore, writer: Host, shared_url: str, tmp_path: Path
) -> None:
    for rows in (3, 4, 5):
        writer.publish(rows)
    for table in ("manifests", "changes", "blobs", "terms"):
        store.run(f"DELETE FROM orders_cache.{table}")
    store.run(f"INSERT INTO orders_cache.terms (source, name) VALUES ('{SOURCE}', 'leader'), ('{SOURCE}', 'sync')")
    assert writer.ids() == list(range(5))  # until another is published
    assert writer.publish(2).generation == 1
    assert writer.cache.snapshots.open().manifest.parent is None
    assert writer.ids() == [0, 1]


# -- older generations and changes


def test_an_older_generation_that_is_not_here_is_fetched(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    for rows in (3, 4, 5):
        writer.publish(rows)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 3)
        assert reader.cache.snapshots.inspect(1).manifest.generation == 1
        assert reader.ids(1) == list(range(3))
        assert reader.cache.snapshots.open(2).verify() == []
        with pytest.raises(UnknownGeneration):
            reader.cache.snapshots.open(7)


def test_changes_that_are_not_here_are_fetched(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    for rows in (3, 4, 5, 6):
        writer.publish(rows)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 4)
        assert [each.about.generation for each in reader.cache.snapshots.changes(1, 4)] == [2, 3, 4]
        with pytest.raises(ChangesGone):
            reader.cache.snapshots.changes(0, 4)


def test_a_host_that_lags_waits_for_a_generation(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.publish(3)
    with host(store.url, tmp_path / "reader") as reader:
        assert wait_for(lambda: reader.generation() == 1)
        catch_up = Mirror.catch_up
        monkeypatch.setattr(Mirror, "catch_up", lambda self: (time.sleep(0.5), catch_up(self))[1])
        monkeypatch.setattr(shared_snapshots.SharedSnapshots, "catch_up", lambda *_, **__: None)
        writer.publish(4)
        with pytest.raises(WarmingUp):
            reader.cache.snapshots.reach(2, 0.01)
        assert reader.cache.snapshots.reach(2, 60)
        assert reader.generation() == 2
        assert not reader.cache.snapshots.reach(3, 60)
        writer.publish(5)
        assert reader.ids(3) == list(range(5))


def test_a_request_is_completed_once_its_generation_is_here(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.cache.leadership.heartbeat(Worker())
    monkeypatch.setattr("cache.storage.shared.runs.REACH_SECONDS", 0)
    with host(store.url, tmp_path / "reader", follows=False) as reader:
        task = reader.cache.runs.request("test")
        with writer.cache.sync_lock():
            run = Run(trigger="test")
            writer.cache.runs.begin(run)
            publish(writer.cache, 3)
            writer.cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": 1}))
        assert writer.cache.runs.task(task.id).state == "completed"
        assert reader.cache.runs.task(task.id).state == "running"
        assert reader.cache.runs.task(task.id).generation is None
        reader.cache.snapshots.follow()
        assert wait_for(lambda: reader.cache.runs.task(task.id).state == "completed")
        assert reader.ids() == list(range(3))
        restore_nothing(store)
        assert reader.cache.runs.task(task.id).state == "completed"


def test_a_request_that_another_host_calls_completed_stays_so(
    store: PostgreSQLStore, writer: Host, tmp_path: Path
) -> None:
    writer.cache.leadership.heartbeat(Worker())
    with host(store.url, tmp_path / "reader", follows=False) as reader:
        task = reader.cache.runs.request("test")
        with writer.cache.sync_lock():
            run = Run(trigger="test")
            writer.cache.runs.begin(run)
            publish(writer.cache, 3)
            writer.cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": 1}))
        assert writer.cache.runs.task(task.id).state == "completed"
        with ThreadPoolExecutor() as threads:
            asked = threads.submit(reader.cache.runs.task, task.id)
            assert not wait([asked], 0.5).done  # this host copies it
            reader.cache.snapshots.follow()
            assert asked.result().state == "completed"


def restore_nothing(store: PostgreSQLStore) -> None:
    store.run("UPDATE orders_cache.terms SET generation = NULL, head = NULL, digest = NULL")


# -- drafts


def test_another_host_continues_a_first_load(store: PostgreSQLStore, writer: Host, tmp_path: Path) -> None:
    with writer.cache.sync_lock():
        publish(writer.cache, 6, segments=3)
        manifest = writer.cache.snapshots.open().manifest
        draft = Draft(source=manifest.source, columns=manifest.columns, segments=manifest.segments[:2])
        writer.cache.snapshots.save_draft(draft)
    restore_nothing(store)
    with host(store.url, tmp_path / "reader", follows=False) as reader, reader.cache.sync_lock():
        assert reader.cache.snapshots.draft() == draft
        for segment in draft.segments:
            assert {path.name for path in reader.cache.snapshots.segment_folder(segment).iterdir()} == set(
                SEGMENT_FILES
            )
        store.run("DELETE FROM orders_cache.blobs WHERE segment = %s", draft.segments[1].id)
    with host(store.url, tmp_path / "third", follows=False) as third, third.cache.sync_lock():
        assert third.cache.snapshots.draft() == draft.model_copy(update={"segments": draft.segments[:1]})


# -- a lost term


def test_a_sync_that_was_taken_over_publishes_nothing_anywhere(
    store: PostgreSQLStore, writer: Host, tmp_path: Path
) -> None:
    writer.publish(3)
    with (
        host(store.url, tmp_path / "two", follows=False) as two,
        suppress(SyncLost),
        writer.cache.sync_lock(),
    ):
        store.shift_term("sync", timedelta(seconds=-60))
        two.publish(5)
        with pytest.raises(SyncLost, match="Host two took over this sync"):
            publish(writer.cache, 4)
        with pytest.raises(PublishConflict):
            confirm(writer.cache)
        with pytest.raises(SyncLost):
            writer.cache.snapshots.prune()
    assert two.ids() == list(range(5))
    assert store.run("SELECT generation FROM orders_cache.manifests ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize("write", ["publish", "confirm"])
def test_a_sync_that_was_stopped_after_its_write_sets_no_host_back(
    store: PostgreSQLStore, writer: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    writer.publish(3)
    with (
        host(store.url, tmp_path / "two", follows=False) as two,
        suppress(SyncLost),
        writer.cache.sync_lock(),
    ):
        sent = getattr(Generations, write)

        def stopped(*arguments: object) -> None:
            monkeypatch.undo()
            sent(*arguments)
            store.shift_term("sync", timedelta(seconds=-60))
            two.publish(5)
            writer.cache.snapshots.catch_up()  # what its follower does, in another process perhaps

        monkeypatch.setattr(Generations, write, stopped)
        head = publish(writer.cache, 4) if write == "publish" else confirm(writer.cache)
        assert writer.generation() == head.generation + 1
        assert writer.ids() == list(range(5))


# -- without the database


def test_readers_go_on_while_the_database_is_down(own_server: tuple[PostgreSQL, Running], tmp_path: Path) -> None:
    server, running = own_server
    with (
        host(server.url(), tmp_path / "writer", follows=False) as writer,
        host(server.url(), tmp_path / "one") as reader,
    ):
        writer.cache.leadership.heartbeat(Worker())
        head = writer.publish(4)
        writer.cache.documents.change(SETUP, lambda _: Setup(currency="EUR"))
        secret = writer.cache.documents.read(API_KEYS).secret
        assert wait_for(lambda: reader.generation() == 1)
        assert reader.cache.documents.read(SETUP).currency == "EUR"
        assert reader.cache.documents.read(API_KEYS).secret == secret
        assert wait_for((reader.folder / "documents/setup.json").exists)
        version = reader.cache.runs.wait(-1, 0)
        server.stop_at_once()
        assert wait_for(lambda: reader.cache.runs.wait(version, 0) != version)  # that it is down is a change
        assert reader.ids() == list(range(4))
        assert reader.cache.documents.read(SETUP).currency == "EUR"
        assert reader.cache.documents.read(API_KEYS).secret == secret
        status = reader.cache.status()
        assert status.head == head
        assert status.cache_error is not None
        assert status.cache_error.code == "cache_unreachable"
        at = head.updated_at.astimezone(UTC)
        assert f"You see this host's copy of {at:%Y-%m-%d %H:%M} UTC." in status.cache_error.message
        with host(server.url(), tmp_path / "one") as restarted:  # what it knew is on its disk
            assert restarted.ids() == list(range(4))
            assert restarted.cache.documents.read(SETUP).currency == "EUR"
        running.start()
        assert wait_for(lambda: reader.cache.status().cache_error is None)
        writer.publish(6)
        assert wait_for(lambda: reader.generation() == 2)


def test_a_document_that_another_host_changed_is_read_again(writer: Host, reader: Host) -> None:
    reader.cache.runs.wait(-1, 0)
    for currency in ("EUR", "USD", "CHF"):
        writer.cache.documents.change(SETUP, lambda _, currency=currency: Setup(currency=currency))
        assert wait_for(lambda currency=currency: reader.cache.documents.read(SETUP).currency == currency)
        assert writer.cache.documents.read(SETUP).currency == currency


def test_a_known_document_costs_no_statement(writer: Host, reader: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.cache.runs.wait(-1, 0)
    reader.cache.documents.read(SETUP)
    asked_by: list[threading.Thread] = []  # the follower goes on, in a thread of its own
    rows = Database.rows

    def counted(*args: Any, **values: Any) -> Any:
        asked_by.append(threading.current_thread())
        return rows(*args, **values)

    monkeypatch.setattr(Database, "rows", counted)
    assert reader.cache.documents.read(SETUP) == Setup()
    assert threading.current_thread() not in asked_by


def test_while_the_database_is_silent_no_reader_waits_for_it(
    own_server: tuple[PostgreSQL, Running], tmp_path: Path
) -> None:
    """It is stopped, as behind a cut line: it accepts connections and answers nothing."""
    server, _ = own_server
    with host(server.url(), tmp_path / "one") as reader:
        reader.publish(4)
        version = reader.cache.runs.wait(-1, 0)
        with stopped(server):
            assert wait_for(lambda: reader.cache.runs.wait(version, 0) != version)
            began = time.monotonic()
            for _ in range(20):
                error = reader.cache.status().cache_error
                assert error
                assert error.code == "cache_unreachable"
            assert time.monotonic() - began < 1
        assert wait_for(lambda: reader.cache.status().cache_error is None)


@contextmanager
def stopped(server: PostgreSQL) -> Iterator[None]:
    """Stops all processes of a server, and lets them go on."""
    pid = int((server.data / "postmaster.pid").read_text().split()[0])
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


# -- upgrades

NEXT_VERSION = """
import sys
from pathlib import Path
from typing import Any
from cache.errors import CacheError
from cache.storage.records import Worker
from cache.storage.shared import schema
from cache.storage.shared.shared_cache import open_shared
schema.FORMAT = 2
schema.MIGRATIONS = {2: "ALTER TABLE orders_cache.meta ADD COLUMN made timestamptz"}
cache = open_shared(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
for line in sys.stdin:
    try:
        print("leads", cache.leadership.heartbeat(Worker(id="next")).leads, flush=True)
    except CacheError as error:
        print(error.code, error, flush=True)
"""


def test_an_upgrade_waits_for_older_workers_and_readers_go_on(
    store: PostgreSQLStore, writer: Host, reader: Host, tmp_path: Path
) -> None:
    head = writer.publish(4)
    writer.cache.documents.change(SETUP, lambda _: Setup(currency="EUR"))
    assert wait_for(lambda: reader.generation() == 1)
    assert wait_for(lambda: reader.cache.documents.read(SETUP).currency == "EUR")
    old = Worker()
    writer.cache.leadership.heartbeat(old)
    with newer_version(store.url, tmp_path / "newer") as ask:
        assert "a worker of an older version still runs" in ask()
        assert store.run("SELECT format FROM orders_cache.meta") == [(1,)]
        assert writer.cache.leadership.heartbeat(old)
        writer.cache.leadership.resign(old)
        assert ask() == "leads True\n"
        assert store.run("SELECT format, made FROM orders_cache.meta") == [(2, None)]
        error = wait_for(lambda: reader.cache.status().cache_error)
        assert error.message == "The cache has format 2; this version reads formats up to 1."
        assert reader.cache.status().head == head
        assert reader.ids() == list(range(4))
        assert reader.cache.documents.read(SETUP).currency == "EUR"
        with pytest.raises(CacheFormat), host(store.url, tmp_path / "late", follows=False) as late:
            late.publish(5)
        assert ask() == "leads True\n"
    assert store.run("SELECT generation FROM orders_cache.manifests") == [(1,)]


@contextmanager
def newer_version(url: str, folder: Path) -> Iterator[Callable[[], str]]:
    """A process of the next version. Each call lets it send a heartbeat, and returns what it says."""
    command = [sys.executable, "-c", NEXT_VERSION, url, SOURCE, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def ask() -> str:
            stdin.write("\n")
            stdin.flush()
            return stdout.readline()

        yield ask
        stdin.close()
