"""`GET /metrics`, read by Prometheus's own parser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from prometheus_client.parser import text_string_to_metric_families
from sidecar_process import Sidecar, sidecar, sync, worker

from cache.errors import Trouble
from cache.monitoring import metric_families as families


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        yield running


def metrics(api: Sidecar) -> dict[str, float]:
    answer = api.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {f"{s.name}{sorted(s.labels.items()) if s.labels else ''}": s.value for s in samples}


def test_it_works_before_the_first_sync(api: Sidecar) -> None:
    found = metrics(api)
    assert (found[families.SYNC_RUNNING.name], found[families.WORKERS.name]) == (0, 0)
    assert found[families.LAST_SUCCESS.name] == 0
    assert families.SNAPSHOT_ROWS.name not in found


def test_the_snapshot_and_the_last_sync_are_told(api: Sidecar) -> None:
    publish(api.cache, 3)
    with worker(api.cache), sync(api.cache, 5):
        assert metrics(api)[families.SYNC_RUNNING.name] == 1
    found = metrics(api)
    assert (found[families.SNAPSHOT_GENERATION.name], found[families.SNAPSHOT_ROWS.name]) == (2, 5)
    assert found[families.SNAPSHOT_VERIFIED.name] == found[families.CACHE_AVAILABLE.name] == 1
    for moment in (families.SNAPSHOT_TIMESTAMP, families.LAST_SYNC, families.LAST_SUCCESS):
        assert 0 <= time.time() - found[moment.name] < 60
    with sync(api.cache, error=Trouble(code="x", message="It broke.", advice="Mend it.")):
        pass
    after = metrics(api)
    assert after[families.LAST_SYNC.name] > found[families.LAST_SYNC.name]
    assert after[families.LAST_SUCCESS.name] == found[families.LAST_SUCCESS.name]


def test_answers_are_counted_by_method_address_and_status(api: Sidecar) -> None:
    publish(api.cache, 3)
    for path in ("/fetch-data", "/fetch-data", "/nowhere/else", "/fetch-data?limit=nonsense"):
        api.client.get(path)
    api.client.head("/fetch-data")
    api.client.delete("/fetch-data")
    found = metrics(api)

    def sent(method: str, path: str, status: int) -> float:
        labels = [("method", method), ("path", path), ("status", str(status))]
        return found[f"{families.HTTP_REQUESTS.name}{labels}"]

    assert (sent("GET", "/fetch-data", 200), sent("GET", "/fetch-data", 400)) == (2, 1)
    assert (sent("HEAD", "/fetch-data", 200), sent("GET", "(other)", 404), sent("(other)", "/fetch-data", 405)) == (
        1,
        1,
        1,
    )
    by = [("method", "GET"), ("path", "/fetch-data")]
    assert found[f"{families.HTTP_REQUEST_DURATION.name}_count{by}"] == 3
    assert found[f"{families.HTTP_RESPONSE_BYTES.name}{by}"] > 0


def test_metrics_want_a_key(api: Sidecar) -> None:
    assert httpx2.get(f"{api.url}/metrics").status_code == 401
