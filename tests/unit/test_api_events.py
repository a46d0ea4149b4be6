"""Streams: what comes while a refresh runs, and how a stream ends."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from cache_factory import as_json, confirm, publish
from sidecar_process import Sidecar, answering, sidecar, sync, worker

pytestmark = pytest.mark.slow

REFRESHING = "/fetch-data?stream=true&refresh=true"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 3, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        yield running


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.not_on("sub-path", why="nginx takes X-Accel-Buffering for itself")
def test_a_comment_comes_at_once_and_no_proxy_holds_the_stream_back(api: Sidecar) -> None:
    with api.client.stream("GET", "/fetch-data?stream=true") as answer:
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-generation"] == "1"
        assert next(answer.iter_lines()).startswith(":")


def test_progress_comes_phase_by_phase_with_a_fraction(api: Sidecar) -> None:
    with worker(api.cache), api.client.stream("GET", REFRESHING) as answer:
        found = events(answer.iter_lines())
        assert next(found)["type"] == "cached"
        assert next(found) == {"type": "progress", "phase": "queued", "fraction": None}
        with sync(api.cache, 5):
            event = next(found)
            while event["phase"] != "rows":  # a run may be seen before its first report
                event = next(found)
        assert event == {
            "type": "progress",
            "phase": "rows",
            "rows": 2,
            "total": 8,
            "bytes": 512,
            "fraction": 0.25,
        }
        last = [event for event in found if event["type"] != "progress"]
    assert [event["type"] for event in last] == ["updated", "done"]
    assert last[0]["payload"]["data"] == [as_json(i) for i in range(5)]


def test_a_refresh_of_data_that_is_new_sends_updated_at_once(api: Sidecar) -> None:
    confirm(api.cache)
    with worker(api.cache):
        answer = api.client.get(REFRESHING)
        assert api.cache.status().queued == 0
    cached, updated, done = events(iter(answer.text.splitlines()))
    assert (cached["type"], updated["type"], done["type"]) == ("cached", "updated", "done")
    assert cached["payload"]["_info"].startswith("No refresh was started")
    assert updated["payload"]["data"] == cached["payload"]["data"]


def test_a_refresh_that_nobody_would_run_sends_error_at_once(api: Sidecar) -> None:
    cached, error, done = events(iter(api.client.get(REFRESHING).text.splitlines()))
    assert (cached["type"], error["code"], done["type"]) == ("cached", "no_worker", "done")
    assert "SCHEDULER=auto" in error["message"]


def test_a_payload_is_one_line_however_lines_are_told(api: Sidecar) -> None:
    publish(api.cache, 3000)
    found = list(events(api.client.get("/fetch-data?stream=true").iter_lines()))
    assert [event["type"] for event in found] == ["cached", "done"]
    assert found[0]["payload"]["data"] == [as_json(i) for i in range(3000)]


def test_many_streams_are_answered_by_one_sync(api: Sidecar) -> None:
    with worker(api.cache):
        clients = [httpx2.Client(base_url=api.url, headers=api.client.headers, timeout=30) for _ in range(8)]
        streams = [client.stream("GET", REFRESHING) for client in clients]
        answers = [stream.__enter__() for stream in streams]
        with sync(api.cache, 4):
            pass
        kinds = [[event["type"] for event in events(answer.iter_lines())] for answer in answers]
        for stream, client in zip(streams, clients, strict=True):
            stream.__exit__(None, None, None)
            client.close()
    assert all([kind for kind in found if kind != "progress"] == ["cached", "updated", "done"] for found in kinds)
    assert len(api.cache.runs.recent()) == 1


@pytest.mark.not_on("sub-path", why="connections of clients end at nginx")
def test_a_client_that_goes_away_leaves_nothing_open(api: Sidecar) -> None:
    server = psutil.Process(api.process.pid)
    with worker(api.cache):
        client = httpx2.Client(base_url=api.url, headers=api.client.headers)
        with client, client.stream("GET", REFRESHING) as answer:
            port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            found = events(answer.iter_lines())
            assert next(found)["type"] == "cached"
            assert port in _peers(server)
        deadline = time.monotonic() + 10
        while port in _peers(server) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert port not in _peers(server)
    assert "Traceback" not in api.log()


def _peers(server: psutil.Process) -> set[int]:
    return {c.raddr.port for c in server.net_connections("tcp") if c.raddr and c.status != psutil.CONN_CLOSE_WAIT}


def test_the_sidecar_ends_in_time_with_streams_and_slow_downloads_open(tmp_path: Path) -> None:
    with sidecar(tmp_path) as running, worker(running.cache):
        publish(running.cache, 30000, segments=1, verified_at=datetime(2025, 12, 29, tzinfo=UTC))
        slow, waiting = (
            httpx2.Client(base_url=running.url, headers=running.client.headers, timeout=30) for _ in range(2)
        )
        with slow, waiting, slow.stream("GET", "/fetch-data"), waiting.stream("GET", REFRESHING) as stream:
            found = events(stream.iter_lines())
            assert next(found)["type"] == "cached"
            os.kill(running.process.pid, signal.SIGTERM)
            running.process.wait(10)  # a second of grace and a little; a stream would wait for 300
            last = [event for event in found if event["type"] != "progress"]
        assert [event["type"] for event in last] == ["error", "done"]
        assert last[0]["code"] == "shutting_down"


def test_the_page_of_a_browser_may_read_the_stream(api: Sidecar) -> None:
    with answering(api.cache):
        answer = api.client.get(REFRESHING, headers={"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.text.endswith('data: {"type": "done"}\n\n')
