"""`GET /metrics`, read by Prometheus's own parser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cache_factory import publish
from prometheus_client.parser import text_string_to_metric_families
from sidecar_process import Sidecar, sidecar, sync, worker

from cache.errors import Trouble


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
    assert (found["orders_sync_running"], found["orders_workers"]) == (0, 0)
    assert "orders_snapshot_rows" not in found


def test_the_snapshot_and_the_last_sync_are_told(api: Sidecar) -> None:
    publish(api.cache, 3)
    with worker(api.cache), sync(api.cache, 5):
        assert metrics(api)["orders_sync_running"] == 1
    found = metrics(api)
    assert (found["orders_snapshot_generation"], found["orders_snapshot_rows"]) == (2, 5)
    assert (found["orders_snapshot_verified"], found["orders_last_sync_failed"]) == (1, 0)
    assert 0 <= found["orders_snapshot_age_seconds"] < 60
    with sync(api.cache, error=Trouble(code="x", message="It broke.", advice="Mend it.")):
        pass
    assert metrics(api)["orders_last_sync_failed"] == 1


def test_answers_are_counted_by_address_and_status(api: Sidecar) -> None:
    publish(api.cache, 3)
    for path in ("/fetch-data", "/fetch-data", "/nowhere/else", "/fetch-data?limit=nonsense"):
        api.client.get(path)
    found = metrics(api)
    assert found["orders_http_requests_total[('path', '/fetch-data'), ('status', '200')]"] == 2
    assert found["orders_http_requests_total[('path', '/fetch-data'), ('status', '400')]"] == 1
    assert found["orders_http_requests_total[('path', '(other)'), ('status', '404')]"] == 1
    assert found["orders_http_request_seconds_count[('path', '/fetch-data')]"] == 3


def test_metrics_want_a_key(api: Sidecar) -> None:
    assert httpx.get(f"{api.url}/metrics").status_code == 401
