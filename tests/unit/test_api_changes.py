"""`GET /changes`: what changed since a generation, from where to ask next, and what to do where that is gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import COLUMNS, as_json, confirm, order, publish
from sidecar_process import KEY, Sidecar, served_here, sidecar

from cache.access.api_keys import ApiKey, digest
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.snapshot import CHECKSUMS

pytestmark = pytest.mark.slow

CHANGED = {**order(1), "note": "changed"}
CHANGED_JSON = {**as_json(1), "note": "changed"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def api(running: Sidecar) -> Iterator[Sidecar]:
    """The API of a cache that holds three orders as generation 1."""
    publish(running.cache, 3)
    yield running
    for folder in ("generations", "segments", "changes"):
        for path in (running.folder / "cache" / folder).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (running.folder / "cache/current.json").unlink()


def get(api: Sidecar, since: object, **more: object) -> dict[str, Any]:
    answer = api.client.get("/changes", params={"since": str(since), **{k: str(v) for k, v in more.items()}})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(api: Sidecar, **query: object) -> tuple[int, str, str]:
    answer = api.client.get("/changes", params={name: str(value) for name, value in query.items()})
    body = answer.json()
    assert body["status"] == "error"
    return answer.status_code, body["code"], body["message"]


def test_it_works(api: Sidecar) -> None:
    publish(api.cache, [order(0), CHANGED, order(3)])

    answer = api.client.get("/changes?since=1")

    body = answer.json()
    fetched = api.client.get("/fetch-data").json()
    assert body.pop("next").startswith("2-")
    assert {name: body.pop(name) for name in ("last_updated", "last_updated_iso", "verified_at", "checked_at")} == {
        name: fetched[name] for name in ("last_updated", "last_updated_iso", "verified_at", "checked_at")
    }
    assert body == {
        "status": "success",
        "count": 3,
        "since": "1",
        "more": False,
        "generation": 2,
        "verified": True,
        "inserted": [as_json(3)],
        "updated": [CHANGED_JSON],
        "deleted": [{"id": 1002}],
    }
    assert answer.headers["x-generation"] == "2"
    assert answer.headers["x-verified"] == "true"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_what_comes_next_is_asked_for_with_next(api: Sidecar) -> None:
    first = get(api, 1)
    assert (first["count"], first["more"], first["generation"]) == (0, False, 1)
    publish(api.cache, [order(0), CHANGED, order(2)])
    second = get(api, first["next"])
    assert (second["updated"], second["inserted"], second["deleted"]) == ([CHANGED_JSON], [], [])
    publish(api.cache, [CHANGED, order(2)])
    third = get(api, second["next"])
    assert (third["count"], third["deleted"]) == (1, [{"id": 1000}])
    confirm(api.cache)
    assert get(api, third["next"])["count"] == 0


def test_what_several_generations_changed_is_one_net_change(api: Sidecar) -> None:
    publish(api.cache, [order(0), CHANGED, order(2), order(3)])
    publish(api.cache, [order(1), order(2), order(4)])

    body = get(api, 1)

    assert (body["inserted"], body["updated"], body["deleted"]) == ([as_json(4)], [], [{"id": 1000}])


def test_pages_hold_each_change_once_and_say_when_they_are_through(api: Sidecar) -> None:
    publish(api.cache, [{**order(i), "note": "new"} if i % 3 else order(i) for i in range(2, 80)])

    seen, since, pages = Copy(3), "1", 0
    while True:
        body = get(api, since, limit=7)
        assert body["count"] == len(body["inserted"]) + len(body["updated"]) + len(body["deleted"]) <= 7
        seen.apply(body)
        since, pages = body["next"], pages + 1
        if not body["more"]:
            break
        assert since.startswith("1-")

    assert pages > 8
    assert seen.rows == api.client.get("/fetch-data").json()["data"]
    assert since.startswith("2-")


class Copy:
    """What a client keeps, here with the rules of the document alone."""

    def __init__(self, rows: int) -> None:
        self._rows = {as_json(i)["id"]: as_json(i) for i in range(rows)}

    def apply(self, body: dict[str, Any]) -> None:
        for key in body["deleted"]:
            self._rows.pop(key["id"], None)
        self._rows |= {row["id"]: row for row in body["inserted"] + body["updated"]}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [self._rows[key] for key in sorted(self._rows)]


def test_generations_published_between_two_pages_are_followed_too(api: Sidecar) -> None:
    """`more` stays true until the copy is the newest generation, exactly."""
    publish(api.cache, 60)
    copy, since, number = Copy(3), "1", 0
    while True:
        body = get(api, since, limit=20)
        copy.apply(body)
        since = body["next"]
        if number < 4:
            number += 1
            publish(api.cache, [{**order(i), "note": f"v{number}"} for i in range(number, 60 + number)])
            assert get(api, since)["generation"] == 2 + number
        if not body["more"]:
            break

    assert body["generation"] == 6
    assert copy.rows == api.client.get("/fetch-data").json()["data"]


def test_an_unverified_generation_says_so(api: Sidecar) -> None:
    publish(api.cache, [order(0)], verified=False, reason="1 range was still changing.")

    body = get(api, 1)

    assert (body["verified"], body["reason"], len(body["deleted"])) == (False, "1 range was still changing.", 2)


# -- what is refused, and what to do then


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"since": ""},
        {"since": "x"},
        {"since": "-1"},
        {"since": "1.0"},
        {"since": "1-zz"},
        {"since": "٣"},
        {"since": "99999999999"},
        {"since": "2-00000000-1-0000000000000000"},
        {"since": "99"},
        {"since": "1", "limit": "0"},
        {"since": "1", "limit": "10001"},
        {"since": "1", "limit": "9" * 5_000},
        {"since": "1", "rows": "1"},
    ],
)
def test_a_parameter_that_does_not_parse_is_named(api: Sidecar, query: dict[str, str]) -> None:
    status, code, message = refused(api, **query)

    assert (status, code) == (400, "parameter_invalid")
    assert any(f"'{name}'" in message for name in {"since", *query})


def test_parameters_for_caches_are_ignored(api: Sidecar) -> None:
    assert get(api, 1, _="123")["count"] == 0


def test_changes_that_are_not_kept_any_more_are_gone(api: Sidecar) -> None:
    publish(api.cache, 4)
    publish(api.cache, 5)
    (api.folder / "cache/changes/0000000002.rows").unlink()

    status, code, message = refused(api, since=1)

    assert (status, code) == (410, "changes_gone")
    assert message.endswith("Load all rows again with GET /fetch-data, and ask from its generation on.")
    assert get(api, 2)["count"] == 1
    assert refused(api, since=0)[0] == 410


def test_columns_that_changed_make_changes_gone(api: Sidecar) -> None:
    shorter = COLUMNS[:-1]
    publish(api.cache, [{c.name: order(0)[c.name] for c in shorter}], columns=shorter)

    status, code, message = refused(api, since=1)

    assert (status, code) == (410, "changes_gone")
    assert "The columns of the table changed." in message


def test_a_cache_that_was_begun_anew_makes_changes_gone_and_not_wrong(api: Sidecar) -> None:
    publish(api.cache, 4)
    first, second = get(api, 1)["next"], get(api, 2)["next"]
    for folder in ("generations", "changes"):
        for path in (api.folder / "cache" / folder).iterdir():
            path.unlink()
    (api.folder / "cache/current.json").unlink()
    publish(api.cache, 1)
    assert refused(api, since=first)[:2] == (410, "changes_gone")
    publish(api.cache, 7)

    for since in (first, second):
        assert refused(api, since=since)[:2] == (410, "changes_gone")


def test_a_client_ahead_of_a_damaged_generation_waits(api: Sidecar) -> None:
    publish(api.cache, 30)
    for segment in api.cache.snapshots.open().manifest.segments:
        (api.cache.snapshots.segment_folder(segment) / CHECKSUMS).write_bytes(b"")

    assert refused(api, since=2)[:2] == (503, "snapshot_damaged")
    assert get(api, 1)["count"] == 0


def test_a_table_without_a_key_has_no_changes(api: Sidecar) -> None:
    keyless = [column.model_copy(update={"key": 0}) for column in COLUMNS]
    publish(api.cache, 3, columns=keyless)

    status, code, message = refused(api, since=2)

    assert (status, code) == (409, "no_key")
    assert "/fetch-data" in message


def test_nothing_cached_yet_is_pending(tmp_path: Path) -> None:
    with sidecar(tmp_path) as empty:
        answer = empty.client.get("/changes?since=1")

    assert (answer.status_code, answer.json()["status"]) == (503, "pending")
    assert "Retry-After" in answer.headers


def test_a_key_is_needed_and_a_masked_one_gets_the_rows_that_it_loads(api: Sidecar) -> None:
    since = publish(api.cache, 3).generation
    publish(api.cache, [*map(order, range(2)), order(2) | {"note": "changed"}, order(3)])
    assert httpx2.get(f"{api.url}/changes?since=1").status_code == 401
    hidden = "a-key-that-may-not-see-personal-data"
    masked = ApiKey(name="analyst", digest=digest(hidden), scopes=("read",), masked=True, created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(masked))
    until = time.monotonic() + 10
    status = 401
    while status == 401 and time.monotonic() < until:
        answer = httpx2.get(f"{api.url}/changes?since={since}", headers={"X-API-Key": hidden})
        status = answer.status_code
        time.sleep(0.1)

    rows = httpx2.get(f"{api.url}/fetch-data", headers={"X-API-Key": hidden}).json()["data"]
    assert (answer.json()["updated"], answer.json()["inserted"]) == ([rows[2]], [rows[3]])
    assert {row["email"] for row in rows} == {"***"}
    own = api.client.get(f"/changes?since={since}", headers={"If-None-Match": answer.headers["etag"]})
    assert (own.status_code, own.json()["inserted"]) == (200, [as_json(3)])


# -- conditional requests


def test_an_answer_that_would_say_the_same_is_304(api: Sidecar) -> None:
    publish(api.cache, 5)
    first = api.client.get("/changes?since=1")

    def again(query: str) -> int:
        return api.client.get(f"/changes?{query}", headers={"If-None-Match": first.headers["etag"]}).status_code

    assert (again("since=1"), again("since=1&limit=5"), again("since=2")) == (304, 200, 200)
    confirm(api.cache)
    assert again("since=1") == 200


def test_head_says_what_get_would(api: Sidecar) -> None:
    publish(api.cache, 5)
    plain = {"Accept-Encoding": "identity"}
    got, told = (api.client.request(method, "/changes?since=1", headers=plain) for method in ("GET", "HEAD"))

    assert told.content == b""
    assert {name: told.headers[name] for name in ("etag", "content-length", "x-generation")} == {
        name: got.headers[name] for name in ("etag", "content-length", "x-generation")
    }
    assert len(got.content) == int(told.headers["content-length"])


def test_large_answers_are_compressed_and_equal(api: Sidecar) -> None:
    publish(api.cache, 900)
    plain = api.client.get("/changes?since=1", headers={"Accept-Encoding": "identity"})
    small = api.client.get("/changes?since=1", headers={"Accept-Encoding": "gzip"})

    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) / 3
    assert small.json() == plain.json()
    assert [row["id"] for row in plain.json()["inserted"]] == list(range(1003, 1900))


def test_a_page_of_large_rows_has_fewer_rows(tmp_path: Path) -> None:
    with served_here(tmp_path, 3, api__routes__changes__JOINED_BYTES=100_000) as (url, cache):
        publish(cache, [{**order(i), "note": "x" * 10_000} for i in range(60)])
        since, ids, more = "1", [], True
        while more:
            answer = httpx2.get(f"{url}/changes?since={since}&limit=10000", headers={"X-API-Key": KEY})
            assert len(answer.content) < 200_000
            body = answer.json()
            since, more = body["next"], body["more"]
            ids += [row["id"] for row in body["inserted"] + body["updated"]]
        assert sorted(ids) == [1000 + i for i in range(60)]
