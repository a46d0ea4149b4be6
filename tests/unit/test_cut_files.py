"""A file of the cache that is cut while the API has it open: an error of the requests that read it, and no crash."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
from cache_factory import cache_in, order, publish
from fronts import address_pair
from sidecar_process import KEY, Sidecar, sidecar

from cache.errors import ChangesGone, RangeDamaged
from cache.storage.change_log import ChangeList
from cache.storage.segment_file import MAX_COPIED
from cache.storage.snapshot import COLUMNS, GZIP, JSON

FIRST = itertools.count(0, 1_000)  # each generation has rows of its own, and so files of its own


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("cut")) as running:
        yield running


def publish_new_rows(api: Sidecar, rows: int) -> None:
    first = next(FIRST)
    publish(api.cache, [{**order(i), "note": random.randbytes(200).hex()} for i in range(first, first + rows)])


@contextmanager
def cut(*paths: Path) -> Iterator[None]:
    whole = {path: path.read_bytes() for path in paths}
    for path in paths:
        os.truncate(path, 7)
    try:
        yield
    finally:
        for path, content in whole.items():
            path.write_bytes(content)  # for the publish of the next test


def get(api: Sidecar, query: str, encoding: str = "identity") -> httpx2.Response:
    return api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": encoding})


@pytest.mark.parametrize(
    ("name", "query", "encoding"),
    [
        (JSON, "", "identity"),
        (JSON, "?limit=1", "identity"),
        (JSON, "?limit=150", "gzip"),
        (JSON, "?stream=true", "identity"),
        (JSON, "?sort=total_price&limit=5", "identity"),
        (JSON, "?sort=total_price&limit=100", "identity"),
        (JSON, "?currency=EUR", "gzip"),
        (GZIP, "", "gzip"),
        (COLUMNS, "?sort=total_price&limit=5", "identity"),
        (COLUMNS, "?total_price__gte=1", "identity"),
        (COLUMNS, "?facet=currency&limit=0", "identity"),
    ],
)
def test_a_cut_file_fails_the_requests_that_read_it(api: Sidecar, name: str, query: str, encoding: str) -> None:
    publish_new_rows(api, 200)
    assert get(api, "?limit=0").status_code == 200  # all files are open now
    with cut(*(api.folder / "cache/segments").glob(f"*/{name}")):  # no older generation replaces this one
        refused = get(api, query, encoding)
    assert (refused.status_code, refused.json()["code"]) == (503, "range_damaged")
    assert api.client.get("/health").status_code == 200


@pytest.mark.slow
def test_a_file_cut_while_it_is_sent_ends_that_response(api: Sidecar) -> None:
    first = next(FIRST)
    publish(api.cache, [{**order(i), "note": "x" * 100_000} for i in range(first, first + 300)], segments=1)
    (path,) = api.cache.snapshots.open().paths(JSON)
    size = path.stat().st_size
    with socket.create_connection(address_pair(api.url), timeout=30) as client:
        client.sendall(f"GET /fetch-data HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        received = len(client.recv(1000))
        with cut(path):
            while part := _receive(client):
                received += len(part)
    assert received < size
    assert api.client.get("/health").status_code == 200


def _receive(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except ConnectionResetError:
        return b""


def test_bytes_that_a_cut_file_still_has_are_served(api: Sidecar) -> None:
    publish_new_rows(api, 200)
    whole = get(api, "?limit=1").json()
    _, last = api.cache.snapshots.open().paths(JSON)
    with cut(last):
        assert get(api, "?limit=1").json()["data"] == whole["data"]


def test_after_a_cut_the_newest_intact_generation_is_served(api: Sidecar) -> None:
    publish_new_rows(api, 200)
    older = get(api, "?limit=0").json()["generation"]
    publish_new_rows(api, 200)
    assert get(api, "?limit=0").json()["generation"] == older + 1
    with cut(*api.cache.snapshots.open().paths(JSON)):
        first = get(api, "")  # finds the cut, unless the watcher of the cache did before
        assert first.status_code == 503 or first.json()["generation"] == older
        assert (get(api, "").status_code, get(api, "").json()["generation"]) == (200, older)


@pytest.mark.parametrize("rows", [1, 200])
def test_a_snapshot_that_is_open_says_which_file_was_cut(tmp_path: Path, rows: int) -> None:
    with closing(cache_in(tmp_path)) as cache:
        publish(cache, 200, segments=1)
        snapshot = cache.snapshots.open()
        assert sum(map(len, snapshot.json_slices(0, rows))) > (0 if rows == 1 else MAX_COPIED)
        snapshot.gather(np.arange(rows))
        with cut(snapshot.paths(JSON)[0]):
            for read in (snapshot.json_slices, snapshot.read_json):
                with pytest.raises(RangeDamaged, match=r"has a damaged rows\.json"):
                    list(read(0, rows))
            for gather in (snapshot.gather, snapshot.gather_to_send):
                with pytest.raises(RangeDamaged):
                    gather(np.arange(rows))


@pytest.mark.parametrize("left", [0.3, 0.6, 0.999])
def test_a_list_of_changes_that_is_cut_while_open_is_gone(tmp_path: Path, left: float) -> None:
    with closing(cache_in(tmp_path)) as cache:
        publish(cache, 100)
        publish(cache, 10)
        path = tmp_path / "cache/changes/0000000002.rows"
        changes = ChangeList(path)
        assert len(changes.window(0, (1 << 64) - 1)[0]) == 90
        os.truncate(path, int(path.stat().st_size * left))
        with pytest.raises(ChangesGone, match="was cut"):
            changes.window(0, (1 << 64) - 1)
