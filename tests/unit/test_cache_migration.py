"""A cache of format 1 becomes one of format 2 when it is opened, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import older_caches
import orjson
import pytest
from cache_factory import cache_in, publish
from sidecar_process import sidecar

from cache.access.api_keys import digest
from cache.cache_place import CachePlace
from cache.errors import CacheUnwritable, SettingsInvalid
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS, SETUP
from cache.storage.file_format import FORMAT
from cache.storage.store import Cache
from cache.table_setup import Setup


def check(folder: Path) -> None:
    """Opens the migrated `format-1` and looks at all that it held."""
    cache = cache_in(folder)
    snapshot = cache.snapshots.open()
    assert snapshot.verify() == []
    body = b"[" + b"".join(snapshot.json_slices()) + b"]"
    assert orjson.loads(body) == [older_caches.as_json(row) for row in older_caches.rows()]
    assert [record.about.generation for record in cache.snapshots.changes(1, 2)] == [2]
    assert [run.generation for run in cache.runs.recent()] == [2, 1]
    (key,) = cache.documents.read(API_KEYS).keys
    assert (key.name, key.digest) == ("shop", digest(older_caches.KEY))
    assert cache.documents.read(SETUP) == Setup(timezone=older_caches.SHOP_ZONE)
    cache.close()
    root = folder / "cache"
    for path in (root / "current.json", *(root / "generations").iterdir()):
        assert json.loads(path.read_bytes())["format"] == FORMAT
    names = {path.name for path in root.iterdir()}
    assert names <= {"current.json", "generations", "segments", "changes", "work", "publish.lock"}


def in_child(work: Callable[[], Any]) -> int:
    """Starts a fork that does the work; returns its id."""
    if child := os.fork():
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def ended(child: int) -> int:
    """How it ended: 0, 1, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, folder: Path) -> None:
    """Opens the cache, and kills this process before its n-th step towards the disk."""
    left = step

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            count()
            return function(*arguments, **more)

        return counted

    class Connection(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **_: Any) -> None:
            super().backup(target, pages=1, progress=count)

    for name in ("fsync", "rename", "replace", "unlink"):
        setattr(os, name, before(getattr(os, name)))
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Connection)  # type: ignore[assignment]
    cache_in(folder)


def test_a_format_1_cache_is_migrated_when_it_is_opened(tmp_path: Path) -> None:
    older_caches.restore("format-1", tmp_path)
    check(tmp_path)
    check(tmp_path)


@pytest.mark.slow
def test_the_api_serves_a_format_1_cache_and_knows_its_keys(tmp_path: Path) -> None:
    older_caches.restore("format-1", tmp_path)
    with sidecar(tmp_path) as api:
        answer = api.client.get("/fetch-data", headers={"X-API-Key": older_caches.KEY})
        assert answer.json()["data"] == [older_caches.as_json(row) for row in older_caches.rows()]
        assert api.client.get("/changes?since=1").json()["count"] == 3
        assert api.client.get("/fetch-data?name__gt=%231030&sort=-id").json()["total_count"] == 10


@pytest.mark.slow
def test_a_migration_killed_at_any_step_is_finished_by_the_next_start(tmp_path: Path) -> None:
    for step in range(1, 200):
        folder = tmp_path / str(step)
        older_caches.restore("format-1", folder)
        outcome = ended(in_child(lambda: killed_at(step, folder)))  # noqa: B023  the fork runs at once
        check(folder)
        if outcome == 0:
            break
        assert outcome == -signal.SIGKILL
    assert step > 40  # documents, each page of the journal, manifests and pointer were all in the way


def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    older_caches.restore("format-1", tmp_path)
    assert [ended(child) for child in [in_child(lambda: check(tmp_path)) for _ in range(6)]] == [0] * 6


def test_keys_and_history_are_kept_where_only_their_owner_reads_them(tmp_path: Path) -> None:
    older_caches.restore("format-1", tmp_path)
    cache_in(tmp_path).close()
    kept = tmp_path / "var/kept"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "clients.json").stat().st_mode) == 0o600
    assert {"clients.json", "setup.json", "journal.sqlite"} <= {path.name for path in kept.iterdir()}


def test_keys_survive_the_deletion_of_the_cache_folder(cache: Cache, here: Path) -> None:
    secret = cache.documents.read(API_KEYS).secret
    cache.close()
    for path in (here / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert cache_in(here).documents.read(API_KEYS).secret == secret


def test_keys_in_use_win_over_keys_that_an_earlier_version_made_again(tmp_path: Path) -> None:
    root = older_caches.restore("format-1", tmp_path)
    cache_in(tmp_path).close()
    (root / "clients.json").write_text('{"secret": "00", "keys": []}')
    (root / "journal.sqlite").write_bytes((older_caches.CACHES / "format-1/journal.sqlite").read_bytes())
    cache = cache_in(tmp_path)
    assert [key.name for key in cache.documents.read(API_KEYS).keys] == ["shop"]
    assert (root / "clients.json.old").exists()
    assert not (root / "clients.json").exists()
    assert not (root / "journal.sqlite").exists()


def test_a_journal_that_cannot_be_moved_is_named(tmp_path: Path) -> None:
    root = older_caches.restore("format-1", tmp_path)
    (root / "journal.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CacheUnwritable, match=r"cache/journal\.sqlite cannot be read"):
        cache_in(tmp_path)


def test_a_newer_cache_is_not_migrated(tmp_path: Path) -> None:
    root = older_caches.restore("format-1", tmp_path)
    (root / "current.json").write_text(json.dumps({"format": FORMAT + 1}))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    cache_in(tmp_path).close()
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_two_caches_do_not_share_keys_and_history(here: Path) -> None:
    first = open_cache(CachePlace.of_files(here / "a", here / "kept"))
    publish(first, 1)
    with pytest.raises(SettingsInvalid, match="belongs to the cache in") as caught:
        open_cache(CachePlace.of_files(here / "b", here / "kept"))
    assert "DATA_DIR" in caught.value.advice
    open_cache(CachePlace.of_files(here / "a", here / "kept"))


def test_a_cache_that_moved_keeps_its_keys(here: Path) -> None:
    first = open_cache(CachePlace.of_files(here / "a", here / "kept"))
    publish(first, 1)
    secret = first.documents.read(API_KEYS).secret
    first.close()
    (here / "a").rename(here / "b")
    assert open_cache(CachePlace.of_files(here / "b", here / "kept")).documents.read(API_KEYS).secret == secret


@pytest.mark.parametrize("name", older_caches.NAMES)
def test_what_older_versions_wrote_stays_small(name: str) -> None:
    assert sum(path.stat().st_size for path in (older_caches.CACHES / name).rglob("*") if path.is_file()) < 100_000
