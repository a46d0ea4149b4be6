"""Costly queries found by search, beside a client that asks for `/health`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cache_factory import order, publish
from costly_queries import COSTLIEST, addresses, ask, costly_client, polling
from hypothesis import HealthCheck, given, settings, target
from sidecar_process import sidecar

HEALTH_SECONDS = 0.1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_health_answers_beside_the_costliest_queries(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api, costly_client(api.url) as client, polling(api.url) as health:
        publish(api.cache, 5_000)
        publish(api.cache, [{**order(i), "note": "changed"} for i in range(5_000)])

        @settings(max_examples=1_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(address=addresses)
        def search(address: str) -> None:
            started = time.perf_counter()
            assert ask(client, address) in (200, 400, 503), address
            target(time.perf_counter() - started)

        for address in COSTLIEST:
            ask(client, address)
        search()
    assert health.p99 < HEALTH_SECONDS
