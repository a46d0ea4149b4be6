"""PostgreSQL is gone for ten minutes. Every reader goes on with its copy, says since when, and recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from cache_factory import publish
from dashboard_page import at_rest, new_tab, visit
from dashboard_process import Dashboard
from playwright.sync_api import Browser, Page, expect
from shared_hosts import PATHS, RECOVERY_SECONDS, api_host, dashboard_host, database, read_all, shared, trouble_of
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, worker
from waiting import wait_for

from dashboard.pages import PAGES

OUTAGE = 600  # seconds
BESIDE = 60  # seconds that are measured before it, and after it
PAGE_SECONDS = 120  # on a busy machine
PAUSE = 1  # second between two rounds of readers
NEWEST = "#1600"  # of a shop of 600 orders


@pytest.mark.soak
@pytest.mark.timeout(OUTAGE + 900)
def test_ten_minutes_without_the_database(tmp_path: Path, browser: Browser) -> None:
    """What each reader says, how fast it is, and that it recovers by itself."""
    rows = shop(600)
    with database() as (postgresql, running), shared(postgresql.url(), tmp_path) as cache, ExitStack() as stack:
        with cache.sync_lock():
            copied = publish(cache, rows[:-1], columns=SHOP_COLUMNS)
        beats = stack.enter_context(ExitStack())
        beats.enter_context(worker(cache))
        api = stack.enter_context(api_host(postgresql.url(), tmp_path, "api"))
        shown = stack.enter_context(dashboard_host(postgresql.url(), tmp_path))
        wait_for(lambda: api.client.get(PATHS[0]).status_code == 200)
        readers = Readers(api, shown, new_tab(browser))
        open_tab = visit(browser, f"{shown.url}/orders?period=all")  # nobody touches it
        readers.read(BESIDE / 4)  # the first answers of each are slower
        before = readers.read(BESIDE)

        beats.close()
        postgresql.stop_at_once()
        began = time.monotonic()
        wait_for(lambda: trouble_of(api).get("code") == "cache_unreachable", RECOVERY_SECONDS)
        banner = open_tab.get_by_role("alert").filter(has_text="This data is not refreshed.")
        expect(banner).to_be_visible()
        print(f"\nboth say it {time.monotonic() - began:.1f} s after the kill")
        without = readers.read(OUTAGE - (time.monotonic() - began))
        since = f"You see this host's copy of {copied.updated_at:%Y-%m-%d %H:%M} UTC."
        _compare("without", without, before)
        status = api.client.get("/status").json()
        print(f"/status: {status['cache_age_minutes']} minutes, {status['cache_error']}")
        print(f"dashboard: {banner.inner_text()}", flush=True)
        for told in (status["cache_error"]["message"], banner.inner_text()):
            assert since in told
            assert postgresql.password not in told
        assert status["cache_age_minutes"] >= OUTAGE // 60
        assert api.client.get("/ready").status_code == 200  # with its copy
        assert api.client.post("/refresh").json()["code"] == "cache_unreachable"
        assert "orders_cache_available 0" in api.client.get("/metrics").text

        running.start()
        began = time.monotonic()
        with worker(cache):
            wait_for(lambda: trouble_of(api) == {}, RECOVERY_SECONDS)
            recovered = time.monotonic() - began
            expect(banner).to_have_count(0)
            print(f"the API recovered after {recovered:.1f} s, the dashboard after {time.monotonic() - began:.1f} s")
            with cache.sync_lock():
                head = publish(cache, rows, columns=SHOP_COLUMNS)
            wait_for(lambda: api.client.get(PATHS[0]).json()["generation"] == head.generation, RECOVERY_SECONDS)
            expect(open_tab.get_by_role("table", name="Orders", exact=True)).to_contain_text(
                NEWEST, timeout=PAGE_SECONDS * 1000
            )
            after = readers.read(BESIDE)
            _compare("after", after, before)
        for log in (api.log(), shown.log()):
            assert "Traceback" not in log


def _compare(when: str, speeds: dict[str, Speed], before: dict[str, Speed]) -> None:
    for name, speed in speeds.items():
        print(f"{name} {when}: {speed}; {speed.against(before[name])} of {before[name]}", flush=True)


@dataclass
class Speed:
    """How long requests took, one after the other, and the processor time of the process that answered them."""

    times: list[float] = field(default_factory=list)
    processor: float = 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.times)} answers, {self.rate:.1f} a second, most {max(self.times):.3f} s, "
            f"{self.cost * 1000:.2f} ms of processor time each"
        )

    @property
    def rate(self) -> float:
        return len(self.times) / sum(self.times)

    @property
    def cost(self) -> float:
        return self.processor / len(self.times)

    def against(self, other: Speed) -> str:
        return f"ratio of rates {self.rate / other.rate:.2f}, of processor time {self.cost / other.cost:.2f}"


class Readers:
    """A client of the API and a visitor of the dashboard. Every request is answered, and every page is drawn."""

    def __init__(self, api: Sidecar, shown: Dashboard, page: Page) -> None:
        self._api = api
        self._shown = shown
        self._page = page

    def read(self, seconds: float) -> dict[str, Speed]:
        """Reads for some seconds, at least every page once: the API's paths ten times, then a page, and so on."""
        speeds = {"API": Speed(), "dashboard": Speed()}
        end = time.monotonic() + seconds
        while not speeds["API"].times or time.monotonic() < end:
            for page in PAGES:
                with _timed(speeds["API"], self._api.process.pid):
                    urls = [f"{self._api.url}{path}" for path in PATHS]
                    speeds["API"].times += read_all(self._api.client, urls * 10, 0)
                with _timed(speeds["dashboard"], self._shown.process.pid):
                    speeds["dashboard"].times.append(self._open("" if page == "overview" else page))
                expect(self._page.get_by_test_id("stException")).to_have_count(0)
                time.sleep(PAUSE)
        return speeds

    def _open(self, path: str) -> float:
        began = time.monotonic()
        self._page.goto(f"{self._shown.url}/{path}?period=all")
        expect(self._page.get_by_role("heading", level=1)).to_be_visible()
        at_rest(self._page)
        return time.monotonic() - began


@contextmanager
def _timed(speed: Speed, pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    before = process.cpu_times()
    yield
    after = process.cpu_times()
    speed.processor += after.user + after.system - before.user - before.system
