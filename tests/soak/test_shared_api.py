"""API hosts on a shared cache, behind a load balancer, while one is paused or lags."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import publish
from filelock import FileLock
from shared_hosts import api_host, database, shared
from sidecar_process import KEY, Sidecar, sync, worker
from waiting import wait_for

from cache.storage.store import Cache
from lab.nginx import Nginx, server
from lab.postgresql import Running, folder_for_servers
from lab.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

LAG_SECONDS = 2.0


@contextmanager
def balancer(hosts: list[Sidecar]) -> Iterator[str]:
    """nginx, which asks the hosts in turn, and the next one where one does not answer."""
    port = free_port()
    upstream = "".join(f"server {host.url.removeprefix('http://')} max_fails=1 fail_timeout=2s; " for host in hosts)
    location = (
        "location / { proxy_pass http://apis; proxy_read_timeout 8s; proxy_set_header Host $http_host; "
        "proxy_next_upstream error timeout non_idempotent; }"
    )
    with folder_for_servers() as folder:
        nginx = Nginx(folder, port, f"upstream apis {{ {upstream} }}\n{server(port, location)}")
        with Running(nginx, folder):
            yield f"http://127.0.0.1:{port}"


class Worker(threading.Thread):
    """Answers each request with a sync that publishes, and another row each time."""

    def __init__(self, cache: Cache) -> None:
        super().__init__()
        self._cache = cache
        self._ended = threading.Event()

    def run(self) -> None:
        rows = 10
        while not self._ended.wait(0.05):
            if self._cache.status().queued:
                rows += 1
                with sync(self._cache, rows):
                    pass

    def end(self) -> None:
        self._ended.set()
        self.join()


class Trouble(threading.Thread):
    """Pauses one host, and lets its copy lag, in turn."""

    def __init__(self, host: Sidecar, pause: float) -> None:
        super().__init__()
        self._host = host
        self._pause = pause
        self._ended = threading.Event()
        self.happened = 0

    def run(self) -> None:
        while not self._ended.wait(random.uniform(0.2, 0.8)):
            self.happened += 1
            if self.happened % 2:
                os.kill(self._host.process.pid, signal.SIGSTOP)
                self._ended.wait(self._pause)
                os.kill(self._host.process.pid, signal.SIGCONT)
            else:
                with FileLock(self._host.folder / "copy" / "mirror.lock"):
                    self._ended.wait(LAG_SECONDS)

    def end(self) -> None:
        self._ended.set()
        self.join()


class Client:
    """Follows the shop through the load balancer. Whatever it was told once stays true."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=30)
        self.generation = 0
        body = self.get("/fetch-data")
        self._since = str(body["generation"])
        self._ids = {row["id"] for row in body["data"]}

    def get(self, path: str) -> dict[str, Any]:
        response = self._http.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        body: dict[str, Any] = response.json()
        return body

    def follow(self) -> None:
        """`since` never goes back."""
        more = True
        while more:
            body = self.get(f"/changes?since={self._since}")
            assert body["generation"] >= int(self._since.split("-")[0].split(".")[0])
            self._ids |= {row["id"] for row in body["inserted"]}
            self._ids -= {row["id"] for row in body["deleted"]}
            self._since, more = body["next"], body["more"]

    def page(self) -> None:
        """`after` stays with its generation, whichever host answers."""
        body = self.get("/fetch-data?limit=4")
        generation, ids = body["generation"], [row["id"] for row in body["data"]]
        while body["next"]:
            body = self.get(f"/fetch-data?limit=4&after={body['next']}")
            assert body["generation"] == generation
            ids += [row["id"] for row in body["data"]]
        assert len(set(ids)) == len(ids) == generation + 9  # each sync adds a row

    def refresh(self) -> None:
        """A request that is completed stays so, and its generation is there for `since`."""
        answer = self._http.post("/refresh")
        assert answer.status_code == 202, answer.text
        path = f"/tasks/{answer.json()['task_id']}"
        task = wait_for(lambda: (found := self.get(path))["status"] == "completed" and found, 30)
        for _ in range(4):
            assert self.get(path)["status"] == "completed"
        self.generation = max(self.generation, task["generation"])

    def wait(self) -> None:
        """`wait` answers with a generation that is not older than what was known before."""
        body = self.get("/fetch-data?limit=1&wait=true")
        assert body["generation"] > self.generation
        self.generation = body["generation"]

    def end(self) -> int:
        self.follow()
        body = self.get("/fetch-data")
        self._http.close()
        assert {row["id"] for row in body["data"]} == self._ids
        return int(body["generation"])


@pytest.mark.soak
@pytest.mark.parametrize(("seconds", "pause"), [(8, 2), (120, 12)])
def test_two_hosts_behind_a_balancer_never_go_back(tmp_path: Path, seconds: int, pause: float) -> None:
    with database() as (postgresql, _), shared(postgresql.url(), tmp_path) as cache, ExitStack() as stack:
        with cache.sync_lock():
            publish(cache, 10)
        hosts = [stack.enter_context(api_host(postgresql.url(), tmp_path, name)) for name in ("one", "two")]
        stack.enter_context(worker(cache))
        url = stack.enter_context(balancer(hosts))
        for host in hosts:
            wait_for(lambda host=host: host.client.get("/fetch-data?limit=0").status_code == 200)
        client = Client(url)
        threads = [Worker(cache), trouble := Trouble(hosts[1], pause)]
        for thread in threads:
            thread.start()
        rounds = 0
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for step in (client.follow, client.refresh, client.follow, client.page, client.wait):
                    step()
                rounds += 1
        finally:
            for thread in threads:
                thread.end()
        wait_for(lambda: len({host.client.get("/fetch-data?limit=0").json()["generation"] for host in hosts}) == 1)
        print(f"{rounds} rounds, {trouble.happened} pauses and lags, generation {client.end()}")
        assert rounds > 0
        assert trouble.happened > 1
