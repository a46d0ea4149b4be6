"""Readers of a shared cache without their database; for ten minutes: tests/soak/test_database_outage.py."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from cache_factory import publish
from shared_hosts import PATHS, RECOVERY_SECONDS, api_host, dashboard_host, database, read_all, shared, trouble_of
from sidecar_process import worker
from waiting import wait_for

pytestmark = pytest.mark.slow

SLOWEST = 1.0  # seconds of a request, with the database and without it


def test_readers_go_on_at_full_speed_without_the_database(tmp_path: Path) -> None:
    with database() as (postgresql, running), shared(postgresql.url(), tmp_path) as cache, ExitStack() as stack:
        with cache.sync_lock():
            publish(cache, 500)
        beats = stack.enter_context(ExitStack())
        beats.enter_context(worker(cache))
        api = stack.enter_context(api_host(postgresql.url(), tmp_path, "api"))
        shown = stack.enter_context(dashboard_host(postgresql.url(), tmp_path))
        urls = [*(f"{api.url}{path}" for path in PATHS), f"{shown.url}/", f"{shown.url}/_stcore/health"]
        wait_for(lambda: api.client.get(PATHS[0]).status_code == 200)
        with_it = read_all(api.client, urls, 3)
        beats.close()
        postgresql.stop_at_once()
        wait_for(lambda: trouble_of(api).get("code") == "cache_unreachable", RECOVERY_SECONDS)
        without = read_all(api.client, urls, 5)
        told = trouble_of(api)["message"]
        assert "You see this host's copy of" in told
        assert postgresql.password not in told
        running.start()
        with worker(cache):
            wait_for(lambda: trouble_of(api) == {}, RECOVERY_SECONDS)
            with cache.sync_lock():
                head = publish(cache, 501)
            wait_for(lambda: api.client.get(PATHS[0]).json()["generation"] == head.generation, RECOVERY_SECONDS)
        assert max(without) < max(SLOWEST, 2 * max(with_it))
