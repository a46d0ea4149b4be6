"""Dashboard, API, scheduler and syncs on a machine with 512 MB: the kernel kills none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import psutil
import pytest
from busy_clients import BusyClient, keys_of_clients
from cache_factory import cache_in
from paths import ROOT
from playwright.sync_api import Browser, Page, expect
from small_machine import Sampler, memory_cgroup, removed_at_end
from waiting import wait_for

from cache.storage.records import Run
from cache.storage.store import Cache
from lab import Lab
from lab.servers import free_port

MEMORY = 512 << 20
ORDERS, SYNCS = 100_000, 50
CLIENTS, VISITORS = 20, 3
PAUSE = 30  # seconds, the most between two requests of a client
PAGES = ("/", "/explore", "/what-changed", "/orders", "/products", "/customers", "/taxes", "/data", "/api", "/set-up")
SYNC_SECONDS = 600
PAGE_SECONDS = 120  # on two cores, beside a sync and twenty clients
KEY = "a-key-for-the-small-machine"


class SmallMachine:
    """The product on a machine with MEMORY: `serve.py` with `arguments`, and `settings` beside those of the lab."""

    def __init__(self, lab: Lab, folder: Path, sampler: Sampler, address: str, dashboard: str, process: psutil.Popen):
        self.lab = lab
        self.folder = folder
        self.sampler = sampler
        self.api, self.dashboard = address, dashboard
        self.process = process
        self.cache: Cache = cache_in(folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def request_sync(self) -> str:
        task = httpx2.post(f"{self.api}/refresh", headers={"X-API-Key": KEY}, timeout=60).json()["task_id"]
        return str(task)

    def ended(self, task: str) -> bool:
        return self.cache.runs.task(task).ended

    def last_run(self) -> Run:
        return self.cache.runs.recent(1)[0]


@contextmanager
def small_machine(
    lab: Lab, folder: Path, *arguments: str, in_cgroup: bool = True, **settings: str
) -> Iterator[SmallMachine]:
    """Runs the product inside MEMORY; its peaks are printed at the end. It is up once its first sync has ended.

    Where no memory cgroup is wanted, or none can be made, MEMORY_LIMIT_MB says how much memory there is, and all
    processes together hold less.
    """
    ports = {"API_PORT": str(free_port()), "DASHBOARD_PORT": str(free_port())}
    dashboard = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
    api = dashboard if arguments else f"http://127.0.0.1:{ports['API_PORT']}"
    temporary = TemporaryDirectory()  # a short name, for Chrome
    environment = {
        **os.environ,
        **lab.settings(),
        **ports,
        "DATA_DIR": str(folder / "var"),
        "CACHE_URL": f"file:{folder / 'cache'}",
        "TMPDIR": temporary.name,
        "HOME": temporary.name,
        "PYTHONPATH": str(ROOT),
        "SHOPIFY_API_KEY": KEY,
        "RATE_LIMIT": "off",
        "REFRESH_MIN_SECONDS": "0",
        **settings,
    }
    cgroup = memory_cgroup(MEMORY) if in_cgroup else None
    if cgroup is None:
        environment["MEMORY_LIMIT_MB"] = str(MEMORY >> 20)
    with (
        temporary,
        removed_at_end(cgroup) if cgroup else nullcontext(),
        (folder / "log").open("ab") as log,
        psutil.Popen(
            [sys.executable, str(ROOT / "serve.py"), *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=cgroup.enter if cgroup else None,
        ) as process,
    ):
        try:
            with Sampler(process, cgroup) as sampler:
                running = SmallMachine(lab, folder, sampler, api, dashboard, process)
                with closing(running.cache):
                    try:
                        wait_for(lambda: running.cache.snapshots.head() is not None, 300)
                        yield running
                    finally:
                        print(sampler.report(), flush=True)
                if cgroup:
                    assert cgroup.kills == 0
                else:
                    assert sampler.peak < MEMORY
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.soak
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("in_cgroup", [True, False])
@pytest.mark.parametrize("login", ["http", "auto"])  # Chrome is installed
def test_512_mb_are_enough_for_all(lab: Lab, here: Path, browser: Browser, login: str, in_cgroup: bool) -> None:
    if lab.rows() != ORDERS:
        lab.seed(ORDERS)
    with small_machine(lab, here, "--one-port", in_cgroup=in_cgroup, PHPMYADMIN_LOGIN=login) as machine:
        keys = keys_of_clients(machine.cache, CLIENTS)
        clients = [BusyClient(machine.api, key, number, PAUSE) for number, key in enumerate(keys)]
        pages = [browser.new_context().new_page() for _ in range(VISITORS)]
        for client in clients:
            client.start()
        try:
            outcomes = Counter(_sync(machine, pages, number) for number in range(SYNCS))
        finally:
            for client in clients:
                client.end()
        statuses = {
            kind: sum((c.statuses for c in clients if c.kind == kind), Counter[int]())
            for kind in sorted({client.kind for client in clients})
        }
        print(outcomes, statuses, f"{sum(client.bytes for client in clients) >> 20} MB sent", flush=True)
        assert outcomes.keys() <= {"published", "unchanged"}
        assert [fault for client in clients for fault in client.faults] == []
        assert statuses["paged"][200] and statuses["changes"][200]
        assert "Traceback" not in machine.log
        assert "started again" not in machine.log
    for page in pages:
        page.close()


def _sync(machine: SmallMachine, pages: list[Page], number: int) -> str:
    """One sync of what a live shop changed, while visitors open pages; its outcome."""
    machine.lab.mutate(seed=number)
    task = machine.request_sync()
    for place, page in enumerate(pages):
        path = PAGES[(number + place) % len(PAGES)]
        page.goto(f"{machine.dashboard}{path}?period=all", timeout=PAGE_SECONDS * 1000)
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PAGE_SECONDS * 1000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    wait_for(lambda: machine.ended(task), SYNC_SECONDS)
    if number % 10 == 9:
        print(f"after {number + 1} syncs: {machine.sampler.report()}", flush=True)
    return machine.last_run().outcome
