"""Streams as libraries read them: comments, rows in events of bounded size, and what a client gets that comes back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests
from cache_factory import as_json, order, publish
from sidecar_process import KEY, Sidecar, served_here, sidecar, worker

from api.routes.refresh_stream import MAX_EVENT_BYTES

pytestmark = pytest.mark.slow

ROWS = 700
CHUNKED = "/fetch-data?stream=true&rows=chunked"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("chunked")) as running:
        publish(running.cache, ROWS)
        yield running


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]


def rows_of(found: list[dict[str, Any]]) -> list[Any]:
    parts = [event["payload"] for event in found if event["type"] == "rows"]
    assert all(part["count"] == len(part["data"]) > 0 for part in parts)
    return [row for part in parts for row in part["data"]]


def test_rows_come_in_events_of_bounded_size(api: Sidecar) -> None:
    text = api.client.get(CHUNKED).text
    assert max(len(line.encode()) for line in text.split("\n")) <= MAX_EVENT_BYTES
    found = events(text)
    assert [found[0]["type"], *{event["type"] for event in found[1:-1]}, found[-1]["type"]] == [
        "cached",
        "rows",
        "done",
    ]
    assert len(found) > 5
    cached = found[0]["payload"]
    assert (cached["count"], cached["data"], cached["total_count"]) == (0, [], ROWS)
    assert rows_of(found) == [as_json(i) for i in range(ROWS)]


@pytest.mark.parametrize(
    "query", ["fields=name,id&sort=-id&limit=3", "parse_json=false&currency=EUR", "limit=0", "id=0"]
)
def test_the_rows_are_those_of_the_whole_payload(api: Sidecar, query: str) -> None:
    whole, chunked = (
        events(api.client.get(f"/fetch-data?stream=true&{query}&rows={rows}").text) for rows in ("whole", "chunked")
    )
    assert rows_of(chunked) == whole[0]["payload"]["data"]
    differing = ("count", "record_count", "returned_count", "data")
    assert [
        {name: value for name, value in found[0]["payload"].items() if name not in differing}
        for found in (whole, chunked)
    ] == [{name: value for name, value in whole[0]["payload"].items() if name not in differing}] * 2


def test_a_long_row_is_an_event_of_its_own(api: Sidecar) -> None:
    generation = publish(api.cache, [{**order(i), "note": "x" * (100_000 * (i == 1))} for i in range(3)])
    found = events(api.client.get(CHUNKED).text)
    assert [event["payload"]["count"] for event in found if event["type"] == "rows"] == [1, 1, 1]
    assert found[0]["payload"]["generation"] == generation.generation
    publish(api.cache, ROWS)


def test_updated_comes_in_chunks_too(api: Sidecar) -> None:
    with worker(api.cache):  # the rows are new, so that no refresh is needed
        found = events(api.client.get(f"{CHUNKED}&refresh=true").text)
    kinds = [event["type"] for event in found]
    assert list(dict.fromkeys(kinds)) == ["cached", "rows", "updated", "done"]
    after = found[kinds.index("updated") :]
    assert rows_of(after) == [as_json(i) for i in range(ROWS)]
    assert after[0]["payload"]["data"] == []


def test_aiohttp_reads_it_line_by_line(api: Sidecar) -> None:
    async def read() -> list[dict[str, Any]]:
        async with (
            aiohttp.ClientSession(headers={"X-API-Key": KEY}) as session,
            session.get(api.url + CHUNKED) as answer,
        ):
            return events("\n".join([line.decode().rstrip("\n") async for line in answer.content]))

    assert rows_of(asyncio.run(read())) == [as_json(i) for i in range(ROWS)]


def test_requests_reads_it_as_text(api: Sidecar) -> None:
    with requests.get(api.url + CHUNKED, headers={"X-API-Key": KEY}, stream=True, timeout=30) as answer:
        assert rows_of(events("\n".join(line.decode() for line in answer.iter_lines()))) == [
            as_json(i) for i in range(ROWS)
        ]


def test_no_empty_line_follows_a_comment(api: Sidecar) -> None:
    for path in ("/fetch-data?stream=true", CHUNKED):
        blocks = api.client.get(path).text.removesuffix("\n\n").split("\n\n")
        assert all("data: " in block for block in blocks)
    with api.client.stream("GET", "/events") as answer:
        opening = next(iter(answer.iter_text()))
    assert "data: " in opening.split("\n\n")[0]


def test_a_comment_that_keeps_the_stream_alive_ends_no_event(tmp_path_factory: pytest.TempPathFactory) -> None:
    constant = {"api__routes__cache_watcher__KEEPALIVE_SECONDS": 0.05}
    with (
        served_here(tmp_path_factory.mktemp("alive"), 3, **constant) as (url, _),
        requests.get(f"{url}/events", headers={"X-API-Key": KEY}, stream=True, timeout=30) as answer,
    ):
        text = b""
        for part in answer.iter_content(None):
            text += part
            if text.count(b": alive\n") == 2:
                break
    assert b": alive\n\n" not in text


def test_who_comes_back_after_done_gets_204(api: Sidecar) -> None:
    text = api.client.get("/fetch-data?stream=true&limit=1").text
    last = text.removesuffix("\n\n").split("\n\n")[-1]
    id, data = last.split("\n")
    assert (id[:4], data) == ("id: ", 'data: {"type": "done"}')
    with worker(api.cache):
        for path in ("/fetch-data?stream=true", CHUNKED, "/fetch-data?stream=true&refresh=true"):
            answer = api.client.get(path, headers={"Last-Event-ID": id[4:]})
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert api.client.get(path + "&limit=1", headers={"Last-Event-ID": "12-1767003900000"}).status_code == 200
        assert api.client.get("/fetch-data?limit=1", headers={"Last-Event-ID": id[4:]}).status_code == 200
        assert api.cache.status().queued == 0
    wrong = api.client.get("/fetch-data?stream=true&nothing=1&rows=chunked", headers={"X-API-Key": "wrong"})
    assert wrong.status_code == 401


def test_rows_chunked_is_for_streams(api: Sidecar) -> None:
    for query in ("rows=chunked", "rows=chunked&stream=false"):
        answer = api.client.get(f"/fetch-data?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
        assert "stream=true" in answer.json()["message"]
    assert api.client.get("/fetch-data?rows=whole&limit=1").status_code == 200


def test_node_reads_the_stream_with_fetch(api: Sidecar) -> None:
    script = """
const answer = await fetch(process.argv[1], { headers: { "X-API-Key": process.argv[2] } });
const types = (await answer.text()).split("\\n\\n").filter(Boolean).map((block) => {
  const data = block.split("\\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\\n");
  return JSON.parse(data).type;
});
console.log([...new Set(types)].join(" "));
"""
    command = ["node", "--input-type=module", "-e", script, api.url + CHUNKED, KEY]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout == "cached rows done\n", ended.stderr
