"""The process that scans: what it finds, and how it is started, bounded and ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from cache_factory import order, publish
from paths import ROOT

from cache.cache_place import CachePlace
from cache.errors import BadFilter, QueryTimeout, ScanBusy, ScanFailed, SnapshotDamaged, UnknownGeneration
from cache.export import pool, processes, spool
from cache.export.executor import ScanExecutor, ScanRequest
from cache.export.pool import ScanPool
from cache.export.row_format import RowFormat
from cache.export.worker import LENGTH
from cache.query.engine import ColumnIndex
from cache.query.filters import Condition, Query, Sort
from cache.schema import Column
from cache.storage.snapshot import PARQUET
from cache.storage.store import Cache

pytestmark = pytest.mark.slow

IDA = Query((Condition("customer_name", "contains", "MÜLL"),))  # orders 0, 5, 10, ...


@pytest.fixture
def place(cache: Cache, here: Path) -> CachePlace:
    publish(cache, 40, segments=3)
    return CachePlace.of_files(here / "cache", here / "var/kept")


def scanning(place: CachePlace, use: Callable[[ScanPool], Awaitable[None]]) -> None:
    async def main() -> None:
        pool = ScanPool(place)
        try:
            await use(pool)
        finally:
            await pool.close()

    asyncio.run(main())
    assert children() == []


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if scans(child)]


def scans(process: psutil.Process) -> bool:
    try:
        return "cache.export.worker" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


async def rows(pool: ScanPool, query: Query, row_format: RowFormat, offset: int = 0, limit: int | None = None) -> bytes:
    async with aclosing(await pool.stream(1, query, row_format, offset, limit)) as pieces:
        return b"".join([piece async for piece in pieces])


def test_it_works(place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        found = await pool.find(1, IDA, offset=1, limit=3)
        assert found.rows.tolist() == [5, 10, 15]
        assert found.total == 8
        assert await rows(pool, IDA, RowFormat(fields=("id",)), 1, 2) == b'{"id":1005},{"id":1010}'

    scanning(place, use)


def test_rows_are_found_in_the_order_that_was_asked_for(place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        query = Query(IDA.conditions, (Sort("fulfillment_status"), Sort("total_price", descending=True)))
        assert (await pool.find(1, query)).rows.tolist() == [30, 20, 10, 0, 35, 25, 15, 5]
        assert await rows(pool, query, RowFormat("csv", ("id",)), 3, 2) == b"id\r\n1000\r\n1035\r\n"
        by_key = Query((), (Sort("currency"),))
        assert (await pool.find(1, by_key, limit=2)).rows.tolist() == [1, 3]

    scanning(place, use)


def test_pages_in_key_order_join_to_all_rows(cache: Cache, place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        pages = [await rows(pool, Query(), RowFormat(), start, 7) for start in range(0, 42, 7)]
        assert b",".join(pages) == b"".join(cache.snapshots.open().json_slices())

    scanning(place, use)


def test_values_are_counted_the_most_frequent_first(place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        assert await pool.facets(1, Query(), ("fulfillment_status", "test"), 9) == {
            "fulfillment_status": [("fulfilled", 20), (None, 20)],
            "test": [(False, 37), (True, 3)],
        }
        assert await pool.facets(1, IDA, ("financial_status",), 2) == {
            "financial_status": [("paid", 3), ("refunded", 3)]
        }

    scanning(place, use)


def test_a_column_may_have_any_name(cache: Cache, here: Path) -> None:
    names = ("id", "row", "row_", "file_row_number", "file_index", "value", "rows", "c0", 'it\'s "x"', "列", "no_rows")
    columns = [Column(name=name, type="int", kind="integer", nullable=True, key=int(name == "id")) for name in names]
    publish(cache, [{name: str(i) for name in names} for i in range(3)], columns=columns)

    async def use(pool: ScanPool) -> None:
        for name in names:
            query = Query((Condition(name, "gte", "1"),), (Sort(name, descending=True),))
            assert (await pool.find(1, query)).rows.tolist() == [2, 1]
            assert await pool.facets(1, query, (name,), 1) == {name: [(1, 1)]}
            header = '"it\'s ""x"""' if '"' in name else name
            assert await rows(pool, query, RowFormat("csv", (name,))) == f"{header}\r\n2\r\n1\r\n".encode()

    scanning(CachePlace.of_files(here / "cache", here / "var/kept"), use)


def test_an_empty_table_has_no_rows_in_any_format(cache: Cache, here: Path) -> None:
    publish(cache, 0)

    async def use(pool: ScanPool) -> None:
        assert (await pool.find(1, IDA)).total == 0
        assert await rows(pool, Query(), RowFormat()) == b""
        assert await rows(pool, IDA, RowFormat("csv", ("id", "note"))) == b"id,note\r\n"

    scanning(CachePlace.of_files(here / "cache", here / "var/kept"), use)


def test_errors_are_those_of_the_cache_and_the_process_goes_on(place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        with pytest.raises(BadFilter, match="There is no column 'nope'"):
            await pool.find(1, Query((Condition("nope", "eq", "1"),)))
        (child,) = children()
        with pytest.raises(BadFilter, match="named twice"):
            await pool.stream(1, Query(), RowFormat(fields=("id", "id")))
        with pytest.raises(UnknownGeneration):
            await pool.find(7, Query())
        assert child in children()

    scanning(place, use)


def test_a_query_that_takes_too_long_is_ended_and_the_next_is_answered(
    place: CachePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(scanning: ScanPool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "QUERY_SECONDS", 0)
            with pytest.raises(QueryTimeout):
                await scanning.find(1, IDA)
        assert (await scanning.find(1, IDA)).total == 8

    scanning(place, use)


def test_a_killed_process_is_told_and_the_next_request_starts_another(place: CachePlace) -> None:
    async def use(pool: ScanPool) -> None:
        asked = asyncio.ensure_future(pool.find(1, IDA))
        while not children():
            await asyncio.sleep(0.01)
        children()[0].kill()
        with pytest.raises(ScanFailed):
            await asked
        assert (await pool.find(1, IDA)).total == 8

    scanning(place, use)


@pytest.fixture
def large(cache: Cache, here: Path) -> str:
    """The cache of a table that fits in no buffer: 20 MB."""
    publish(cache, [{**order(i), "note": "x" * 100_000} for i in range(200)])
    return CachePlace.of_files(here / "cache", here / "var/kept")


@pytest.fixture
def small_spools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPOOL_BYTES", 1 << 19)


@pytest.mark.usefixtures("small_spools")
def test_a_spool_that_is_full_bounds_what_is_written(large: str) -> None:
    async def use(pool: ScanPool) -> None:
        async with aclosing(await pool.stream(1, Query(), RowFormat("csv"))) as pieces:
            await anext(pieces)
            (child,) = children()
            written = -1
            while written != (written := child.io_counters().write_chars):
                await asyncio.sleep(0.3)
            assert written < 2_000_000
            assert sum([len(piece) async for piece in pieces]) > 18_000_000

    scanning(large, use)


@pytest.mark.usefixtures("small_spools")
def test_a_client_that_goes_away_ends_its_scan(large: str) -> None:
    async def use(pool: ScanPool) -> None:
        pieces = await pool.stream(1, Query(), RowFormat("csv"))
        (child,) = children()
        await pieces.aclose()
        while scans(child):
            await asyncio.sleep(0.01)
        assert await rows(pool, Query(), RowFormat("csv", ("id",)), 0, 1) == b"id\r\n1000\r\n"

    scanning(large, use)


@pytest.mark.soak
@pytest.mark.usefixtures("small_spools")
def test_a_client_that_is_too_slow_for_a_full_spool_is_ended(large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(pool: ScanPool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(spool, "ROOM_SECONDS", 0.1)
            async with aclosing(await pool.stream(1, Query(), RowFormat("csv"))) as pieces:
                (child,) = children()
                while scans(child):
                    await asyncio.sleep(0.01)
                with pytest.raises(QueryTimeout, match="too slowly"):
                    assert sum([len(piece) async for piece in pieces]) < 1 << 20
        assert await rows(pool, Query(), RowFormat("csv", ("id",)), 0, 1) == b"id\r\n1000\r\n"

    scanning(large, use)


def test_slow_downloads_of_one_key_leave_the_others_alone(large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "DOWNLOADS_PER_KEY", 2)
    monkeypatch.setattr(pool, "EXPORT_QUEUE_SECONDS", 5)
    first_id = RowFormat("csv", ("id",))

    async def use(scanning: ScanPool) -> None:
        async with AsyncExitStack() as stack:
            slow = []
            for _ in range(2):
                pieces = await scanning.stream(1, Query(), RowFormat("csv"), key="slow")
                slow.append(await stack.enter_async_context(aclosing(pieces)))
            assert await rows(scanning, Query(), first_id, 0, 1) == b"id\r\n1000\r\n"
            assert (await scanning.find(1, IDA)).total == 40
            with monkeypatch.context() as patch, pytest.raises(ScanBusy):
                patch.setattr(pool, "EXPORT_QUEUE_SECONDS", 0.1)
                await scanning.stream(1, Query(), first_id, key="slow")
            for pieces in slow:
                assert sum([len(piece) async for piece in pieces]) > 18_000_000
            assert len(children()) <= 2

    scanning(large, use)


def test_keys_take_turns_at_the_process_for_queries(place: CachePlace) -> None:
    ended: list[str] = []

    async def use(scanning: ScanPool) -> None:
        async def find(key: str) -> None:
            await scanning.find(1, IDA, key=key)
            ended.append(key)

        await asyncio.gather(*(find(key) for key in ("many", "many", "many", "many", "few")))

    scanning(place, use)
    assert ended == ["many", "few", "many", "many", "many"]


def test_an_idle_process_goes(place: CachePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0.05)

    async def use(pool: ScanPool) -> None:
        await pool.find(1, IDA)
        while children():
            await asyncio.sleep(0.01)
        assert (await pool.find(1, IDA)).total == 8

    scanning(place, use)


def test_it_ends_with_the_process_that_started_it(place: CachePlace, tmp_path: Path) -> None:
    with started(place, tmp_path) as child:
        assert child.stdin
        child.stdin.close()
        assert child.wait(60) == 0
    assert list(tmp_path.glob("spill")) == []


def test_it_ends_without_a_trace_when_its_reader_is_killed(place: CachePlace, tmp_path: Path) -> None:
    """The pipe for answers may close before that for requests does."""
    with started(place, tmp_path) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        request = ScanRequest(what="find", generation=1, query=IDA).model_dump_json().encode()
        child.stdin.write(LENGTH.pack(len(request)) + request)
        child.stdin.flush()
        assert child.wait(60) == 0
        assert child.stderr.read() == b""
    assert list(tmp_path.glob("spill")) == []


def started(place: CachePlace, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A worker without a pool, with `spill` as its folder for temporary files."""
    folder = tmp_path / "spill"
    folder.mkdir()
    command = [sys.executable, "-m", "cache.export.worker", "scan", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin
    where = place.model_dump_json().encode()
    child.stdin.write(LENGTH.pack(len(where)) + where)
    child.stdin.flush()
    return child


def test_column_arrays_and_the_scan_tell_the_same(cache: Cache, place: CachePlace, tmp_path: Path) -> None:
    snapshot = cache.snapshots.open()
    index, scans = ColumnIndex(snapshot), ScanExecutor(cache, tmp_path)
    paid = (Condition("financial_status", "in", ("paid", "refunded")),)
    counted, found = 0, 0
    for column in snapshot.columns:
        query = Query(paid)
        with suppress(LookupError):
            counts = index.facet(query, column.name, 7)
            asked = ScanRequest(what="facets", generation=1, query=query, columns=(column.name,), limit=7)
            assert scans.execute(asked, bytes)["facets"] == {column.name: counts}
            counted += 1
        for descending in (False, True):
            query = Query(paid, (Sort(column.name, descending),))
            if column.kind not in ("json", "bytes") and index.supports(query):
                sent: list[bytes | memoryview] = []
                scans.execute(ScanRequest(what="find", generation=1, query=query, offset=2, limit=20), sent.append)
                assert np.frombuffer(b"".join(sent), "<i8").tolist() == index.find(query, 2, 20).rows.tolist()
                found += 1
    assert counted >= 10
    assert found >= 20


def test_a_generation_that_is_gone_or_damaged_is_told(cache: Cache, place: CachePlace, tmp_path: Path) -> None:
    scans = ScanExecutor(cache, tmp_path)
    asked = ScanRequest(what="facets", generation=1, query=Query(), columns=("id",))
    scans.execute(asked, bytes)
    cache.snapshots.open().paths(PARQUET)[0].unlink()
    with pytest.raises(SnapshotDamaged):
        scans.execute(asked, bytes)
    shutil.rmtree(tmp_path / "cache" / "generations")
    with pytest.raises(UnknownGeneration):
        scans.execute(asked, bytes)
