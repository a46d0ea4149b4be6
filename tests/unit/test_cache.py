"""The cache on disk: a generation is whole or not there, and readers always get the last good one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cache_factory import as_json, cache_in, confirm, files, flip, order, publish
from paths import ROOT
from stores import PostgreSQLStore
from waiting import wait_for

from cache.errors import (
    CacheFormat,
    CacheUnwritable,
    ChangesGone,
    NoSnapshot,
    PublishConflict,
    SnapshotDamaged,
    SyncRunning,
    UnknownGeneration,
)
from cache.storage.digest_checks import DigestChecks
from cache.storage.documents import SETUP
from cache.storage.local import snapshots
from cache.storage.records import Publication, Run, now
from cache.storage.snapshot import JSON, PARQUET, SEGMENT_FILES, Segment, Snapshot
from cache.storage.store import Cache
from cache.table_setup import Setup


@pytest.fixture(params=["files", pytest.param("postgresql", marks=pytest.mark.slow)])
def cache(request: pytest.FixtureRequest, here: Path) -> Iterator[Cache]:
    """An empty cache in `here`, on each store. Of the shared one, this process holds the sync term."""
    if request.param == "files":
        with closing(cache_in(here)) as opened:
            yield opened
    else:
        store = PostgreSQLStore(request.getfixturevalue("shared_url"), here)
        with closing(store.open()) as opened, opened.sync_lock():
            yield opened


ON_FILES = pytest.mark.parametrize("cache", ["files"], indirect=True)
"""For what the other store does in its own way: see test_shared_generations.py and test_shared_terms.py."""


def rows(snapshot: Snapshot, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
    return json.loads(b"[" + b"".join(snapshot.json_slices(start, stop)) + b"]")  # type: ignore[no-any-return]


def test_it_works(cache: Cache) -> None:
    head = publish(cache, 5)
    snapshot = cache.snapshots.open()
    assert (snapshot.generation, snapshot.rows, snapshot.head) == (1, 5, head)
    assert rows(snapshot) == [as_json(i) for i in range(5)]
    assert snapshot.verify() == []


def test_nothing_published_yet_is_said_so(cache: Cache) -> None:
    assert cache.snapshots.head() is None
    with pytest.raises(NoSnapshot):
        cache.snapshots.open()


def test_any_slice_of_rows_is_json(cache: Cache) -> None:
    publish(cache, 7, segments=3)
    snapshot = cache.snapshots.open()
    expected = [as_json(i) for i in range(7)]
    for start in range(8):
        for stop in range(start, 10):
            assert rows(snapshot, start, stop) == expected[start:stop]
    assert len(b"".join(snapshot.json_slices())) == snapshot.json_size


def test_a_table_without_rows_is_a_snapshot(cache: Cache) -> None:
    publish(cache, 0)
    snapshot = cache.snapshots.open()
    assert (snapshot.rows, rows(snapshot), snapshot.json_size) == (0, [], 0)


def test_every_process_sees_the_same(cache: Cache, here: Path) -> None:
    other = cache_in(here)
    publish(cache, 3)
    assert other.snapshots.open().rows == 3
    other.close()


# -- publishing


def test_a_publish_that_does_not_grow_from_the_newest_is_refused(cache: Cache) -> None:
    publish(cache, 3)
    first = cache.snapshots.open().manifest
    publish(cache, 4)
    stale = first.model_copy(update={"generation": 2, "parent": 1})
    assert cache.snapshots.head() is not None
    with pytest.raises(PublishConflict):
        cache.snapshots.publish(Publication(stale, cache.snapshots.head().model_copy(update={"generation": 2})))  # type: ignore[union-attr]
    with pytest.raises(PublishConflict):
        cache.snapshots.publish(Publication(first.model_copy(update={"parent": None}), cache.snapshots.head()))  # type: ignore[arg-type]
    assert rows(cache.snapshots.open()) == [as_json(i) for i in range(4)]


def test_a_confirmation_moves_only_the_time_of_verification(cache: Cache, here: Path) -> None:
    before = publish(cache, 3, verified_at=now() - timedelta(hours=1))
    held, version = files(here / "cache"), cache.runs.version()
    after = confirm(cache)
    assert after.generation == before.generation
    assert after.verified_at > before.verified_at  # type: ignore[operator]
    assert cache.snapshots.head() == after
    assert files(here / "cache") == held
    assert cache.runs.version() > version


def test_a_confirmation_of_an_older_generation_is_refused(cache: Cache) -> None:
    old = publish(cache, 3)
    new = publish(cache, 4)
    with pytest.raises(PublishConflict):
        cache.snapshots.confirm(old)
    assert cache.snapshots.head() == new


def test_segments_that_did_not_change_are_not_written_again(cache: Cache, here: Path) -> None:
    publish(cache, 4, segments=2)
    first = cache.snapshots.open().manifest.segments
    written = {path: path.stat().st_mtime_ns for path in (here / "cache/segments" / first[0].id).iterdir()}
    publish(cache, [order(0), order(1), order(2), order(9)], segments=2)
    second = cache.snapshots.open().manifest.segments
    assert first[0].id == second[0].id
    assert first[1].id != second[1].id
    assert {path: path.stat().st_mtime_ns for path in written} == written


# -- what is kept


@ON_FILES
def test_the_five_newest_generations_are_kept(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    for i in range(8):
        publish(cache, i + 1)
    for generation in range(1, 9):
        if generation <= 3:
            with pytest.raises(UnknownGeneration):
                cache.snapshots.open(generation)
        else:
            assert rows(cache.snapshots.open(generation)) == [as_json(i) for i in range(generation)]


def test_a_generation_superseded_less_than_15_minutes_ago_is_kept(cache: Cache) -> None:
    for i in range(8):
        publish(cache, i + 1)
    assert [cache.snapshots.open(generation).rows for generation in range(1, 9)] == list(range(1, 9))


def test_what_no_generation_holds_is_removed(cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    for i in range(10):
        publish(cache, [order(i)], segments=1)
    assert len(list((here / "cache/generations").iterdir())) == 5
    assert len(list((here / "cache/segments").iterdir())) == 5
    assert list((here / "cache/work").iterdir()) == []


def test_a_reader_in_the_middle_of_an_old_generation_finishes_it(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    publish(cache, 6, segments=3)
    reading = cache.snapshots.open().json_slices()
    begun = bytes(next(reading))
    for i in range(8):
        publish(cache, [order(20 + i)])
    assert json.loads(b"[" + begun + b"".join(reading) + b"]") == [as_json(i) for i in range(6)]


# -- damage


@pytest.mark.parametrize("name", [JSON, PARQUET])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_generation_is_not_opened_and_the_one_before_is(cache: Cache, name: str, damage: str) -> None:
    publish(cache, 2)
    publish(cache, [order(i) for i in range(10, 15)])
    path = cache.snapshots.open().paths(name)[1]
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 1)
    snapshot = cache.snapshots.open()
    assert (snapshot.generation, snapshot.head.verified) == (1, False)
    assert snapshot.head.reason
    assert rows(snapshot) == [as_json(i) for i in range(2)]
    with pytest.raises(SnapshotDamaged):
        cache.snapshots.open(2)


def test_an_older_generation_keeps_the_verification_it_was_published_with(cache: Cache) -> None:
    proven = publish(cache, 2)
    doubted = publish(cache, 3, verified=False, reason="Two ranges were moving.")
    publish(cache, 4)
    assert cache.snapshots.open(1).head == proven
    assert cache.snapshots.open(2).head == doubted
    assert not doubted.verified


def test_with_nothing_intact_left_the_damage_is_named(cache: Cache) -> None:
    publish(cache, 2)
    cache.snapshots.open().paths(JSON)[0].unlink()
    with pytest.raises(SnapshotDamaged, match="python -m scraper sync"):
        cache.snapshots.open()


def test_a_byte_that_flipped_is_found_by_verify(cache: Cache) -> None:
    publish(cache, 4, segments=2)
    flip(cache.snapshots.open().paths(JSON)[1])
    assert cache.snapshots.open().verify() == [cache.snapshots.open().manifest.segments[1].id]


@pytest.mark.parametrize("name", SEGMENT_FILES)
def test_a_flipped_byte_is_served_no_more_once_found_and_is_repaired(cache: Cache, name: str) -> None:
    publish(cache, 2)
    publish(cache, 4)
    snapshot = cache.snapshots.open()
    flip(snapshot.paths(name)[1])
    intact, damaged = snapshot.manifest.segments
    pointer = cache.snapshots.pointer()
    assert cache.snapshots.verify(intact) is None
    assert cache.snapshots.verify(damaged) == f"has a damaged {name}"
    assert cache.snapshots.pointer() != pointer  # readers open it again
    older = cache.snapshots.open()
    assert (older.generation, older.head.verified) == (1, False)
    assert list(cache.snapshots.inspect(2).faults) == [damaged.id]
    assert not cache.snapshots.inspect(2).holds(damaged)
    publish(cache, 4)
    assert cache.snapshots.open().generation == 3
    assert cache.snapshots.open().verify() == []


def test_a_check_that_begins_during_another_one_follows_it(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, read, verify = threading.Event(), list[str](), cache.snapshots.verify

    def slow(segment: Segment) -> str | None:
        go_on.wait(10)
        read.append(segment.id)
        return verify(segment)

    monkeypatch.setattr(cache.snapshots, "verify", slow)
    checks = DigestChecks(cache.snapshots)
    for i in range(3):
        publish(cache, [order(i)], segments=1)
        checks.begin(cache.snapshots.open())
    first, _, last = (cache.snapshots.open(n).manifest.segments[0].id for n in (1, 2, 3))
    go_on.set()
    wait_for(lambda: read == [first, last])


def test_of_two_generations_with_the_damaged_segment_none_is_opened(cache: Cache) -> None:
    publish(cache, 4)
    publish(cache, [order(0), order(1), order(2), order(9)])
    snapshot = cache.snapshots.open()
    flip(snapshot.paths(JSON)[0])  # both hold it
    cache.snapshots.verify(snapshot.manifest.segments[0])
    with pytest.raises(SnapshotDamaged, match=r"rows\.json"):
        cache.snapshots.open()


@pytest.mark.parametrize("content", [b"", b"{", b'{"generation": 2}', b"\xff\0"])
def test_a_damaged_manifest_stops_neither_readers_nor_the_next_publish(
    cache: Cache, here: Path, content: bytes
) -> None:
    publish(cache, 2)
    publish(cache, 3)
    (here / "cache/generations/0000000002.json").write_bytes(content)
    assert cache.snapshots.open().rows == 2
    publish(cache, 4)
    assert cache.snapshots.open().rows == 4
    publish(cache, 5)
    assert cache.snapshots.open().rows == 5


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\0"])
def test_a_damaged_pointer_points_to_the_newest_generation(cache: Cache, here: Path, content: bytes) -> None:
    publish(cache, 2)
    publish(cache, 3)
    (here / "cache/current.json").write_bytes(content)
    snapshot = cache.snapshots.open()
    assert (snapshot.rows, snapshot.head.verified) == (3, False)
    assert publish(cache, 4).generation == 3
    assert cache.snapshots.open().head.verified


def without_pointer(cache: Cache, here: Path, generations: int) -> None:
    """Publishes generations that are older than 15 minutes, and removes the pointer, as a partial backup does."""
    for i in range(generations):
        publish(cache, [order(i)], segments=1)
    for path in (here / "cache/generations").glob("*.json"):
        body = json.loads(path.read_bytes())
        path.write_text(json.dumps({**body, "created_at": "2026-01-01T00:00:00Z"}))
    (here / "cache/current.json").unlink()


def test_without_a_pointer_the_newest_generation_is_served_as_not_verified(cache: Cache, here: Path) -> None:
    without_pointer(cache, here, 7)
    snapshot = cache.snapshots.open()
    assert (rows(snapshot), snapshot.head.verified) == ([as_json(6)], False)
    assert "pointer" in (snapshot.head.reason or "")


def test_a_publish_without_a_pointer_goes_on_from_the_highest_number(cache: Cache, here: Path) -> None:
    without_pointer(cache, here, 7)
    assert publish(cache, [order(9)]).generation == 8
    assert rows(cache.snapshots.open()) == [as_json(9)]
    assert cache.snapshots.open().verify() == []


def test_a_confirmation_restores_a_missing_pointer(cache: Cache, here: Path) -> None:
    without_pointer(cache, here, 2)
    assert confirm(cache).generation == 2
    assert cache.snapshots.open().head.verified


@ON_FILES
def test_an_older_pointer_loses_no_rows_and_repeats_no_number(cache: Cache, here: Path) -> None:
    for i in range(2):
        publish(cache, [order(i)], segments=1)
    old = (here / "cache/current.json").read_bytes()
    for i in range(2, 7):
        publish(cache, [order(i)], segments=1)
    (here / "cache/current.json").write_bytes(old)
    assert rows(cache.snapshots.open()) == [as_json(1)]
    assert publish(cache, [order(9)], segments=1).generation == 8
    assert rows(cache.snapshots.open()) == [as_json(9)]
    with pytest.raises(ChangesGone):  # generation 7 is not the one before
        cache.snapshots.changes(7, 8)


@ON_FILES
def test_numbers_go_on_where_only_change_lists_are_left(cache: Cache, here: Path) -> None:
    for i in range(3):
        publish(cache, i + 1)
    (here / "cache/current.json").unlink()
    for path in (here / "cache/generations").iterdir():
        path.unlink()
    assert publish(cache, 5).generation == 4
    assert cache.snapshots.open().rows == 5


@ON_FILES
def test_what_is_published_is_kept_although_a_newer_manifest_is_left(
    cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    publish(cache, 2)
    pointer = (here / "cache/current.json").read_bytes()
    publish(cache, 3)
    (here / "cache/current.json").write_bytes(pointer)  # a publish that was killed before it moved the pointer
    assert publish(cache, [order(7)]).generation == 2
    assert rows(cache.snapshots.open()) == [as_json(7)]


def test_what_is_published_is_kept_whatever_its_number(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    for i in range(7):
        publish(cache, [order(i)], segments=1)
    monkeypatch.setattr(cache.snapshots, "next_number", lambda: 1)
    assert publish(cache, [order(9)], segments=1).generation == 1
    assert rows(cache.snapshots.open()) == [as_json(9)]


@pytest.mark.parametrize("name", ["notes.json", "7.json", "0000000009.json.bak", "00000000x9.json"])
def test_a_stray_file_among_the_generations_is_left_alone(cache: Cache, here: Path, name: str) -> None:
    publish(cache, 2)
    for folder in ("generations", "changes", "segments", "work"):
        (here / "cache" / folder / name).write_text("{}")
    (here / "cache/changes/0000000000.rows").mkdir()
    (here / "cache/generations/0000000099.json").mkdir()
    (here / "cache/current.json").write_bytes(b"{")
    assert cache.snapshots.open().rows == 2
    publish(cache, 3)
    assert cache.snapshots.open().rows == 3
    assert (here / "cache/generations" / name).exists()


def test_a_newer_cache_without_a_pointer_is_never_written(cache: Cache, here: Path) -> None:
    publish(cache, 2)
    path = here / "cache/generations/0000000001.json"
    path.write_bytes(path.read_bytes().replace(b'"format":2', b'"format":99'))
    (here / "cache/current.json").unlink()
    with pytest.raises(CacheFormat):
        publish(cache, 3)


def test_a_folder_left_by_a_killed_writer_is_written_over(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    ids = [segment.id for segment in cache.snapshots.open().manifest.segments]
    for id in ids:
        (here / "cache/segments" / id / JSON).write_bytes(b"half")
    (here / "cache/work/left").mkdir()
    publish(cache, 3)
    assert [segment.id for segment in cache.snapshots.open().manifest.segments] == ids
    assert cache.snapshots.open().verify() == []
    assert list((here / "cache/work").iterdir()) == []


def test_a_journal_that_is_no_database_is_named_and_what_to_do(here: Path) -> None:
    (here / "var/kept").mkdir(parents=True)
    (here / "var/kept/journal.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CacheUnwritable, match=r"journal\.sqlite") as caught:
        cache_in(here)
    assert "remove journal.sqlite" in caught.value.advice


def test_snapshots_survive_the_loss_of_the_journal(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    cache.close()
    for path in (here / "var/kept").glob("journal.sqlite*"):
        path.unlink()
    again = cache_in(here)
    assert again.snapshots.open().rows == 3
    assert publish(again, 4).generation == 2
    again.close()


# -- disks that refuse


def test_a_folder_that_cannot_be_made_is_an_error_in_words(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(CacheUnwritable, match="cannot be written") as caught:
        cache_in(here / "file")
    assert "CACHE_URL" in caught.value.advice


_FILLS_UP = """
import resource, sys
from cache_factory import cache_in, order, publish
from cache.errors import CacheUnwritable
cache = cache_in(".")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    publish(cache, [order(i) for i in range(400)], segments=1)
except CacheUnwritable as error:
    print(error.message, error.advice)
"""


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 3_000, 40_000, 150_000])
def test_a_disk_that_fills_up_at_any_point_leaves_the_last_good_generation(cache: Cache, here: Path, most: int) -> None:
    publish(cache, 3)
    cache.close()
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", _FILLS_UP, str(most)],
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout
    again = cache_in(here)
    assert rows(again.snapshots.open()) == [as_json(i) for i in range(3)]
    assert publish(again, 400).generation == 2
    assert list((here / "cache/work").iterdir()) == []
    again.close()


@pytest.mark.slow
# -- readers and writers together
def test_readers_never_see_a_mixture_while_generations_are_published(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    publish(cache, [order(0)] * 6)
    ended = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not ended.is_set():
            names = {row["name"] for row in rows(cache.snapshots.open())}
            seen.append(names.pop() if len(names) == 1 else f"a mixture: {names}")

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(20):
        publish(cache, [order(i)] * 6)
    ended.set()
    reader.join()
    assert len(set(seen)) > 1
    assert [name for name in seen if not name.startswith("#")] == []


@pytest.mark.slow
@ON_FILES
def test_only_one_sync_holds_the_lock_also_within_a_process(cache: Cache) -> None:
    with cache.sync_lock(), pytest.raises(SyncRunning), cache.sync_lock():
        pass
    with cache.sync_lock():
        pass


@ON_FILES
@pytest.mark.slow
def test_the_lock_is_free_once_its_process_is_killed(cache: Cache, here: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom cache.cache_place import CachePlace\n"
        "from cache.storage.backends import open_cache\n"
        "place = CachePlace.of_files(Path('cache'), Path('var/kept'))\n"
        "with open_cache(place).sync_lock():\n print('held', flush=True)\n sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SyncRunning), cache.sync_lock():
            pass
        child.kill()
        child.wait()
        with cache.sync_lock():
            cache.runs.begin(Run(trigger="test"))


@ON_FILES
def test_what_people_have_said_of_the_table_is_kept_and_tells_readers(cache: Cache) -> None:
    assert cache.documents.read(SETUP) == Setup()
    version = cache.runs.version()
    said = Setup(columns={"total": "amount"}, timezone="Asia/Tokyo", source_timezone="Europe/Berlin", currency="EUR")
    cache.documents.change(SETUP, lambda _: said)
    assert cache.runs.version() > version
    assert cache_in(Path()).documents.read(SETUP) == said
