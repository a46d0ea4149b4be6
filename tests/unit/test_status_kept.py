"""`GET /status` from memory: it says what the slow form says, at once after each change, and ages as of now."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import cache_in, confirm, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from sidecar_process import KEY, served_here, worker

from api.routes import status as module
from api.routes.snapshot_view import SnapshotViews
from api.routes.status import StatusEndpoints
from cache.access.masking import MaskRules
from cache.errors import Trouble
from cache.settings import Settings
from cache.storage.documents import RESTARTS
from cache.storage.local.journal import Journal
from cache.storage.records import Progress, Run, Worker, now
from cache.storage.store import Cache

BROKEN = Trouble(code="x", message="It broke.", advice="Mend it.")
NOON = datetime(2025, 12, 29, 12, tzinfo=UTC)


class Polled:
    """The endpoint over a cache, and another one that has nothing in memory."""

    def __init__(self, cache: Cache) -> None:
        loaded = Settings.load()
        self.cache = cache
        self.views = SnapshotViews(cache, MaskRules.of(loaded))
        self.make: Callable[[], StatusEndpoints] = lambda: StatusEndpoints(cache, loaded, self.views)
        self.endpoint = self.make()
        self.from_memory = 0

    def ask(self, endpoint: StatusEndpoints | None = None) -> dict[str, Any]:
        """A response as the API gives it: from memory if it is there."""
        asked = endpoint or self.endpoint
        kept = asked.try_prepared()
        self.from_memory += kept is not None
        response = kept or asyncio.run(asked.status(None))  # type: ignore[arg-type]  # it reads nothing of a request
        body: dict[str, Any] = json.loads(b"".join(response.chunks))
        return body

    def ask_slowly(self) -> dict[str, Any]:
        return self.ask(self.make())


@pytest.fixture
def polled(tmp_path: Path) -> Iterator[Polled]:
    with closing(cache_in(tmp_path)) as cache:
        yield Polled(cache)


class Clock:
    """A clock that the test sets."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@contextmanager
def clock_of_status() -> Iterator[Clock]:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(now())
        patch.setattr(module, "now", clock)
        yield clock


# -- what changes


class Steps:
    """What processes do to a cache. Each method is one step."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.run: Run | None = None
        self.worker = Worker()
        self.published = 0

    def publish(self) -> None:
        self.published += 1
        publish(self.cache, self.published, verified_at=NOON)

    def confirm(self) -> None:
        if self.published:
            confirm(self.cache)

    def begin(self) -> None:
        if self.run is None:
            self.run = Run(trigger="test")
            self.cache.runs.begin(self.run)

    def report(self) -> None:
        if self.run:
            done = self.run.progress.done + 1
            self.run = self.run.model_copy(update={"progress": Progress(phase="rows", done=done, total=9)})
            self.cache.runs.report(self.run)

    def finish(self) -> None:
        if self.run:
            self.cache.runs.finish(self.run.model_copy(update={"outcome": "failed", "error": BROKEN}))
            self.run = None

    def request(self) -> None:
        if self.cache.leadership.workers():
            self.cache.runs.request("test")

    def heartbeat(self) -> None:
        self.cache.leadership.heartbeat(self.worker)

    def plan(self) -> None:
        self.worker = self.worker.model_copy(update={"next_sync": now() + timedelta(hours=1)})
        self.cache.leadership.heartbeat(self.worker)

    def resign(self) -> None:
        self.cache.leadership.resign(self.worker)

    def crash(self) -> None:
        self.cache.documents.change(RESTARTS, lambda restarts: restarts.add("api", "It was killed.", now()))


SEEN = ("heartbeat", "publish", "request", "begin", "report", "finish", "plan", "confirm", "crash", "resign")
STEPS = [name for name in vars(Steps) if not name.startswith("_")]


def test_each_change_is_seen_at_once(polled: Polled) -> None:
    steps = Steps(polled.cache)
    with clock_of_status() as clock:  # it stands still, so that only changes make a response outdated
        clock.at = clock.at.replace(microsecond=0)
        for name in SEEN:
            polled.ask()
            before = polled.ask()
            assert polled.endpoint.try_prepared(), name
            getattr(steps, name)()
            after = polled.ask()
            assert after != before, name
            assert after == polled.ask_slowly(), name


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), max_size=12))
def test_memory_says_what_the_slow_form_says(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(cache_in(Path(folder))) as cache, clock_of_status() as clock:
        polled, taken = Polled(cache), Steps(cache)
        for name, asked in steps:
            getattr(taken, name)()
            for _ in range(asked):
                assert polled.ask() == polled.ask_slowly()
            clock.at += timedelta(milliseconds=300)
        polled.ask(), polled.ask()
        assert polled.ask() == polled.ask_slowly()
        assert polled.from_memory


def test_another_process_is_seen_at_once_too(polled: Polled, tmp_path: Path) -> None:
    with clock_of_status(), closing(cache_in(tmp_path)) as other:
        polled.ask()
        assert polled.ask()["update_in_progress"] is False
        other.runs.begin(Run(trigger="test"))
        assert polled.ask()["update_in_progress"] is True


# -- what time alone changes


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, {"cache_age_minutes": 44, "timestamp_iso": "2025-12-29T12:44:59Z"}),
        (0.4, {"cache_age_minutes": 44, "timestamp_iso": "2025-12-29T12:44:59Z"}),
        (0.5, {"cache_age_minutes": 45, "timestamp_iso": "2025-12-29T12:44:59Z"}),
        (1, {"cache_age_minutes": 45, "timestamp_iso": "2025-12-29T12:45:00Z"}),
        (3600, {"cache_age_minutes": 104, "timestamp_iso": "2025-12-29T13:44:59Z"}),
        (-1, {"cache_age_minutes": 44, "timestamp_iso": "2025-12-29T12:44:58Z"}),
        (-3600, {"cache_age_minutes": 0, "timestamp_iso": "2025-12-29T11:44:59Z"}),
    ],
)
def test_ages_are_those_of_the_moment(polled: Polled, seconds: float, expected: Mapping[str, object]) -> None:
    publish(polled.cache, 3, verified_at=NOON - timedelta(milliseconds=500))
    with clock_of_status() as clock:
        clock.at = NOON + timedelta(minutes=44, seconds=59)
        polled.ask()
        assert polled.ask()["cache_age_minutes"] == 44
        assert polled.endpoint.try_prepared()
        clock.at += timedelta(seconds=seconds)
        body = polled.ask()
    assert {name: body[name] for name in expected} == expected


def test_a_worker_that_falls_silent_is_seen_soon(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    polled.cache.leadership.heartbeat(Worker())
    with clock_of_status() as clock:
        polled.ask()
        assert polled.ask()["worker"]["alive"] is True
        later = now() + timedelta(seconds=9)
        monkeypatch.setattr("cache.storage.local.leadership.now", lambda: later)
        clock.at += timedelta(seconds=module.SECONDS_KEPT)
        assert polled.ask()["worker"]["alive"] is False


# -- how it is served


def test_while_one_reads_others_are_served_for_a_while(polled: Polled) -> None:
    async def kept_after(seconds: float, clock: Clock) -> bool:
        start = clock.at
        async with polled.endpoint._reading:
            clock.at += timedelta(seconds=seconds)
            kept = polled.endpoint.try_prepared()
        clock.at = start
        return kept is not None

    with clock_of_status() as clock:
        polled.ask()
        polled.ask()
        served = [asyncio.run(kept_after(factor * module.SECONDS_KEPT, clock)) for factor in (0.5, 1.5, 2, 60)]
        clock.at += timedelta(seconds=module.SECONDS_KEPT)
        assert polled.endpoint.try_prepared() is None
    assert served == [True, True, False, False]


def test_a_write_that_waits_does_not_hold_the_status_up(polled: Polled, tmp_path: Path) -> None:
    """Another process holds the journal, and a thread of this one waits for it."""
    with clock_of_status(), closing(Journal(next(tmp_path.rglob("journal.sqlite")))) as other:
        polled.ask()
        before = polled.ask()
        with other.write():
            thread = threading.Thread(target=polled.cache.runs.begin, args=(Run(trigger="test"),))
            thread.start()
            time.sleep(0.1)  # it has taken the lock of its connection
            began = time.monotonic()
            assert polled.ask() == before
            assert time.monotonic() - began < 5
        thread.join()
        assert polled.ask()["update_in_progress"] is True


def test_clients_that_poll_together_cause_one_look(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    status = Cache.status

    def counted(cache: Cache) -> Any:
        looks.append(time.monotonic())
        return status(cache)

    monkeypatch.setattr(Cache, "status", counted)
    with clock_of_status():
        polled.ask()
        polled.endpoint._kept = None
        looks.clear()

        async def poll() -> None:
            await asyncio.gather(*(polled.endpoint.status(None) for _ in range(20)))  # type: ignore[arg-type]

        asyncio.run(poll())
    assert len(looks) == 1


@pytest.mark.slow
def test_both_ways_send_the_same_headers_and_keep_their_rules(tmp_path: Path) -> None:
    with served_here(tmp_path, 3) as (url, cache), httpx2.Client(base_url=url) as client, worker(cache):
        answers = [client.get("/status", headers={"X-API-Key": KEY}) for _ in range(5)]
        slow = client.get("/status?signature=1", headers={"X-API-Key": KEY})  # goes the usual way
        varying = ("x-request-id", "date")
        for answer in answers:
            assert {k: v for k, v in answer.headers.items() if k not in varying} == {
                k: v for k, v in slow.headers.items() if k not in varying
            }
            assert list(answer.json()) == list(slow.json())
        assert client.get("/status").status_code == client.get("/status", headers={"X-API-Key": "x"}).status_code == 401
        head = client.head("/v1/status?t=1", headers={"X-API-Key": KEY})
        assert (head.status_code, head.content) == (200, b"")
        client.post("/refresh", headers={"X-API-Key": KEY})
        assert client.get("/status", headers={"X-API-Key": KEY}).json()["update_in_progress"] is True
