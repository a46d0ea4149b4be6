"""On a small machine, one worker process is there at a time, whatever its work is, and none while a sync runs."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from cache_factory import publish
from costly_queries import ask, costly_client
from sidecar_process import served_here
from waiting import wait_for

from cache.cache_place import CachePlace
from cache.errors import ScanBusy, ScanFailed
from cache.export import processes
from cache.export.processes import WorkerProcesses
from cache.export.slots import Slots
from cache.machine import memory_turns
from cache.machine.memory_turns import MemoryTurns
from cache.storage.store import Cache

pytestmark = pytest.mark.slow


@pytest.fixture
def place(cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch) -> CachePlace:
    for module in (processes, memory_turns):
        monkeypatch.setattr(module, "is_small", lambda: True)
    publish(cache, 4)
    return CachePlace.of_files(here / "cache", here / "var/kept")


def workers() -> list[str]:
    """The work of each worker that runs."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            words = wait_for(child.cmdline)  # for a moment after its start it has none
            if "cache.export.worker" in words:
                found.append(words[words.index("cache.export.worker") + 1])
    return found


def test_workers_of_all_kinds_take_turns(place: CachePlace) -> None:
    async def main() -> None:
        scans, figures = WorkerProcesses("scan", place), WorkerProcesses("figures", place)
        seen: list[list[str]] = []

        async def work(pool: WorkerProcesses, key: str) -> None:
            async with pool.take(slots, key, 60):
                seen.append(workers())
                await asyncio.sleep(0.05)

        slots = Slots(8)
        try:
            await asyncio.gather(*(work(pool, f"{n}") for n, pool in enumerate([scans, figures, scans, figures])))
            assert seen == [["scan"], ["figures"], ["scan"], ["figures"]]
        finally:
            await scans.close()
            await figures.close()

    asyncio.run(main())
    assert workers() == []


def test_a_worker_is_kept_and_ends_first_where_memory_runs_out(place: CachePlace) -> None:
    async def main() -> None:
        scans, slots = WorkerProcesses("scan", place), Slots(8)
        try:
            async with scans.take(slots, "a", 60) as first:
                pass
            async with scans.take(slots, "b", 60) as second:
                assert second is first
                assert workers() == ["scan"]
                (score,) = [
                    Path(f"/proc/{child.pid}/oom_score_adj")
                    for child in psutil.Process().children()
                    if "cache.export.worker" in child.cmdline()
                ]
                wait_for(lambda: score.read_text() == "500\n")
        finally:
            await scans.close()

    asyncio.run(main())


def test_a_turn_that_does_not_come_is_refused(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TURN_SECONDS", 0.1)

    async def main() -> None:
        scans, figures, slots = WorkerProcesses("scan", place), WorkerProcesses("figures", place), Slots(8)
        try:
            async with scans.take(slots, "a", 60):
                with pytest.raises(ScanBusy):
                    async with figures.take(slots, "b", 60):
                        pass
        finally:
            await scans.close()
            await figures.close()

    asyncio.run(main())


def test_all_waiting_of_a_request_together_ends_after_a_minute(place: CachePlace) -> None:
    async def main() -> None:
        scans, slots = WorkerProcesses("scan", place), Slots(8)
        try:
            async with scans.take(slots, "a", 60):
                with pytest.raises(ScanBusy):
                    async with scans.take(slots, "b", 60, since=time.monotonic() - processes.TURN_SECONDS + 0.2):
                        pass
            async with scans.take(slots, "b", 60, since=time.monotonic() - processes.TURN_SECONDS + 5):
                pass
        finally:
            await scans.close()

    asyncio.run(main())


def test_no_worker_is_there_while_a_sync_runs(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scans, slots = WorkerProcesses("scan", place), Slots(8)

        async def use() -> list[str]:
            async with scans.take(slots, "a", 60):
                return workers()

        try:
            assert await use() == ["scan"]
            with MemoryTurns(place.folder).of_sync():
                while workers():  # the idle one goes
                    await asyncio.sleep(0.05)
                with monkeypatch.context() as patch, pytest.raises(ScanBusy, match="A sync runs"):
                    patch.setattr(processes, "TURN_SECONDS", 0.1)
                    await use()
                waiting = asyncio.create_task(use())
                await asyncio.sleep(0.5)
                assert not waiting.done()
                assert workers() == []
            assert await waiting == ["scan"]
        finally:
            await scans.close()

    asyncio.run(main())


def test_a_worker_that_is_killed_while_a_request_waits_for_it_ends_once(place: CachePlace) -> None:
    async def main() -> None:
        scans = WorkerProcesses("scan", place)
        with pytest.raises(ScanFailed):
            async with scans.take(Slots(8), "a", 60) as worker:
                await worker.send({})
                waiting = asyncio.ensure_future(worker.receive())
                await asyncio.sleep(0)
                await scans.close()
                await waiting
        assert not worker.alive
        await scans.close()

    asyncio.run(main())
    assert workers() == []


def test_a_query_that_is_sent_again_waits_for_its_turn_again(tmp_path: Path) -> None:
    """The plan of a query is kept for the next request; the time that this may wait is its own."""
    small = {
        "cache__export__processes__is_small": lambda: True,
        "cache__machine__memory_turns__is_small": lambda: True,
        "cache__export__processes__TURN_SECONDS": 4,
    }
    with served_here(tmp_path, 20, **small) as (url, _), costly_client(url) as client:
        assert [ask(client, "/fetch-data?format=csv") for _ in range(2)] == [200, 200]  # the first one opens the view
        time.sleep(4)
        sync = ExitStack()
        sync.enter_context(MemoryTurns(tmp_path / "cache").of_sync())
        threading.Timer(1, sync.close).start()
        assert ask(client, "/fetch-data?format=csv") == 200
