"""`GET /events`: what happens to the cache, told to every client as it happens."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import httpx2
import pytest
from cache_factory import confirm, publish
from fronts import address_pair
from sidecar_process import KEY, Sidecar, served_here, sidecar, sync, worker

from api.routes.event_feed import EventFeed
from cache.storage.snapshot import ChangeCounts
from cache.storage.store import Cache

pytestmark = pytest.mark.slow

CLIENTS = 100


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 3)
        yield running


def parse_events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream, each with its id."""
    event: dict[str, Any] = {}
    for line in lines:
        line = line.rstrip("\r\n")
        name, _, value = line.partition(": ")
        if not line and event:
            yield event
            event = {}
        elif name == "data":
            event |= json.loads(value)
        elif name in ("id", "event"):
            event[name] = value


def wait_for(events: Iterator[dict[str, Any]], **expected: object) -> dict[str, Any]:
    """The next event with these values. A feed may send events of earlier changes first."""
    return next(event for event in events if event.items() >= expected.items())


def test_it_works(api: Sidecar) -> None:
    with api.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        event = next(parse_events(answer.iter_lines()))
    assert (event["event"], event["type"]) == ("snapshot", "snapshot")
    assert (event["generation"], event["rows"], event["verified"]) == (1, 3, True)


def test_a_sync_sends_its_progress_the_snapshot_and_its_changes(api: Sidecar) -> None:
    with api.client.stream("GET", "/events") as answer:
        events = parse_events(answer.iter_lines())
        next(events)
        with worker(api.cache), sync(api.cache, 5, changes=ChangeCounts(inserted=2)):
            assert wait_for(events, type="progress")["phase"] in ("login", "rows")
        snapshot = wait_for(events, type="snapshot", generation=2)
        changes = wait_for(events, type="changes")
    assert snapshot["rows"] == 5
    assert (changes["since"], changes["generation"], changes["inserted"]) == (1, 2, 5)


def test_generations_between_two_polls_are_one_event_of_changes(cache: Cache) -> None:
    feed = EventFeed(cache)
    publish(cache, 3)
    feed.poll(cache.status())
    publish(cache, 6)
    publish(cache, 5)

    last_event = feed.poll(cache.status()).events[-1].decode()

    assert last_event.startswith("event: changes\n")
    assert '"generation": 3, "since": 1, "inserted": 2, "updated": 0, "deleted": 0' in last_event


def test_a_verification_without_changes_sends_the_same_generation_again(api: Sidecar) -> None:
    with api.client.stream("GET", "/events") as answer:
        events = parse_events(answer.iter_lines())
        first = wait_for(events, type="snapshot")
        confirm(api.cache)
        second = wait_for(events, type="snapshot")
    assert second["generation"] == first["generation"]
    assert second["id"] != first["id"]


def test_a_client_that_comes_back_is_told_only_where_things_have_moved(api: Sidecar) -> None:
    with api.client.stream("GET", "/events") as answer:
        known = next(parse_events(answer.iter_lines()))["id"]
    with api.client.stream("GET", "/events", headers={"Last-Event-ID": known}) as answer:
        events = parse_events(answer.iter_lines())
        publish(api.cache, 4)
        assert wait_for(events, type="snapshot")["generation"] == 2
    with api.client.stream("GET", "/events", headers={"Last-Event-ID": known}) as answer:
        assert wait_for(parse_events(answer.iter_lines()), type="snapshot")["generation"] == 2


def test_an_event_reaches_every_client(api: Sidecar) -> None:
    with ExitStack() as stack:
        streams = [parse_events(stack.enter_context(listening(api.url))) for _ in range(CLIENTS)]
        for stream in streams:
            wait_for(stream, type="snapshot", generation=1)
        publish(api.cache, 4)
        for stream in streams:
            wait_for(stream, type="snapshot", generation=2)


def test_clients_that_read_nothing_or_leave_harm_no_other(api: Sidecar) -> None:
    with listening(api.url):
        with listening(api.url):
            pass
        with listening(api.url) as reading:
            stream = parse_events(reading)
            for _ in range(2, 20):
                publish(api.cache, 3)
            wait_for(stream, type="snapshot", generation=19)
    assert api.client.get("/health").status_code == 200
    assert "Traceback" not in api.log()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cache]]:
    """A server that tells a client soon that it is still served, and drops one soon that takes nothing."""
    waits = {"api__routes__cache_watcher__KEEPALIVE_SECONDS": 0.4, "api__routes__event_feed__STALLED_SECONDS": 0.5}
    with served_here(tmp_path_factory.mktemp("hasty"), 3, **waits) as (url, cache):
        yield url, cache


def test_a_client_is_told_that_it_is_still_served_while_nothing_happens(hasty: tuple[str, Cache]) -> None:
    with listening(hasty[0]) as client:
        keepalives = (line for line in client if line == ": alive\n")
        assert [next(keepalives), next(keepalives)]


def test_a_client_that_stops_reading_is_dropped_while_another_one_goes_on(hasty: tuple[str, Cache]) -> None:
    url, cache = hasty
    head = confirm(cache)
    with listening(url) as stopped, listening(url) as reading:
        events = parse_events(reading)
        for letter in "abcdefghijkl":
            reason = letter * 1_000_000
            cache.snapshots.confirm(head.model_copy(update={"verified": False, "reason": reason}))
            wait_for(events, reason=reason)
        time.sleep(2)
        confirm(cache)
        wait_for(events, verified=True)
        assert stopped.read().count("event: snapshot") < 12


def test_a_shutdown_waits_for_no_client(api: Sidecar) -> None:
    with listening(api.url) as client:
        next(parse_events(client))
        os.kill(api.process.pid, signal.SIGTERM)
        assert api.process.wait(5) == -signal.SIGTERM
        assert client.read().endswith("0\r\n\r\n")


def test_events_want_a_key(api: Sidecar) -> None:
    assert httpx2.get(f"{api.url}/events").status_code == 401


@contextmanager
def listening(url: str) -> Iterator[TextIO]:
    """A client of its own connection, which has asked for the events and read none."""
    with socket.create_connection(address_pair(url), 30) as client:
        client.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        with client.makefile(encoding="utf-8", newline="\n") as lines:
            yield lines
