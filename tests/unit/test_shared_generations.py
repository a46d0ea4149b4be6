"""Generations of the shared cache: published by whoever holds the sync term, whole or not at all, and fetched whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cache_factory import cache_in, publish
from stores import SOURCE, PostgreSQLStore
from waiting import wait_for

from cache.check_report import CheckReport
from cache.errors import (
    CacheUnreachable,
    PublishConflict,
    PublishUnknown,
    RangeDamaged,
    SyncLost,
    UnknownGeneration,
)
from cache.storage.records import Draft
from cache.storage.shared import blobs as shared_blobs
from cache.storage.shared import generations as shared_generations
from cache.storage.shared import terms
from cache.storage.shared.blobs import Blobs, Key
from cache.storage.shared.changes import Changes
from cache.storage.shared.database import Database
from cache.storage.shared.generations import Generations
from cache.storage.shared.terms import SharedLeadership
from cache.storage.snapshot import COLUMNS, SEGMENT_FILES, Head, Manifest, Segment
from lab.postgresql import PgBouncer, PostgreSQL, Running, folder_for_servers

pytestmark = pytest.mark.slow

TABLES = ("blobs", "changes", "drafts", "manifests", "terms")


@dataclass
class Host:
    """One host of the shared cache. Its segments are made in a cache of files."""

    folder: Path
    database: Database
    leadership: SharedLeadership
    blobs: Blobs
    generations: Generations
    changes: Changes

    def made(self, rows: int = 12, segments: int = 3) -> tuple[Manifest, Head]:
        """A generation with real files, by which the cache of files goes on from the newest one of the database."""
        with closing(cache_in(self.folder)) as cache:
            publish(cache, rows, segments=segments)
            manifest, head = cache.snapshots.open().manifest, cache.snapshots.head()
        assert head is not None
        pointer = self.generations.pointer()
        number = pointer.generation + 1 if pointer else 1
        parent = pointer.generation if pointer else None
        return (
            manifest.model_copy(update={"generation": number, "parent": parent}),
            head.model_copy(update={"generation": number}),
        )

    def files(self, segment: Segment) -> Path:
        return self.folder / "cache/segments" / segment.id

    def upload(self, manifest: Manifest) -> dict[str, Key]:
        return {segment.id: self.blobs.put(segment, self.files(segment)) for segment in manifest.segments}

    def publish(self, rows: int = 12) -> Manifest:
        """All of a sync's last phase, within its own term."""
        with self.leadership.sync_lock():
            manifest, head = self.made(rows)
            self.generations.publish(manifest, head, self.upload(manifest))
        return manifest


def host(url: str, folder: Path, name: str) -> Host:
    folder.mkdir(exist_ok=True)
    database = Database(url, SOURCE)
    leadership = SharedLeadership(database, name)
    blobs = Blobs(database, leadership)
    return Host(folder, database, leadership, blobs, Generations(database, leadership), Changes(database))


@pytest.fixture
def store(shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> PostgreSQLStore:
    """An empty store. A term is renewed only by what a test does, and a term that is held is refused at once."""
    monkeypatch.setattr(terms, "RENEW_SECONDS", 3600)
    monkeypatch.setattr(terms, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(shared_generations, "RETRY_SECONDS", 0.01)
    return PostgreSQLStore(shared_url, here)


@pytest.fixture
def hosts(store: PostgreSQLStore, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    made = tuple(host(store.url, tmp_path / name, name) for name in ("one", "two"))
    yield made  # type: ignore[misc]
    for each in made:
        each.changes.close()
        each.database.close()


def content(store: PostgreSQLStore) -> dict[str, list[tuple[Any, ...]]]:
    return {table: store.run(f"SELECT each::text FROM orders_cache.{table} AS each ORDER BY 1") for table in TABLES}


def fetched(reader: Host, manifest: Manifest, blobs: Mapping[str, Key], folder: Path) -> None:
    """Fetches all segments, and compares each file with the one it was made of."""
    for segment in manifest.segments:
        into = folder / segment.id
        into.mkdir(parents=True)
        reader.blobs.get(blobs[segment.id], segment, into)
        assert {path.name for path in into.iterdir()} == set(SEGMENT_FILES)


# -- published and fetched


def test_another_host_gets_what_was_published_to_the_byte(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    one, two = hosts
    assert two.generations.pointer() is None
    report = CheckReport(orders=12, agree=11)
    with one.leadership.sync_lock():
        manifest, head = one.made()
        one.generations.publish(manifest, head, one.upload(manifest), b"\x00changes\xff" * 9, report)
    pointer = two.generations.pointer()
    assert pointer is not None
    assert (pointer.generation, pointer.head) == (1, head)
    stored = two.generations.read(1)
    assert (stored.manifest, stored.checks, stored.digest) == (manifest, report, pointer.digest)
    assert two.generations.changes(1) == b"\x00changes\xff" * 9
    fetched(two, stored.manifest, stored.blobs, tmp_path / "fetched")
    for segment in manifest.segments:
        for name in SEGMENT_FILES:
            copy = tmp_path / "fetched" / segment.id / name
            assert copy.read_bytes() == (one.files(segment) / name).read_bytes()


@pytest.mark.parametrize("part", [1, 7, 100, 1 << 20])
def test_files_of_any_size_are_cut_and_joined(
    hosts: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(shared_blobs, "PART", part if part > 1 else 64)
    monkeypatch.setattr(shared_generations, "PART", part)
    one, two = hosts
    with one.leadership.sync_lock():
        manifest, head = one.made(rows=0 if part == 1 else 5, segments=1)
        one.generations.publish(manifest, head, one.upload(manifest), b"abcdefgh")
    stored = two.generations.read(1)
    fetched(two, stored.manifest, stored.blobs, tmp_path / "fetched")
    assert two.generations.changes(1) == b"abcdefgh"


def test_a_generation_without_changes_and_checks_says_so(hosts: tuple[Host, Host]) -> None:
    hosts[0].publish()
    assert hosts[1].generations.changes(1) is None
    assert hosts[1].generations.read(1).checks is None
    with pytest.raises(UnknownGeneration):
        hosts[1].generations.read(2)


def test_a_confirmation_changes_the_freshness_alone(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    one.publish()
    before = two.generations.pointer()
    assert before is not None
    later = before.head.model_copy(update={"as_of": before.head.as_of + timedelta(hours=1)})
    with one.leadership.sync_lock():
        one.generations.confirm(later)
    assert two.generations.pointer() == before._replace(head=later)


def test_other_hosts_are_woken_by_a_publish_and_a_confirmation(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.storage.shared.changes.POLL_SECONDS", 3600)
    one, two = hosts
    one.publish()
    pointer = one.generations.pointer()
    assert pointer is not None
    with one.leadership.sync_lock():
        manifest, head = one.made()
        blobs = one.upload(manifest)
        for write in (
            lambda: one.generations.confirm(pointer.head),
            lambda: one.generations.publish(manifest, head, blobs),
        ):
            version = two.changes.version()
            woken = threading.Event()
            waiting = threading.Thread(
                target=lambda version=version, woken=woken: two.changes.wait(version, 60) and woken.set(), daemon=True
            )
            waiting.start()
            time.sleep(0.5)  # until it listens
            write()
            assert woken.wait(30)
            waiting.join()


def test_a_pooler_in_transaction_mode_passes_everything(
    postgresql: PostgreSQL, store: PostgreSQLStore, tmp_path: Path
) -> None:
    with folder_for_servers() as folder:
        bouncer = PgBouncer(folder, postgresql)
        with Running(bouncer, folder):
            pooled = host(bouncer.url(store.url.rpartition("/")[2]), tmp_path / "pooled", "pooled")
            manifest = pooled.publish()
            stored = pooled.generations.read(1)
            fetched(pooled, manifest, stored.blobs, tmp_path / "fetched")
            with pooled.leadership.sync_lock():
                pooled.generations.collect()
            pooled.changes.close()
            pooled.database.close()


# -- who may write


@contextmanager
def taken_over(store: PostgreSQLStore, loser: Host, winner: Host) -> Iterator[None]:
    """The loser still believes that it holds the sync term, and the winner has it."""
    with loser.leadership.sync_lock():
        store.shift_term("sync", -timedelta(seconds=9))
        with winner.leadership.sync_lock():
            yield


WRITES: dict[str, Callable[[Host, Manifest, Head, dict[str, Key]], object]] = {
    "publish": lambda one, manifest, head, blobs: one.generations.publish(manifest, head, blobs),
    "publish with changes": lambda one, manifest, head, blobs: one.generations.publish(manifest, head, blobs, b"x"),
    "confirm": lambda one, manifest, head, _: one.generations.confirm(head.model_copy(update={"generation": 1})),
    "draft": lambda one, manifest, _, blobs: one.generations.save_draft(
        Draft(source=manifest.source, columns=manifest.columns, segments=manifest.segments), blobs
    ),
    "collect": lambda one, *_: one.generations.collect(),
    "upload": lambda one, manifest, *_: one.upload(manifest),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_host_whose_term_was_taken_over_writes_nothing(
    store: PostgreSQLStore, hosts: tuple[Host, Host], name: str
) -> None:
    one, two = hosts
    one.publish()
    manifest, head = one.made(rows=15)
    with taken_over(store, one, two):
        before = content(store)
        blobs = {segment.id: Key(segment.id, 1) for segment in manifest.segments}
        with pytest.raises(SyncLost, match="Host two took over this sync"):
            WRITES[name](one, manifest, head, blobs)
        assert content(store) == before


@pytest.mark.parametrize("name", WRITES)
def test_without_a_term_nothing_is_written(store: PostgreSQLStore, hosts: tuple[Host, Host], name: str) -> None:
    one, _ = hosts
    one.publish()
    manifest, head = one.made(rows=15)
    before = content(store)
    with pytest.raises(SyncLost):
        WRITES[name](one, manifest, head, {segment.id: Key(segment.id, 1) for segment in manifest.segments})
    assert content(store) == before


def test_a_generation_that_began_from_another_one_is_refused(store: PostgreSQLStore, hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    one.publish()
    manifest, head = two.made(rows=20)
    one.publish(rows=14)
    with two.leadership.sync_lock():
        blobs = two.upload(manifest)
        before = content(store)
        with pytest.raises(PublishConflict):
            two.generations.publish(manifest, head, blobs)
        with pytest.raises(PublishConflict):
            two.generations.confirm(head.model_copy(update={"generation": 1}))
        assert content(store) == before


# -- answers that are lost


def lose_answers(
    generations: Generations, monkeypatch: pytest.MonkeyPatch, before: int = 0, after: int = 0
) -> list[str]:
    """Lets a number of writes fail before they reach the database, then a number of answers after they ran."""
    write = generations._database.write
    sent: list[str] = []

    def losing(locked: Any, sql: str, **values: object) -> list[Any]:
        sent.append(sql)
        if len(sent) <= before:
            raise CacheUnreachable.at("db.example:5432", "connection refused")
        rows = write(locked, sql, **values)
        if len(sent) <= before + after:
            raise CacheUnreachable.at("db.example:5432", "connection reset by peer")
        return rows

    monkeypatch.setattr(generations._database, "write", losing)
    return sent


@pytest.mark.parametrize(("before", "after", "sent"), [(0, 1, 1), (1, 0, 2), (2, 1, 3)])
def test_a_publish_whose_answer_is_lost_is_looked_up_or_sent_again(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, before: int, after: int, sent: int
) -> None:
    one, two = hosts
    with one.leadership.sync_lock():
        manifest, head = one.made()
        blobs = one.upload(manifest)
        statements = lose_answers(one.generations, monkeypatch, before, after)
        one.generations.publish(manifest, head, blobs)
        assert len(statements) == sent
    assert two.generations.digests().keys() == {1}
    assert two.generations.read(1).manifest == manifest


def test_a_publish_that_runs_after_its_connection_was_cut_counts(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs a statement that it has, also where its client is gone: perhaps after the client looked it up."""
    one, two = hosts
    with one.leadership.sync_lock():
        manifest, head = one.made()
        blobs = one.upload(manifest)
        statements = lose_answers(one.generations, monkeypatch, before=1)
        write = one.generations._database.write

        def late(locked: Any, sql: str, **values: object) -> list[Any]:
            if statements:  # the first one runs now, before the second one
                two.generations._database.write(locked, sql, **values)
            return write(locked, sql, **values)

        monkeypatch.setattr(one.generations._database, "write", late)
        one.generations.publish(manifest, head, blobs)
        assert len(statements) == 2
    assert two.generations.read(1).manifest == manifest


def test_a_confirmation_whose_answer_is_lost_is_looked_up(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = hosts
    one.publish()
    pointer = one.generations.pointer()
    assert pointer is not None
    later = pointer.head.model_copy(update={"as_of": pointer.head.as_of + timedelta(hours=1)})
    with one.leadership.sync_lock():
        statements = lose_answers(one.generations, monkeypatch, after=1)
        one.generations.confirm(later)
    assert len(statements) == 2  # and the end of the term
    assert two.generations.pointer() == pointer._replace(head=later)


def test_an_outcome_that_cannot_be_looked_up_is_told_as_unknown(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = hosts
    monkeypatch.setattr(shared_generations, "TERM_SECONDS", 0.3)
    with one.leadership.sync_lock():
        manifest, head = one.made()
        blobs = one.upload(manifest)
        with monkeypatch.context() as down:
            lose_answers(one.generations, down, after=1)
            down.setattr(one.generations, "pointer", lambda: exec("raise CacheUnreachable()", globals()))
            with pytest.raises(PublishUnknown, match="Whether it did is not known"):
                one.generations.publish(manifest, head, blobs)
    assert two.generations.digests().keys() == {1}


# -- what is removed


def age(store: PostgreSQLStore) -> None:
    """Lets all generations but the newest have been replaced long ago."""
    store.run("UPDATE orders_cache.manifests SET replaced = replaced - interval '16 min'")


def test_what_was_replaced_stays_for_minutes_and_the_newest_five_longer(
    store: PostgreSQLStore, hosts: tuple[Host, Host], tmp_path: Path
) -> None:
    one, two = hosts
    for rows in range(11, 18):
        one.publish(rows)
    with one.leadership.sync_lock():
        one.generations.collect()
    assert two.generations.digests().keys() == {1, 2, 3, 4, 5, 6, 7}
    age(store)
    with one.leadership.sync_lock():
        one.generations.collect()
    assert two.generations.digests().keys() == {3, 4, 5, 6, 7}
    named = {key for number in (3, 4, 5, 6, 7) for key in two.generations.read(number).blobs.values()}
    assert two.blobs.list() == named
    for number in (3, 7):
        stored = two.generations.read(number)
        fetched(two, stored.manifest, stored.blobs, tmp_path / str(number))


def test_files_of_a_draft_and_of_the_running_sync_stay(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    with one.leadership.sync_lock():
        left_over, _ = one.made(rows=9)
        forgotten = one.upload(left_over)
    with one.leadership.sync_lock():
        first, _ = one.made(rows=10)
        drafted = one.upload(first)
        draft = Draft(source=first.source, columns=first.columns, segments=first.segments)
        one.generations.save_draft(draft, drafted)
    assert two.generations.draft() == (draft, drafted)
    with two.leadership.sync_lock():
        second, head = two.made(rows=11)
        running = two.upload(second)
        two.generations.collect()
        assert one.blobs.list() == {*drafted.values(), *running.values()}
        assert not set(forgotten.values()) & one.blobs.list()
        two.generations.publish(second, head, running)
    assert one.generations.draft() is None
    with two.leadership.sync_lock():
        two.generations.collect()
    assert one.blobs.list() == set(running.values())


def test_change_lists_are_removed_from_the_oldest_on(store: PostgreSQLStore, hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    for _ in range(3):
        with one.leadership.sync_lock():
            manifest, head = one.made()
            one.generations.publish(manifest, head, one.upload(manifest), b"changes")
    with one.leadership.sync_lock():
        store.run("UPDATE orders_cache.changes SET made = made - interval '31 days' WHERE generation = 2")
        one.generations.collect(timedelta(days=30))
    assert [two.generations.changes(number) for number in (1, 2, 3)] == [None, None, b"changes"]


# -- what is damaged


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM orders_cache.blobs WHERE name = 'columns.bin'",
        "DELETE FROM orders_cache.blobs WHERE name = 'rows.parquet'",
        "UPDATE orders_cache.blobs SET data = set_byte(data, 20, (get_byte(data, 20) + 1) % 256)",
        "UPDATE orders_cache.blobs SET data = substr(data, 1, length(data) - 1)",
    ],
)
def test_files_that_are_missing_or_damaged_are_not_taken(
    store: PostgreSQLStore, hosts: tuple[Host, Host], tmp_path: Path, damage: str
) -> None:
    one, two = hosts
    manifest = one.publish()
    store.run(damage)
    into = tmp_path / "fetched"
    into.mkdir()
    segment = manifest.segments[0]
    with pytest.raises(RangeDamaged, match="in the shared cache"):
        two.blobs.get(two.generations.read(1).blobs[segment.id], segment, into)
    assert not into.exists()


def test_an_upload_that_is_repeated_stores_nothing_twice(store: PostgreSQLStore, hosts: tuple[Host, Host]) -> None:
    one, _ = hosts
    with one.leadership.sync_lock():
        manifest, _ = one.made()
        first = one.upload(manifest)
        before = content(store)["blobs"]
        assert one.upload(manifest) == first
        assert content(store)["blobs"] == before


def test_column_arrays_are_packed(store: PostgreSQLStore, hosts: tuple[Host, Host]) -> None:
    one, _ = hosts
    manifest = one.publish(rows=3_000)
    ((packed,),) = store.run("SELECT sum(length(data)) FROM orders_cache.blobs WHERE name = %s", COLUMNS)
    assert packed < sum(segment.files[COLUMNS].size for segment in manifest.segments) / 2
    assert wait_for(lambda: store.run("SELECT count(*) FROM orders_cache.blobs WHERE name = 'rows.json'") == [(0,)])
