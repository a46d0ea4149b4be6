"""Hosts on one PostgreSQL: the cache as the worker has it, and APIs and a dashboard with copies of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
from dashboard_process import Dashboard, dashboard
from sidecar_process import KEY, Sidecar, sidecar

from cache.storage.shared.shared_cache import open_shared
from cache.storage.store import Cache
from lab.postgresql import PostgreSQL, Running, folder_for_servers, install_postgresql

SOURCE = "orders"  # CACHE_NAME
RECOVERY_SECONDS = 5
PATHS = ("/fetch-data?limit=100", "/fetch-data", "/changes?since=1", "/status", "/health")


@contextmanager
def database() -> Iterator[tuple[PostgreSQL, Running]]:
    install_postgresql()
    with folder_for_servers() as home:
        postgresql = PostgreSQL(home)
        with Running(postgresql, home) as running:
            yield postgresql, running


@contextmanager
def shared(url: str, folder: Path) -> Iterator[Cache]:
    """The cache as the host of the worker has it."""
    with closing(open_shared(url, SOURCE, folder / "worker", "worker")) as cache:
        cache.leadership.workers()  # makes the schema
        yield cache


@contextmanager
def api_host(url: str, folder: Path, name: str) -> Iterator[Sidecar]:
    (folder / name).mkdir()
    with sidecar(folder / name, CACHE_URL=url, CACHE_FOLDER=str(folder / name / "copy")) as host:
        yield host


@contextmanager
def dashboard_host(url: str, folder: Path) -> Iterator[Dashboard]:
    own = folder / "dashboard"
    own.mkdir()
    settings = {"ORDERS_API_KEY": KEY, "DASHBOARD_PASSWORD": ""}
    with dashboard(own, CACHE_URL=url, CACHE_FOLDER=str(own / "copy"), **settings) as shown:
        yield shown


def trouble_of(api: Sidecar) -> dict[str, Any]:
    """Why the API cannot use the shared cache, as it says itself."""
    return api.client.get("/status").json()["cache_error"] or {}


def read_all(client: httpx2.Client, urls: list[str], seconds: float) -> list[float]:
    """How long each request took, in at least one round. All are answered."""
    times = []
    end = time.monotonic() + seconds
    while not times or time.monotonic() < end:
        for url in urls:
            began = time.monotonic()
            response = client.get(url)
            times.append(time.monotonic() - began)
            assert response.status_code == 200, f"{url}: {response.status_code} {response.text}"
        time.sleep(0.05)
    return times
