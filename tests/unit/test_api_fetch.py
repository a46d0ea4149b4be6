"""`/fetch-data` beside the fixed contract: freshness, conditional requests, new generations, CORS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cache_factory import as_json, confirm, publish
from paths import ROOT
from sidecar_process import KEY, Sidecar, served_here, sidecar

from api.http.prepared_response import PreparedResponse
from api.routes.prepared import prepare
from api.routes.request_plan import RequestPlan

pytestmark = pytest.mark.slow

VERIFIED_AT = datetime(2025, 12, 29, 10, 25, tzinfo=UTC)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 3, verified_at=VERIFIED_AT)
        yield running


def test_it_works(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data")
    body = answer.json()
    assert body.pop("data") == [as_json(i) for i in range(3)]
    assert body == {
        "status": "success",
        "count": 3,
        "last_updated": "Mon Dec 29 10:25:00 2025",
        "last_updated_iso": "2025-12-29T10:25:00Z",
        "generation": 1,
        "verified": True,
        "verified_at": "2025-12-29T10:25:00Z",
        "checked_at": "2025-12-29T10:25:00Z",
        "total_count": 3,
        "next": None,
        "record_count": 3,
        "returned_count": 3,
        "page_info": {"start_row": 1, "end_row": 3, "has_next": False},
    }
    assert answer.headers["x-generation"] == "1"
    assert answer.headers["x-verified"] == "true"
    assert answer.headers["last-modified"] == "Mon, 29 Dec 2025 10:25:00 GMT"
    assert answer.headers["cache-control"] == "private, no-cache"
    plain = api.client.get("/fetch-data", headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["content-length"]) == len(plain.content)


def test_an_unverified_generation_says_why(api: Sidecar) -> None:
    publish(api.cache, 3, verified=False, verified_at=VERIFIED_AT, reason="2 ranges were still changing.")
    answer = api.client.get("/fetch-data")
    assert answer.headers["x-verified"] == "false"
    body = answer.json()
    assert (body["verified"], body["reason"]) == (False, "2 ranges were still changing.")
    assert body["verified_at"] == "2025-12-29T10:25:00Z"


def test_a_new_generation_is_served_from_the_next_request_on(api: Sidecar) -> None:
    assert api.client.get("/fetch-data").json()["count"] == 3
    publish(api.cache, 8)
    answer = api.client.get("/fetch-data")
    assert answer.headers["x-generation"] == "2"
    assert answer.json()["data"] == [as_json(i) for i in range(8)]


def test_an_unchanged_body_is_304(api: Sidecar) -> None:
    first = api.client.get("/fetch-data")
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = api.client.get("/fetch-data", headers={"If-None-Match": given})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
        assert again.headers["x-generation"] == "1"
        assert again.headers["access-control-allow-origin"] == "*"
    assert api.client.get("/fetch-data", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("query", ["a=x", "nobody=1", "sort=nobody", "fields=nobody", "facet=nobody", "after=x"])
def test_a_wrong_request_is_refused_whatever_tags_it_names(api: Sidecar, query: str) -> None:
    sent = {"X-Request-ID": "one"}
    plain = api.client.get(f"/fetch-data?{query}", headers=sent)
    assert plain.status_code == 400
    assert api.client.get(f"/fetch-data?{query}", headers={"If-None-Match": "*", **sent}).json() == plain.json()


def test_a_sync_that_changed_nothing_gives_a_new_etag(api: Sidecar) -> None:
    tag = api.client.get("/fetch-data").headers["etag"]
    confirm(api.cache, VERIFIED_AT + timedelta(hours=1))
    answer = api.client.get("/fetch-data", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.json()["last_updated_iso"] == "2025-12-29T11:25:00Z"
    assert answer.json()["generation"] == 1


def test_the_tag_covers_what_the_body_says_of_a_refresh(api: Sidecar) -> None:
    tag = api.client.get("/fetch-data").headers["etag"]
    assert api.client.get("/fetch-data?refresh=true", headers={"If-None-Match": tag}).status_code == 200


def test_head_is_get_without_a_body(api: Sidecar) -> None:
    whole = api.client.get("/fetch-data")
    head = api.client.head("/fetch-data")
    assert head.status_code == 200
    assert head.content == b""
    for name in ("etag", "content-length", "content-type", "x-generation"):
        assert head.headers[name] == whole.headers[name]
    assert api.client.head("/fetch-data?stream=true").headers["content-type"].startswith("text/event-stream")


def test_a_body_of_many_slices_is_whole(api: Sidecar) -> None:
    publish(api.cache, 3000, segments=3)
    answer = api.client.get("/fetch-data")
    assert len(answer.content) > 3 * 256 * 1024
    assert answer.json()["data"] == [as_json(i) for i in range(3000)]


def test_a_download_of_an_older_generation_ends_as_it_began(api: Sidecar) -> None:
    publish(api.cache, 30000, segments=3)
    with api.client.stream("GET", "/fetch-data") as answer:
        parts = answer.iter_bytes(65536)
        begun = next(parts)
        publish(api.cache, 5)
        assert api.client.get("/fetch-data").json()["count"] == 5
        body = json.loads(begun + b"".join(parts))
    assert body["generation"] == 2
    assert body["count"] == len(body["data"]) == 30000


def test_a_damaged_generation_gives_way_to_the_one_before(api: Sidecar) -> None:
    publish(api.cache, 5)
    newest = json.loads((api.folder / "cache" / "generations" / "0000000002.json").read_bytes())
    kept = json.loads((api.folder / "cache" / "generations" / "0000000001.json").read_bytes())
    damaged = {segment["id"] for segment in newest["segments"]} - {segment["id"] for segment in kept["segments"]}
    for segment in damaged:
        (api.folder / "cache" / "segments" / segment / "rows.json").write_bytes(b"{")
    body = api.client.get("/fetch-data").json()
    assert (body["generation"], body["count"], body["verified"]) == (1, 3, False)
    assert "damaged" in body["reason"]


def test_a_preflight_allows_the_key_header_without_a_key(api: Sidecar) -> None:
    for path in ("/fetch-data", "/refresh", "/no-such"):
        asked = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key,content-type",
        }
        answer = httpx2.options(api.url + path, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "x-api-key,content-type"


def test_cors_can_be_narrowed(tmp_path: Path) -> None:
    with sidecar(tmp_path, CORS_ORIGINS="https://shop.example, https://other.example/") as running:
        for origin, allowed in [("https://other.example", "https://other.example"), ("https://evil.example", None)]:
            answer = httpx2.get(f"{running.url}/status", headers={"X-API-Key": KEY, "Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "Origin" in answer.headers["vary"]


def test_the_serving_process_loads_no_pandas_duckdb_or_pyarrow(api: Sidecar) -> None:
    script = """
import asyncio, sys
from pathlib import Path
import api_sidecar, scraper.scheduler
from api.app import create_app
from api.routes.cache_watcher import CacheWatcher
from cache.settings import Settings
from cache.storage.backends import open_cache

async def fetch():
    here = Path.cwd()
    settings = Settings.load(cache_url=f"file:{here / 'cache'}", data_dir=here / "var")
    cache, sent = open_cache(settings.cache_place), []
    app = create_app(cache, settings, "key", CacheWatcher(cache))
    async def send(message): sent.append(message)
    for path in ("/fetch-data", "/figures"):
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b""}
        scope["headers"] = [(b"x-api-key", b"key")]
        await app(scope, None, send)
    statuses = [message["status"] for message in sent if "status" in message]
    assert statuses == [200, 200], sent
asyncio.run(fetch())
print(sorted({"pandas", "duckdb", "pyarrow", "selenium", "streamlit"} & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=api.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "[]\n"


def test_a_fault_of_the_fast_path_is_logged_and_the_request_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(plan: RequestPlan) -> PreparedResponse | None:
        if plan.limit == 2:
            raise RuntimeError("a fault in the fast path")
        return prepare(plan)

    with (
        served_here(tmp_path, 3, api__routes__fetch__prepare=faulty) as (url, _),
        httpx2.Client(base_url=url, headers={"X-API-Key": KEY}) as client,
    ):
        client.get("/fetch-data")  # opens the snapshot, for the fast path to find
        answer = client.get("/fetch-data?limit=2")
        metrics = client.get("/metrics").text
    assert answer.json()["data"] == [as_json(i) for i in range(2)]
    assert "phpmyadmin_orders_fast_path_failures_total 1.0" in metrics
    assert "a fault in the fast path" in caplog.text


def test_refused_requests_are_no_faults_of_the_fast_path(api: Sidecar) -> None:
    assert api.client.get("/fetch-data?limit=ten").status_code == 400
    assert "phpmyadmin_orders_fast_path_failures_total 0.0" in api.client.get("/metrics").text
