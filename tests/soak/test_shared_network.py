"""Hosts in network namespaces share a cache: a leader that is cut off stops, another leads, and all learn of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from network import Network, network
from shared_workers import SharedWorker
from waiting import wait_for

from cache.storage.records import SILENT_AFTER
from lab.postgresql import PostgreSQL, Running, folder_for_servers, install_postgresql
from scraper.scheduler import HEARTBEAT_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STOP_SECONDS, NOTICE_SECONDS = 6.0, 2.5
TAKEOVER_SECONDS = 9.0  # mostly; a standby that has just tried needs a heartbeat more
LATEST_SECONDS = SILENT_AFTER.total_seconds() + HEARTBEAT_SECONDS
LOOK_SECONDS = 0.5  # a machine that runs other tests beside these looks late
HOSTS = ("one", "two", "three")
SKEWS = (5, -5, 0)  # minutes


@contextmanager
def database(address: str = "") -> Iterator[PostgreSQL]:
    install_postgresql()
    with folder_for_servers() as home:
        server = PostgreSQL(home, network=address)
        with Running(server, home):
            yield server


def rows(server: PostgreSQL, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def newest(server: PostgreSQL) -> int:
    found = rows(server, "SELECT COALESCE(max(generation), 0) FROM orders_cache.terms")[0][0]
    assert isinstance(found, int)
    return found


def leader(workers: list[SharedWorker]) -> SharedWorker | None:
    return next((worker for worker in workers if worker.last("leads")), None)


@pytest.mark.soak
@pytest.mark.parametrize("rounds", [1, 10])
def test_a_leader_that_is_cut_off_stops_before_another_leads(tmp_path: Path, rounds: int) -> None:
    with network() as joined, database(joined.address) as server, ExitStack() as stack:
        numbers = {name: joined.add() for name in HOSTS}
        workers = []
        for name, number in numbers.items():
            worker = SharedWorker(server.network_url(), tmp_path, name, prefix=joined.command(number), sync_seconds=1)
            stack.callback(worker.kill)
            workers.append(worker)
        wait_for(lambda: leader(workers))
        wait_for(lambda: all(worker.last("seen") == 1 for worker in workers), 90)
        told = [_cut(joined, server, workers, numbers) for _ in range(rounds)]
        stops, takeovers, notices = (max(times) for times in zip(*told, strict=True))
        print(
            f"stopped after {stops:.2f} s, another leads after {takeovers:.2f} s, known {notices:.2f} s after healing"
        )
        assert stops <= STOP_SECONDS + LOOK_SECONDS
        assert takeovers <= TAKEOVER_SECONDS + LOOK_SECONDS
        assert notices <= NOTICE_SECONDS + LOOK_SECONDS


def _cut(
    joined: Network, server: PostgreSQL, workers: list[SharedWorker], numbers: dict[str, int]
) -> tuple[float, float, float]:
    """Cuts off the leader while its sync runs. Returns after how many seconds what happened."""
    old = wait_for(lambda: leader(workers))
    others = [worker for worker in workers if worker is not old]
    before = newest(server)
    old.request()
    wait_for(lambda: old.last("syncs"))
    cut = time.monotonic()
    joined.cut(numbers[old.name])
    stopped = wait_for(lambda: old.first("leads", False, cut))
    ended = wait_for(lambda: old.first("syncs", False, cut))
    new = wait_for(lambda: leader(others))
    takeover = new.first("leads", True, cut)
    assert takeover is not None
    assert stopped < takeover
    new.request()
    wait_for(lambda: newest(server) > before and not new.last("syncs"))
    published = newest(server)
    assert old.last("seen") != published
    time.sleep(max(0.0, cut + 12 - time.monotonic()))  # so long that its connections are given up
    healed = time.monotonic()
    joined.heal(numbers[old.name])
    wait_for(lambda: all(int(str(worker.last("seen"))) >= published for worker in workers))
    known = max(worker.first("seen", worker.last("seen"), healed) or 0.0 for worker in workers)
    wait_for(lambda: newest(server) == published and sum(bool(worker.last("leads")) for worker in workers) == 1)
    return max(stopped, ended), takeover, known


@pytest.mark.soak
@pytest.mark.parametrize("turns", [1, 10])
def test_one_sync_answers_a_request_whatever_the_clocks_say(tmp_path: Path, turns: int) -> None:
    """The leaders change at each request."""
    with database() as server, ExitStack() as stack:
        workers = []
        for name, minutes in zip(HOSTS, SKEWS, strict=True):
            worker = SharedWorker(server.url(), tmp_path, name, minutes=minutes)
            stack.callback(worker.kill)
            workers.append(worker)
        wait_for(lambda: all(worker.last("seen") == 1 for worker in workers), 90)
        requests = 0
        for turn in range(turns * len(workers)):
            requests += 1
            workers[turn // turns].request()
            wait_for(lambda: _completed(server) == requests)  # noqa: B023
            led = wait_for(lambda: leader(workers))
            led.resign()
            others = [worker for worker in workers if worker is not led]
            wait_for(lambda others=others: leader(others))  # type: ignore[misc]
            led.start()
        asked = "SELECT id FROM orders_cache.runs WHERE body ->> 'trigger' = 'request' ORDER BY n"
        answered = "SELECT run FROM orders_cache.tasks ORDER BY n"
        runs = rows(server, answered)
        assert len(set(runs)) == requests  # each by a sync of its own
        assert set(rows(server, asked)) <= set(runs)  # and none that answered nothing
        assert rows(server, "SELECT id FROM orders_cache.runs WHERE outcome <> 'published'") == []


def _completed(server: PostgreSQL) -> int:
    states = rows(server, "SELECT count(*) FROM orders_cache.tasks WHERE state = 'completed'")
    found = states[0][0]
    assert isinstance(found, int)
    return found
