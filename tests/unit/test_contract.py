"""The fixed part of the HTTP contract, row by row, over HTTP against a running sidecar: keys, values and codes.

It holds for the API by itself and where it shares a port with the dashboard.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import as_json, confirm, publish
from sidecar_process import KEY, SCRIPTS, Sidecar, answering, sidecar, sync, worker

from cache.errors import Trouble

pytestmark = pytest.mark.slow

CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")
VERIFIED_AT = datetime(2025, 12, 9, 10, 25, tzinfo=UTC)


@pytest.fixture(scope="module", params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> str:
    """What serves the API."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, script: str) -> Iterator[Sidecar]:
    """Nothing has been cached yet."""
    with sidecar(tmp_path_factory.mktemp("empty"), script) as running:
        yield running


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, script: str) -> Iterator[Sidecar]:
    """Fifteen orders, verified long ago."""
    with sidecar(tmp_path_factory.mktemp("filled"), script) as running:
        publish(running.cache, 15, segments=4, verified_at=VERIFIED_AT)
        yield running


@pytest.fixture
def fresh(tmp_path: Path, script: str) -> Iterator[Sidecar]:
    """A sidecar of the test's own, with three orders that are older than REFRESH_MIN_SECONDS."""
    with sidecar(tmp_path, script) as running:
        publish(running.cache, 3, verified_at=VERIFIED_AT)
        yield running


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The events of a stream, each of which has one `data:` line; comment lines are left out."""
    found = []
    for block in filter(None, answer.text.split("\n\n")):
        (data,) = (line for line in block.split("\n") if not line.startswith((":", "id: ")))
        assert data.startswith("data: ")
        found.append(json.loads(data.removeprefix("data: ")))
    return found


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in found if event["type"] != "progress"]


# -- GET /fetch-data


def test_fetch_data_gives_all_rows_with_the_four_fixed_keys(filled: Sidecar) -> None:
    answer = filled.client.get("/fetch-data")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["status"] == "success"
    assert body["count"] == 15
    assert body["last_updated"] == "Tue Dec  9 10:25:00 2025"
    assert body["data"] == [as_json(i) for i in range(15)]


def test_last_updated_counts_from_the_last_verification(fresh: Sidecar) -> None:
    confirm(fresh.cache, VERIFIED_AT + timedelta(hours=1))
    assert fresh.client.get("/fetch-data").json()["last_updated"] == "Tue Dec  9 11:25:00 2025"


def test_values_keep_their_exact_form(filled: Sidecar) -> None:
    row = filled.client.get("/fetch-data").json()["data"][2]
    assert row["total_price"] == "600.94"
    assert row["created_at"] == "2025-12-29T08:25:00Z"
    assert row["note"] == "NULL"
    assert row["cancelled_at"] is None
    assert row["test"] is False
    assert row["destination"]["city"] == "Köln"


def test_an_empty_table_is_an_empty_list(tmp_path: Path, script: str) -> None:
    with sidecar(tmp_path, script) as running:
        publish(running.cache, 0)
        body = running.client.get("/fetch-data").json()
        assert (body["status"], body["count"], body["data"]) == ("success", 0, [])


def test_refresh_true_answers_at_once_and_says_that_it_asked(fresh: Sidecar) -> None:
    with worker(fresh.cache):
        body = fresh.client.get("/fetch-data", params={"refresh": "true"}).json()
        assert body["count"] == 3
        assert body["_info"] == "A refresh was requested and runs in the background."
        assert fresh.cache.status().queued == 1


def test_refresh_true_says_that_another_request_waits_already(fresh: Sidecar) -> None:
    with worker(fresh.cache):
        fresh.cache.runs.request("someone else")
        body = fresh.client.get("/fetch-data?refresh=true").json()
    assert body["_info"] == "A refresh is about to start, and answers this request too."


def test_refresh_true_starts_nothing_soon_after_a_verification(fresh: Sidecar) -> None:
    confirm(fresh.cache)
    with worker(fresh.cache):
        body = fresh.client.get("/fetch-data?refresh=true").json()
        assert body["_info"] == "No refresh was started: the data was verified within the last 60 seconds."
        assert fresh.cache.status().queued == 0


def test_refresh_true_still_gives_data_when_nobody_can_refresh(fresh: Sidecar) -> None:
    answer = fresh.client.get("/fetch-data?refresh=true")
    assert answer.status_code == 200
    assert answer.json()["count"] == 3
    assert answer.json()["_info"].startswith("No refresh was started. No scheduler is alive")


# -- streams


def test_a_stream_sends_cached_then_done(filled: Sidecar) -> None:
    answer = filled.client.get("/fetch-data?stream=true")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    cached, done = events(answer)
    assert cached == {"type": "cached", "payload": filled.client.get("/fetch-data").json()}
    assert done == {"type": "done"}


def test_a_stream_with_refresh_sends_updated_when_the_data_has_changed(fresh: Sidecar) -> None:
    with answering(fresh.cache, rows=5):
        found = events(fresh.client.get("/fetch-data?stream=true&refresh=true"))
    assert kinds(found) == ["cached", "updated", "done"]
    assert found[0]["payload"]["count"] == 3
    assert "_info" in found[0]["payload"]
    assert found[-2]["payload"]["data"] == [as_json(i) for i in range(5)]


def test_a_stream_with_refresh_sends_updated_also_when_nothing_has_changed(fresh: Sidecar) -> None:
    with answering(fresh.cache):
        found = events(fresh.client.get("/fetch-data?stream=true&refresh=true"))
    assert kinds(found) == ["cached", "updated", "done"]
    # A quick sync may have ended before the first event is made, which then has its time too.
    assert datetime.fromisoformat(found[-2]["payload"]["last_updated_iso"]) > VERIFIED_AT
    assert found[0]["payload"]["data"] == found[-2]["payload"]["data"]


def test_a_stream_with_refresh_sends_error_when_the_refresh_fails(fresh: Sidecar) -> None:
    trouble = Trouble(code="login_refused", message="The login was refused.", advice="Check the password.")
    with answering(fresh.cache, error=trouble):
        found = events(fresh.client.get("/fetch-data?stream=true&refresh=true"))
    assert kinds(found) == ["cached", "error", "done"]
    assert found[-2] == {
        "type": "error",
        "message": "The login was refused. Check the password.",
        "code": "login_refused",
    }


def test_a_stream_with_refresh_waits_no_longer_than_the_limit(tmp_path: Path, script: str) -> None:
    with sidecar(tmp_path, script, SSE_TIMEOUT_SECONDS="0.5") as running:
        publish(running.cache, 3, verified_at=VERIFIED_AT)
        with worker(running.cache):
            found = events(running.client.get("/fetch-data?stream=true&refresh=true"))
    assert kinds(found) == ["cached", "error", "done"]
    assert found[-2]["code"] == "timeout"


# -- POST /refresh


def test_refresh_is_triggered(fresh: Sidecar) -> None:
    with worker(fresh.cache):
        answer = fresh.client.post("/refresh")
        assert answer.status_code == 202
        assert answer.json()["status"] == "triggered"
        assert answer.json()["message"]
        assert fresh.cache.status().queued == 1


def test_refresh_is_in_progress_while_one_runs(fresh: Sidecar) -> None:
    with worker(fresh.cache), sync(fresh.cache):
        answer = fresh.client.post("/refresh")
    assert answer.status_code == 202
    assert answer.json()["status"] == "in_progress"
    assert answer.json()["message"]


def test_refresh_is_in_progress_while_one_is_about_to_start(fresh: Sidecar) -> None:
    with worker(fresh.cache):
        first, second = (fresh.client.post("/refresh") for _ in range(2))
    assert [answer.status_code for answer in (first, second)] == [202, 202]
    assert [answer.json()["status"] for answer in (first, second)] == ["triggered", "in_progress"]
    assert "answers this request too" in second.json()["message"]


# -- GET /status and GET /health


def test_status_tells_the_age_of_the_cache(fresh: Sidecar) -> None:
    confirm(fresh.cache, datetime.now(UTC) - timedelta(minutes=45, seconds=20))
    body = fresh.client.get("/status").json()
    assert body["api_status"] == "online"
    assert body["cache_exists"] is True
    assert body["cache_age_minutes"] == 45
    assert body["update_in_progress"] is False
    assert CTIME.fullmatch(body["timestamp"])


def test_status_without_a_cache(empty: Sidecar) -> None:
    answer = empty.client.get("/status")
    assert answer.status_code == 200
    assert answer.json()["cache_exists"] is False
    assert answer.json()["cache_age_minutes"] is None


def test_status_tells_that_an_update_is_in_progress(fresh: Sidecar) -> None:
    with worker(fresh.cache), sync(fresh.cache):
        assert fresh.client.get("/status").json()["update_in_progress"] is True
    assert fresh.client.get("/status").json()["update_in_progress"] is False


def test_health_needs_no_key(empty: Sidecar) -> None:
    answer = httpx2.get(f"{empty.url}/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert CTIME.fullmatch(answer.json()["timestamp"])


# -- conditions


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/fetch-data"), ("GET", "/fetch-data?stream=true"), ("POST", "/refresh"), ("GET", "/status")],
)
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
def test_no_key_or_a_wrong_one_is_unauthorized(
    filled: Sidecar, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = httpx2.request(method, filled.url + path, headers=headers)
    assert answer.status_code == 401
    body = answer.json()
    assert {name: body[name] for name in ("status", "message")} == {"status": "error", "message": "Unauthorized access"}


def test_the_key_may_be_a_bearer_token(filled: Sidecar) -> None:
    assert httpx2.get(f"{filled.url}/status", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("query", ["", "?refresh=true", "?stream=true", "?stream=true&refresh=true"])
def test_without_a_cache_the_answer_is_pending(empty: Sidecar, query: str) -> None:
    answer = empty.client.get(f"/fetch-data{query}")
    assert answer.status_code == 503
    assert answer.json()["status"] == "pending"
    assert answer.json()["message"].startswith("No cached data available")
    assert int(answer.headers["retry-after"]) > 0


def test_without_a_cache_refresh_true_still_asks_for_the_sync(empty: Sidecar) -> None:
    with worker(empty.cache):
        before = empty.cache.status().queued
        assert empty.client.get("/fetch-data?refresh=true").status_code == 503
        assert empty.cache.status().queued == before + 1


def test_without_a_cache_the_answer_tells_why_the_last_sync_failed(tmp_path: Path, script: str) -> None:
    trouble = Trouble(code="unreachable", message="phpMyAdmin did not answer.", advice="Check PHPMYADMIN_URL.")
    with sidecar(tmp_path, script) as running:
        with sync(running.cache, error=trouble):
            pass
        message = running.client.get("/fetch-data").json()["message"]
    assert "phpMyAdmin did not answer. Check PHPMYADMIN_URL." in message


@pytest.mark.parametrize("query", ["refresh=maybe", "stream=2", "refresh=true&refresh=true", "no_such=1"])
def test_a_parameter_that_does_not_parse_is_named(filled: Sidecar, query: str) -> None:
    answer = filled.client.get(f"/fetch-data?{query}")
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert f"'{query.partition('=')[0]}'" in answer.json()["message"]


def test_cache_busters_are_ignored(filled: Sidecar) -> None:
    assert filled.client.get(f"/fetch-data?_={time.time()}&_t=1&refresh=false").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fetch-data"),
        ("GET", "/fetch-data?stream=true"),
        ("GET", "/fetch-data?x=1"),
        ("POST", "/refresh"),
        ("GET", "/status"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/demo"),
        ("GET", "/v1/no"),
        ("PUT", "/status"),
    ],
)
def test_cors_headers_stand_on_every_answer(filled: Sidecar, method: str, path: str) -> None:
    for headers in ({"X-API-Key": KEY}, {"X-API-Key": "wrong", "Origin": "https://shop.example"}):
        answer = httpx2.request(method, filled.url + path, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"]
        assert {"ETag", "Location", "Retry-After"} <= set(exposed.split(", "))
