"""`/status`, `/ready` and `/tasks/{id}` beside the fixed contract."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import cache_in, confirm, order, publish
from paths import ROOT
from sidecar_process import Sidecar, sidecar, sync, worker
from waiting import wait_for

from cache import version
from cache.errors import Trouble
from cache.storage.snapshot import JSON, ChangeCounts

pytestmark = pytest.mark.slow

TROUBLE = Trouble(code="unreachable", message="phpMyAdmin did not answer.", advice="Check PHPMYADMIN_URL.")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        yield running


def test_status_tells_generation_rows_and_freshness(api: Sidecar) -> None:
    publish(api.cache, 5, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
    body = api.client.get("/status").json()
    assert (body["generation"], body["rows"], body["verified"]) == (1, 5, True)
    assert body["verified_at"] == body["last_updated_iso"] == "2025-12-29T10:25:00Z"
    assert body["last_updated"] == "Mon Dec 29 10:25:00 2025"


def test_status_tells_the_last_sync_and_the_words_of_its_error(api: Sidecar) -> None:
    assert api.client.get("/status").json()["last_sync"] is None
    with sync(api.cache, 4):
        pass
    last = api.client.get("/status").json()["last_sync"]
    assert (last["result"], last["generation"], last["error"]) == ("published", 1, None)
    assert last["seconds"] >= 0
    with sync(api.cache, error=TROUBLE):
        pass
    last = api.client.get("/status").json()["last_sync"]
    assert last["result"] == "failed"
    assert last["error"] == TROUBLE.model_dump(exclude={"stops_schedule"})


def test_status_tells_progress_worker_and_next_sync(api: Sidecar) -> None:
    idle = api.client.get("/status").json()
    assert idle["worker"] == {"alive": False, "host": None}
    assert (idle["progress"], idle["next_sync"]) == (None, None)
    with worker(api.cache) as standing, sync(api.cache, 4):
        leader = standing.model_copy(update={"next_sync": datetime(2030, 1, 1, tzinfo=UTC)})
        api.cache.leadership.heartbeat(leader)
        body = api.client.get("/status").json()
    assert body["worker"] == {"alive": True, "host": standing.host}
    assert body["next_sync"] == "2030-01-01T00:00:00Z"
    assert body["progress"] == {"phase": "rows", "rows": 2, "total": 8, "bytes": 512, "fraction": 0.25}


def test_a_refresh_that_waits_counts_as_in_progress(api: Sidecar) -> None:
    with worker(api.cache):
        api.client.post("/refresh")
        assert api.client.get("/status").json()["update_in_progress"] is True


def test_status_counts_values_that_do_not_fit_and_impossible_dates(api: Sidecar) -> None:
    rows = [{**order(0), "line_items": "not JSON", "cancelled_at": "0000-00-00 00:00:00"}, order(1)]
    publish(api.cache, rows)
    body = api.client.get("/status").json()
    assert body["misfits"] == {"line_items": 1}
    assert body["zero_dates"] == {"cancelled_at": 1}


def test_status_tells_the_version_of_the_project(api: Sidecar) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": f"{version.__name__}.VERSION"}
    assert api.client.get("/status").json()["version"] == version.VERSION


def test_ready_tells_what_is_missing(api: Sidecar) -> None:
    def code() -> str | None:
        answer = api.client.get("/ready", headers={"X-API-Key": "none is needed"})
        assert answer.status_code == (503 if "code" in answer.json() else 200)
        return answer.json().get("code")

    with worker(api.cache):
        assert code() == "no_snapshot"
        publish(api.cache)
        assert code() is None
        confirm(api.cache, datetime.now(UTC) - timedelta(days=1))
        assert code() == "too_old"
    confirm(api.cache)
    assert code() == "no_worker"


def test_the_generation_that_replaces_a_damaged_one_is_checked_too(tmp_path: Path) -> None:
    with closing(cache_in(tmp_path)) as cache:
        for count in (1, 2, 3):
            publish(cache, [order(i) for i in range(10 * count, 10 * count + 4)], segments=1)
        for generation in (2, 3):
            path = cache.snapshots.open(generation).paths(JSON)[0]
            path.write_bytes(path.read_bytes().replace(b"1", b"9"))
    with sidecar(tmp_path) as api:
        wait_for(lambda: api.client.get("/fetch-data").json().get("generation") == 1)


def test_a_verification_in_the_future_is_not_known(api: Sidecar) -> None:
    with worker(api.cache):
        publish(api.cache, 5, verified_at=datetime.now(UTC) + timedelta(days=1))
        body = api.client.get("/status").json()
        unknown = ("cache_age_minutes", "verified_at", "checked_at", "last_updated", "last_updated_iso")
        assert {name: body[name] for name in unknown} == dict.fromkeys(unknown)
        ready = api.client.get("/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "too_old")
        assert "future" in ready.text
        assert api.client.get("/fetch-data").json()["verified_at"] is None
        with api.client.stream("GET", "/events") as events:
            data = next(line for line in events.iter_lines() if line.startswith("data: "))
        event = json.loads(data.removeprefix("data: "))
        assert (event["type"], event["verified_at"], event["checked_at"]) == ("snapshot", None, None)
        assert "phpmyadmin_orders_snapshot_verified_timestamp_seconds" not in api.client.get("/metrics").text


@pytest.mark.not_on("sub-path", why="there, Location is relative: nginx strips the path")
def test_a_task_is_followed_from_queued_to_completed(api: Sidecar) -> None:
    with worker(api.cache):
        asked = api.client.post("/refresh")
        address = asked.headers["location"]
        assert address == f"/tasks/{asked.json()['task_id']}"
        queued = api.client.get(address).json()
        assert (queued["status"], queued["progress"], queued["finished_at"]) == ("queued", None, None)
        with sync(api.cache, 4):
            running = api.client.get(address).json()
            assert running["status"] == "running"
            assert running["progress"] == {"phase": "rows", "rows": 2, "total": 8, "bytes": 512, "fraction": 0.25}
        completed = api.client.get(address).json()
    assert (completed["status"], completed["generation"], completed["error"]) == ("completed", 1, None)
    assert completed["finished_at"] >= completed["requested_at"]


def test_a_completed_task_tells_how_many_rows_changed(api: Sidecar) -> None:
    with worker(api.cache):
        address = api.client.post("/refresh").headers["location"]
        with sync(api.cache, 4, changes=ChangeCounts(inserted=4, updated=1)):
            pass
        assert api.client.get(address).json()["changes"] == {"inserted": 4, "updated": 1, "deleted": 0}


def test_a_failed_task_tells_the_error_and_what_to_do(api: Sidecar) -> None:
    with worker(api.cache):
        address = api.client.post("/refresh").headers["location"]
        with sync(api.cache, error=TROUBLE):
            pass
    failed = api.client.get(address).json()
    assert failed["status"] == "failed"
    assert failed["error"] == TROUBLE.model_dump(exclude={"stops_schedule"})


def test_a_task_outlives_the_process_that_took_it(tmp_path: Path) -> None:
    with sidecar(tmp_path) as first, worker(first.cache):
        address = first.client.post("/refresh").headers["location"]
    with sidecar(tmp_path) as second:
        assert second.client.get(address).json()["status"] == "queued"
