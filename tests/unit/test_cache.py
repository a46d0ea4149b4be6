"""The store on disk: a generation is whole or not there, and readers always get the last good one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cache_factory import as_json, confirm, order, publish
from paths import ROOT

from cache.errors import (
    CacheUnwritable,
    NoSnapshot,
    PublishConflict,
    SnapshotDamaged,
    SyncRunning,
    UnknownGeneration,
)
from cache.storage import local_store
from cache.storage.local_store import LocalStore
from cache.storage.records import Run, now
from cache.storage.snapshot import JSON, PARQUET, Snapshot
from cache.storage.store import open_store
from cache.table_setup import Setup


def rows(snapshot: Snapshot, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
    return json.loads(b"[" + b"".join(snapshot.json_slices(start, stop)) + b"]")  # type: ignore[no-any-return]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_works(store: LocalStore) -> None:
    head = publish(store, 5)
    snapshot = store.open()
    assert (snapshot.generation, snapshot.rows, snapshot.head) == (1, 5, head)
    assert rows(snapshot) == [as_json(i) for i in range(5)]
    assert snapshot.verify() == []


def test_nothing_published_yet_is_said_so(store: LocalStore) -> None:
    assert store.head() is None
    with pytest.raises(NoSnapshot):
        store.open()


def test_any_slice_of_rows_is_json(store: LocalStore) -> None:
    publish(store, 7, segments=3)
    snapshot = store.open()
    expected = [as_json(i) for i in range(7)]
    for start in range(8):
        for stop in range(start, 10):
            assert rows(snapshot, start, stop) == expected[start:stop]
    assert len(b"".join(snapshot.json_slices())) == snapshot.json_size


def test_a_table_without_rows_is_a_snapshot(store: LocalStore) -> None:
    publish(store, 0)
    snapshot = store.open()
    assert (snapshot.rows, rows(snapshot), snapshot.json_size) == (0, [], 0)


def test_every_process_sees_the_same(store: LocalStore, here: Path) -> None:
    other = open_store(f"file:{here / 'cache'}")
    publish(store, 3)
    assert other.open().rows == 3
    other.close()


# -- publishing


def test_a_publish_that_does_not_grow_from_the_newest_is_refused(store: LocalStore) -> None:
    publish(store, 3)
    first = store.open().manifest
    publish(store, 4)
    stale = first.model_copy(update={"generation": 2, "parent": 1})
    assert store.head() is not None
    with pytest.raises(PublishConflict):
        store.publish(stale, store.head().model_copy(update={"generation": 2}))  # type: ignore[union-attr]
    with pytest.raises(PublishConflict):
        store.publish(first.model_copy(update={"parent": None}), store.head())  # type: ignore[arg-type]
    assert rows(store.open()) == [as_json(i) for i in range(4)]


def test_a_confirmation_moves_only_the_time_of_verification(store: LocalStore, here: Path) -> None:
    before = publish(store, 3, verified_at=now() - timedelta(hours=1))
    held, version = files(here / "cache"), store.version()
    after = confirm(store)
    assert after.generation == before.generation
    assert after.verified_at > before.verified_at  # type: ignore[operator]
    assert store.head() == after
    assert files(here / "cache") == held
    assert store.version() > version


def test_a_confirmation_of_an_older_generation_is_refused(store: LocalStore) -> None:
    old = publish(store, 3)
    new = publish(store, 4)
    with pytest.raises(PublishConflict):
        store.confirm(old)
    assert store.head() == new


def test_segments_that_did_not_change_are_not_written_again(store: LocalStore, here: Path) -> None:
    publish(store, 4, segments=2)
    first = store.open().manifest.segments
    written = {path: path.stat().st_mtime_ns for path in (here / "cache/segments" / first[0].id).iterdir()}
    publish(store, [order(0), order(1), order(2), order(9)], segments=2)
    second = store.open().manifest.segments
    assert first[0].id == second[0].id
    assert first[1].id != second[1].id
    assert {path: path.stat().st_mtime_ns for path in written} == written


# -- what is kept


def test_the_five_newest_generations_are_kept(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "KEPT_AFTER", timedelta(0))
    for i in range(8):
        publish(store, i + 1)
    for generation in range(1, 9):
        if generation <= 3:
            with pytest.raises(UnknownGeneration):
                store.open(generation)
        else:
            assert rows(store.open(generation)) == [as_json(i) for i in range(generation)]


def test_a_generation_superseded_less_than_15_minutes_ago_is_kept(store: LocalStore) -> None:
    for i in range(8):
        publish(store, i + 1)
    assert [store.open(generation).rows for generation in range(1, 9)] == list(range(1, 9))


def test_what_no_generation_holds_is_removed(store: LocalStore, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "KEPT_AFTER", timedelta(0))
    for i in range(10):
        publish(store, [order(i)], segments=1)
    assert len(list((here / "cache/generations").iterdir())) == 5
    assert len(list((here / "cache/segments").iterdir())) == 5
    assert list((here / "cache/work").iterdir()) == []


def test_a_reader_in_the_middle_of_an_old_generation_finishes_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_store, "KEPT_AFTER", timedelta(0))
    publish(store, 6, segments=3)
    reading = store.open().json_slices()
    begun = bytes(next(reading))
    for i in range(8):
        publish(store, [order(20 + i)])
    assert json.loads(b"[" + begun + b"".join(reading) + b"]") == [as_json(i) for i in range(6)]


# -- damage


@pytest.mark.parametrize("name", [JSON, PARQUET])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_generation_is_not_opened_and_the_one_before_is(store: LocalStore, name: str, damage: str) -> None:
    publish(store, 2)
    publish(store, [order(i) for i in range(10, 15)])
    path = store.open().paths(name)[1]
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 1)
    snapshot = store.open()
    assert (snapshot.generation, snapshot.head.verified) == (1, False)
    assert snapshot.head.reason
    assert rows(snapshot) == [as_json(i) for i in range(2)]
    with pytest.raises(SnapshotDamaged):
        store.open(2)


def test_an_older_generation_keeps_the_verification_it_was_published_with(store: LocalStore) -> None:
    proven = publish(store, 2)
    doubted = publish(store, 3, verified=False, reason="Two ranges were moving.")
    publish(store, 4)
    assert store.open(1).head == proven
    assert store.open(2).head == doubted
    assert not doubted.verified


def test_with_nothing_intact_left_the_damage_is_named(store: LocalStore) -> None:
    publish(store, 2)
    store.open().paths(JSON)[0].unlink()
    with pytest.raises(SnapshotDamaged, match="python -m scraper sync"):
        store.open()


def test_a_byte_that_flipped_is_found_by_verify(store: LocalStore) -> None:
    publish(store, 4, segments=2)
    path = store.open().paths(JSON)[1]
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert store.open().verify() == [store.open().manifest.segments[1].id]


@pytest.mark.parametrize("content", [b"", b"{", b'{"generation": 2}', b"\xff\0"])
def test_a_damaged_manifest_stops_neither_readers_nor_the_next_publish(
    store: LocalStore, here: Path, content: bytes
) -> None:
    publish(store, 2)
    publish(store, 3)
    (here / "cache/generations/0000000002.json").write_bytes(content)
    assert store.open().rows == 2
    publish(store, 4)
    assert store.open().rows == 4
    publish(store, 5)
    assert store.open().rows == 5


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\0"])
def test_a_damaged_pointer_points_to_the_newest_generation(store: LocalStore, here: Path, content: bytes) -> None:
    publish(store, 2)
    publish(store, 3)
    (here / "cache/current.json").write_bytes(content)
    snapshot = store.open()
    assert (snapshot.rows, snapshot.head.verified) == (3, False)
    assert publish(store, 4).generation == 3
    assert store.open().head.verified


def test_a_folder_left_by_a_killed_writer_is_written_over(store: LocalStore, here: Path) -> None:
    publish(store, 3)
    ids = [segment.id for segment in store.open().manifest.segments]
    for id in ids:
        (here / "cache/segments" / id / JSON).write_bytes(b"half")
    (here / "cache/work/left").mkdir()
    publish(store, 3)
    assert [segment.id for segment in store.open().manifest.segments] == ids
    assert store.open().verify() == []
    assert list((here / "cache/work").iterdir()) == []


def test_a_journal_that_is_no_database_is_named_and_what_to_do(here: Path) -> None:
    (here / "cache").mkdir()
    (here / "cache/journal.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CacheUnwritable, match=r"journal\.sqlite") as caught:
        LocalStore(here / "cache")
    assert "remove journal.sqlite" in caught.value.advice


def test_snapshots_survive_the_loss_of_the_journal(store: LocalStore, here: Path) -> None:
    publish(store, 3)
    store.close()
    for path in (here / "cache").glob("journal.sqlite*"):
        path.unlink()
    again = LocalStore(here / "cache")
    assert again.open().rows == 3
    assert publish(again, 4).generation == 2
    again.close()


# -- disks that refuse


def test_a_folder_that_cannot_be_made_is_an_error_in_words(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(CacheUnwritable, match="cannot be written") as caught:
        open_store(f"file:{here / 'file' / 'cache'}")
    assert "CACHE_URL" in caught.value.advice


_FILLS_UP = """
import resource, sys
from pathlib import Path
from cache_factory import order, publish
from cache.errors import CacheUnwritable
from cache.storage.local_store import LocalStore
store = LocalStore(Path("cache"))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    publish(store, [order(i) for i in range(400)], segments=1)
except CacheUnwritable as error:
    print(error.message, error.advice)
"""


@pytest.mark.parametrize("most", [0, 3_000, 40_000, 150_000])
def test_a_disk_that_fills_up_at_any_point_leaves_the_last_good_generation(
    store: LocalStore, here: Path, most: int
) -> None:
    publish(store, 3)
    store.close()
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", _FILLS_UP, str(most)], env={**os.environ, "PYTHONPATH": paths}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Free disk space" in done.stdout
    again = LocalStore(here / "cache")
    assert rows(again.open()) == [as_json(i) for i in range(3)]
    assert publish(again, 400).generation == 2
    assert list((here / "cache/work").iterdir()) == []
    again.close()


# -- readers and writers together


def test_readers_never_see_a_mixture_while_generations_are_published(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_store, "KEPT_AFTER", timedelta(0))
    publish(store, [order(0)] * 6)
    ended = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not ended.is_set():
            names = {row["name"] for row in rows(store.open())}
            seen.append(names.pop() if len(names) == 1 else f"a mixture: {names}")

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(20):
        publish(store, [order(i)] * 6)
    ended.set()
    reader.join()
    assert len(set(seen)) > 1
    assert [name for name in seen if not name.startswith("#")] == []


def test_only_one_sync_holds_the_lock_also_within_a_process(store: LocalStore) -> None:
    with store.sync_lock(), pytest.raises(SyncRunning), store.sync_lock():
        pass
    with store.sync_lock():
        pass


def test_the_lock_is_free_once_its_process_is_killed(store: LocalStore, here: Path) -> None:
    code = (
        "import sys, os\nfrom pathlib import Path\nfrom cache.storage.local_store import LocalStore\n"
        "with LocalStore(Path('cache')).sync_lock():\n print('held', flush=True)\n sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SyncRunning), store.sync_lock():
            pass
        child.kill()
        child.wait()
        with store.sync_lock():
            store.begin(Run(trigger="test"))


def test_what_people_have_said_of_the_table_is_kept_and_tells_readers(store: LocalStore) -> None:
    assert store.setup() == Setup()
    version = store.version()
    said = Setup(columns={"total": "amount"}, timezone="Asia/Tokyo", source_timezone="Europe/Berlin", currency="EUR")
    store.keep_setup(said)
    assert store.version() > version
    assert LocalStore(Path("cache")).setup() == said
