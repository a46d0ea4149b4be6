"""No request keeps the others waiting, whatever it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cache_factory import order, publish
from costly_queries import COSTLIEST, ask, costly_client, longest_turn
from sidecar_process import Sidecar, served_here, sidecar
from waiting import wait_for

pytestmark = pytest.mark.slow

ROWS = 5_000
TURN_SECONDS = 0.005  # of the event loop


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("costly")) as running:
        publish(running.cache, ROWS)
        yield running


@pytest.mark.soak
def test_no_query_blocks_the_event_loop_for_5_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that took longer is asked of further servers, each new, since a busy machine only adds to its time."""
    late: Sequence[str] = COSTLIEST
    for n in range(3):
        late = late_turns(late, tmp_path / str(n), monkeypatch) if late else late
    assert [address[:80] for address in late] == []


def late_turns(addresses: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses for which the event loop of a new server takes longer than TURN_SECONDS in one turn."""
    late = []
    monkeypatch.setattr("uvicorn.Config.get_loop_factory", lambda _: asyncio.SelectorEventLoop)  # it is measured
    with served_here(folder, ROWS) as (url, cache), costly_client(url) as client:
        publish(cache, [{**order(i), "note": "changed"} for i in range(ROWS)])
        for address in ("/fetch-data?limit=1", "/figures?limit=1", "/changes?since=1&limit=1"):
            assert ask(client, address) == 200
        with longest_turn(monkeypatch) as turns:
            for address in addresses:
                turns.clear()
                assert ask(client, address) in (200, 400, 401, 503)
                wait_for(lambda: turns)  # the response may come before its turn is noted
                if max(turns) >= TURN_SECONDS:
                    late.append(address)
    return late


@pytest.mark.parametrize("name", ["sort", "facet", "fields"])
def test_a_column_is_named_once_and_twenty_at_most(api: Sidecar, name: str) -> None:
    join = (lambda names: "&".join(f"facet={each}" for each in names)) if name == "facet" else ",".join
    prefix = "" if name == "facet" else f"{name}="
    twice = api.client.get(f"/fetch-data?{prefix}{join(['id', 'name', 'id'])}")
    many = api.client.get(f"/fetch-data?{prefix}{join([f'c{i}' for i in range(21)])}")
    assert [each.json()["code"] for each in (twice, many)] == ["parameter_invalid"] * 2
    assert "'id' twice" in twice.json()["message"]
    assert "20 at most" in many.json()["message"]


def test_a_column_is_not_sorted_by_in_both_directions(api: Sidecar) -> None:
    assert "'id' twice" in api.client.get("/fetch-data?sort=id,-id").json()["message"]


@pytest.mark.parametrize("path", ["/fetch-data", "/figures", "/changes"])
def test_a_request_has_200_parameters_at_most(api: Sidecar, path: str) -> None:
    answer = api.client.get(f"{path}?{'&'.join(['_=1'] * 201)}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    assert "200 parameters" in answer.json()["message"]
