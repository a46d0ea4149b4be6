"""Caches that another version wrote: a newer one is never written, an incomplete one is repaired."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from cache_factory import as_json, confirm, publish
from sidecar_process import KEY, sidecar

from cache.errors import CacheFormat, SnapshotDamaged
from cache.storage.file_format import FORMAT
from cache.storage.records import Run
from cache.storage.store import Cache
from scraper.doctor import Finding, examine
from scraper.sync.publish import recorded

NEWER = FORMAT + 1


def renumber(path: Path, number: int | None) -> None:
    """Writes another format number into a JSON file of the cache; None takes it out."""
    content = json.loads(path.read_bytes())
    del content["format"]
    path.write_text(json.dumps(content if number is None else {"format": number, **content}))


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, locks apart."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def manifest(root: Path, generation: int) -> Path:
    return root / "generations" / f"{generation:010d}.json"


def test_each_json_file_of_a_cache_states_its_format(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    assert json.loads((here / "cache/current.json").read_bytes())["format"] == FORMAT
    assert json.loads(manifest(here / "cache", 1).read_bytes())["format"] == FORMAT


def test_a_file_without_a_number_is_format_1_and_stays_readable(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    renumber(here / "cache/current.json", None)
    renumber(manifest(here / "cache", 1), None)
    assert cache.snapshots.open().rows == 3


def test_of_a_newer_cache_the_newest_readable_generation_is_served(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    publish(cache, 4)
    renumber(here / "cache/current.json", NEWER)
    renumber(manifest(here / "cache", 2), NEWER)
    snapshot = cache.snapshots.open()
    assert (snapshot.generation, snapshot.rows) == (1, 3)
    assert not snapshot.head.verified
    assert snapshot.head.reason == f"The cache has format {NEWER}; this version reads formats up to {FORMAT}."
    error = cache.status().cache_error
    assert error is not None
    assert error.code == "cache_format"


def test_a_newer_cache_without_a_readable_generation_says_so(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    renumber(here / "cache/current.json", NEWER)
    renumber(manifest(here / "cache", 1), NEWER)
    with pytest.raises(CacheFormat, match=f"format {NEWER}"):
        cache.snapshots.open()


def test_a_newer_cache_is_never_written(cache: Cache, here: Path) -> None:
    head = publish(cache, 3)
    renumber(here / "cache/current.json", NEWER)
    before = files(here / "cache")
    for write in (
        lambda: publish(cache, 4),
        lambda: confirm(cache),
        lambda: cache.snapshots.confirm(head),
        lambda: cache.snapshots.workspace().__enter__(),
    ):
        with pytest.raises(CacheFormat):
            write()
    assert {path: content for path, content in files(here / "cache").items() if "journal" not in path} == {
        path: content for path, content in before.items() if "journal" not in path
    }


@pytest.mark.slow
def test_the_api_serves_a_readable_copy_and_says_cache_format(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 3)
        assert api.client.get("/status").json()["cache_error"] is None
        renumber(tmp_path / "cache/current.json", NEWER)
        answer = api.client.get("/fetch-data")
        assert answer.status_code == 200
        assert answer.json()["data"] == [as_json(i) for i in range(3)]
        assert api.client.get("/status").json()["cache_error"]["code"] == "cache_format"


@pytest.mark.slow
def test_open_rows_are_served_on_when_a_newer_version_takes_the_cache(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 3)
        assert api.client.get("/fetch-data").json()["count"] == 3
        renumber(manifest(tmp_path / "cache", 1), NEWER)
        renumber(tmp_path / "cache/current.json", NEWER)
        assert api.client.get("/fetch-data").json()["count"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/fetch-data", "/fetch-data?stream=true", "/changes?since=1", "/ready"])
def test_the_api_without_a_readable_copy_answers_503_cache_format(tmp_path: Path, path: str) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 3)
        renumber(manifest(tmp_path / "cache", 1), NEWER)
        renumber(tmp_path / "cache/current.json", NEWER)
        answer: httpx2.Response = api.client.get(path, headers={"X-API-Key": KEY})
        assert (answer.status_code, answer.json()["status"]) == (503, "error")
        assert answer.json()["code"] == "cache_format"
        assert int(answer.headers["Retry-After"]) > 0


def without_column_arrays(root: Path, generation: int) -> None:
    """Makes a generation look as if a version had written it that knew no column arrays."""
    path = manifest(root, generation)
    content = json.loads(path.read_bytes())
    for segment in content["segments"]:
        del segment["files"]["columns.bin"]
        (root / "segments" / segment["id"] / "columns.bin").unlink()
    path.write_text(json.dumps(content))


def test_a_generation_without_column_arrays_is_not_opened(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    without_column_arrays(here / "cache", 1)
    with pytest.raises(SnapshotDamaged, match=r"has no columns\.bin"):
        cache.snapshots.open()
    publish(cache, 4)
    without_column_arrays(here / "cache", 2)
    with pytest.raises(SnapshotDamaged, match=r"has no columns\.bin"):
        cache.snapshots.open()


@pytest.mark.slow
def test_the_api_answers_503_while_a_generation_lacks_column_arrays(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 3)
        without_column_arrays(tmp_path / "cache", 1)
        answer = api.client.get("/fetch-data")
        assert (answer.status_code, answer.json()["code"]) == (503, "range_damaged")
        publish(api.cache, 3)
        assert api.client.get("/fetch-data").json()["count"] == 3


def finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> Finding:
    """What `doctor` says of the cache."""
    monkeypatch.setenv("CACHE_URL", f"file:{here / 'cache'}")
    return next(finding for finding in examine() if finding.id == "cache")


def test_doctor_says_what_a_generation_lacks(cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(cache, 3)
    assert finding(here, monkeypatch).fine
    without_column_arrays(here / "cache", 1)
    assert not finding(here, monkeypatch).fine
    assert "has no columns.bin" in finding(here, monkeypatch).what
    assert "next sync" in finding(here, monkeypatch).advice


def test_doctor_finds_a_flipped_byte(cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(cache, 2)
    path = cache.snapshots.open().paths("rows.json")[0]
    path.write_bytes(path.read_bytes().replace(b"1", b"9"))
    assert not finding(here, monkeypatch).fine
    assert "has a damaged rows.json" in finding(here, monkeypatch).what


def test_doctor_says_that_a_newer_version_wrote_the_cache(
    cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(cache, 3)
    renumber(here / "cache/current.json", NEWER)
    assert not finding(here, monkeypatch).fine
    assert f"format {NEWER}" in finding(here, monkeypatch).what


def test_a_sync_ends_with_the_error_of_a_newer_cache(cache: Cache, here: Path) -> None:
    publish(cache, 3)
    renumber(here / "cache/current.json", NEWER)

    def work(*_: object) -> None:
        raise AssertionError("the sync began")

    run: Run = recorded(cache, "command", work)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "cache_format")
