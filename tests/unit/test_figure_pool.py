"""The process that computes figures: what it keeps open, how it is bounded, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cache_factory import order, publish

from api.routes import figures
from cache.access.masking import NOTHING_HIDDEN
from cache.analytics.figure_query import FigureQuery
from cache.cache_place import CachePlace
from cache.errors import BadFilter, QueryTimeout, ScanBusy, UnknownGeneration
from cache.export import figure_pool, processes
from cache.export.figure_pool import FigurePool
from cache.export.figure_request import FigureRequest, OrdersSource
from cache.storage.records import now
from cache.storage.store import Cache
from cache.table_setup import NO_SETUP

pytestmark = pytest.mark.slow


@pytest.fixture
def place(cache: Cache, here: Path) -> CachePlace:
    publish(cache, 40, segments=3)
    return CachePlace.of_files(here / "cache", here / "var/kept")


def computing(place: CachePlace, use: Callable[[FigurePool], Awaitable[None]]) -> None:
    async def main() -> None:
        pool = FigurePool(place)
        try:
            await use(pool)
        finally:
            await pool.close()

    asyncio.run(main())
    assert workers() == []


def workers() -> list[int]:
    return [child.pid for child in psutil.Process().children() if computes(child)]


def computes(process: psutil.Process) -> bool:
    try:
        return "cache.export.worker" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def request(generation: int = 1, **query: Any) -> FigureRequest:
    source = OrdersSource(
        generation=generation,
        setup=NO_SETUP,
        timezone="UTC",
        week_start="monday",
        cancelled_orders="reversed",
        main_currency="",
        mask=NOTHING_HIDDEN,
    )
    query = {"metrics": ("orders",), "currency": "all", **query}
    return FigureRequest(
        what="figures", source=source, now=now(), verified_at=now(), query=FigureQuery(**query), limit=100
    )


def test_one_process_answers_request_after_request(place: CachePlace) -> None:
    async def use(pool: FigurePool) -> None:
        answers = [await pool.execute(request()) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0].summary["totals"] == {"orders": 37}  # 3 of the 40 are tests
        assert answers[0].rows == b'{"currency":"EUR","orders":19},{"currency":"USD","orders":18}'
        assert len(workers()) == 1

    computing(place, use)


def test_it_goes_on_with_another_generation_newer_or_older(cache: Cache, place: CachePlace) -> None:
    publish(cache, [*map(order, range(20)), {**order(20), "test": "0"}], segments=2)

    async def use(pool: FigurePool) -> None:
        for generation, count in ((1, 37), (2, 20), (1, 37), (2, 20)):
            assert (await pool.execute(request(generation))).summary["totals"] == {"orders": count}
        with pytest.raises(UnknownGeneration):
            await pool.execute(request(3))
        assert (await pool.execute(request(2))).summary["totals"] == {"orders": 20}
        assert len(workers()) == 1

    computing(place, use)


def test_a_reading_of_few_orders_is_open(place: CachePlace) -> None:
    async def use(pool: FigurePool) -> None:
        assert (await pool.execute(request())).summary["reading"] == "open"

    computing(place, use)


def test_a_query_that_does_not_fit_leaves_the_process_as_it_is(place: CachePlace) -> None:
    async def use(pool: FigurePool) -> None:
        await pool.execute(request())
        (worker,) = workers()
        with pytest.raises(BadFilter, match="No channel"):
            await pool.execute(request(by=("channel",)))
        assert (await pool.execute(request())).summary["count"] == 2
        assert workers() == [worker]

    computing(place, use)


def test_figures_that_take_too_long_end_their_process(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(pool: FigurePool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(figure_pool, "QUERY_SECONDS", 0)
            with pytest.raises(QueryTimeout, match="Ask for fewer dimensions"):
                await pool.execute(request())
        assert (await pool.execute(request())).summary["count"] == 2

    computing(place, use)


def test_who_waits_too_long_for_the_process_is_told(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_pool, "QUEUE_SECONDS", 0.05)

    async def use(pool: FigurePool) -> None:
        first = asyncio.create_task(pool.execute(request()))
        await asyncio.sleep(0)
        with pytest.raises(ScanBusy):
            await pool.execute(request(by=("status",)))
        assert (await first).summary["count"] == 2

    computing(place, use)


@pytest.mark.soak
def test_an_idle_process_goes(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0.05)

    async def use(pool: FigurePool) -> None:
        await pool.execute(request())
        while workers():
            await asyncio.sleep(0.01)
        assert (await pool.execute(request())).summary["count"] == 2

    computing(place, use)


def test_equal_requests_at_the_same_time_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "KEPT_BYTES", 25)
    computed: list[str] = []

    async def main() -> None:
        kept = figures.KeptBodies()

        async def get(tag: str) -> None:
            async def compute() -> figures.Body:
                computed.append(tag)
                await asyncio.sleep(0)
                return figures.Body([], [tag.encode() * 10])

            assert (await kept.get(tag.encode(), compute)).chunks == [tag.encode() * 10]

        await asyncio.gather(get("a"), get("a"), get("b"))
        await get("a")
        await get("c")  # a third one takes the place of `b`
        await get("a")
        await get("b")

    asyncio.run(main())
    assert computed == ["a", "b", "c", "b"]
