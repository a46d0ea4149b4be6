"""Steps become segments, in a thread that shares nothing with the one that gives the steps."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.schema import Column
from cache.storage.snapshot import CHECKSUMS, JSON, Segment
from cache.storage.store import Cache
from scraper.sync import assembler_thread
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.segment_assembler import (
    AddRows,
    CopyRows,
    EndRun,
    EndSegment,
    ReuseSegment,
    SegmentAssembler,
    StartRun,
    Step,
)
from scraper.table.column_inference import ColumnInference
from scraper.table.key_ranges import WHOLE, Range
from scraper.table.table import Table

COLUMNS = (
    Column(name="id", type="bigint", kind="integer", nullable=False, key=1),
    Column(name="note", type="text", kind="text", nullable=True),
)
TABLE = Table("shop", "orders", COLUMNS, "10.11", charsets=(None, "utf8mb4"))


def rows(first: int, stop: int, note: str = "note") -> pa.Table:
    keys = range(first, stop)
    texts = [[str(key) for key in keys], [f"{note} {key}" for key in keys]]
    return pa.table([pa.array(text, pa.string()) for text in texts], names=["c0", "c1"])


def new_assembler(cache: Cache, folder: Path, **arguments: Any) -> SegmentAssembler:
    workspace = folder / f"workspace-{len(list(folder.iterdir()))}"
    workspace.mkdir()
    kind = arguments.pop("kind", SegmentAssembler)
    return kind(TABLE, arguments.pop("known", ()), cache.snapshots, workspace, "UTC", **arguments)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.sync.segment_assembler.SEGMENT_ROWS", 10)


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def load(pages: list[int], start: int = 0) -> list[Step]:
    """The steps of a first load in pages of these sizes."""
    steps: list[Step] = [StartRun(None)]
    for i, size in enumerate(pages):
        steps.append(AddRows(WHOLE, rows(start, start + size), more=i < len(pages) - 1))
        start += size
    return [*steps, EndRun(None)]


def directly(assembler: SegmentAssembler, steps: list[Step]) -> list[Segment]:
    completed = [segment for step in steps for segment in assembler.apply(step)]
    assembler.close()
    return completed


# -- segments


def test_a_load_becomes_segments_that_cover_all_keys(cache: Cache, tmp_path: Path) -> None:
    segments = directly(new_assembler(cache, tmp_path), load([4, 6, 10, 3]))
    assert [(s.low, s.high, s.rows) for s in segments] == [(None, 10, 10), (10, 20, 10), (20, None, 3)]
    texts = [(cache.snapshots.segment_folder(s) / JSON).read_text() for s in segments]
    assert "".join(texts).startswith('{"id":0,"note":"note 0"},{"id":1,')
    sums = [np.fromfile(cache.snapshots.segment_folder(s) / CHECKSUMS, "<u8") for s in segments]
    assert [s.checksum for s in segments] == [sum(map(int, part)) for part in sums]


def test_a_segment_is_split_when_it_outgrows_one_and_a_half(cache: Cache, tmp_path: Path) -> None:
    for size, bounds in ((14, [(None, 50)]), (15, [(None, 40), (40, 50)])):
        part = Range(None, 40)
        steps: list[Step] = [StartRun(None), AddRows(part, rows(0, size), more=False)]
        steps += [AddRows(Range(40, 50), rows(40, 43), more=False), EndSegment(50), EndRun(50)]
        segments = directly(new_assembler(cache, tmp_path), steps)
        assert [(s.low, s.high) for s in segments] == bounds


def test_a_segment_below_a_quarter_joins_its_neighbour(cache: Cache, tmp_path: Path) -> None:
    (neighbour,) = directly(new_assembler(cache, tmp_path), [StartRun(20), *load([8], 20)[1:]])
    for left, expected in ((2, [(0, None, 10)]), (3, [(0, 20, 3), (20, None, 8)])):
        steps: list[Step] = [StartRun(0), AddRows(Range(0, 20), rows(0, left), more=False), EndSegment(20)]
        segments = directly(new_assembler(cache, tmp_path), [*steps, ReuseSegment(neighbour), EndRun(None)])
        assert [(s.low, s.high, s.rows) for s in segments] == expected
        assert (segments[-1] == neighbour) == (left == 3)


def test_rows_that_agree_are_copied_around_those_that_differ(cache: Cache, tmp_path: Path) -> None:
    (old,) = directly(new_assembler(cache, tmp_path), load([10]))
    steps: list[Step] = [StartRun(None), CopyRows(old, 0, 4, 4), AddRows(Range(4, 6), rows(4, 6, "new"), more=False)]
    (new,) = directly(new_assembler(cache, tmp_path), [*steps, CopyRows(old, 6, 10, None), EndSegment(None)])
    text = (cache.snapshots.segment_folder(new) / JSON).read_text()
    assert (new.rows, text.count("new"), text.count('"note ')) == (10, 2, 8)


def test_segments_written_with_a_disproved_kind_are_outdated(cache: Cache, tmp_path: Path) -> None:
    assembler = new_assembler(cache, tmp_path)
    json = rows(0, 10).set_column(1, "c1", pa.array(["{}"] * 10, pa.string()))
    steps: list[Step] = [StartRun(None), AddRows(WHOLE, json, more=True), *load([10], 10)[1:]]
    segments = [segment for step in steps for segment in assembler.apply(step)]
    assert assembler.take_outdated() == {segment.id for segment in segments}
    assert assembler.take_outdated() == set()
    assert [column.kind for column in assembler.columns()] == ["integer", "text"]
    assembler.close()


def noted(first: int, *notes: str | None) -> AddRows:
    """One row for each note, in a page that more rows follow."""
    page = rows(first, first + len(notes)).set_column(1, "c1", pa.array(notes, pa.string()))
    return AddRows(WHOLE, page, more=True)


def test_segments_with_empty_texts_are_outdated_once_the_column_is_json(cache: Cache, tmp_path: Path) -> None:
    assembler = new_assembler(cache, tmp_path)
    steps: list[Step] = [StartRun(None), noted(0, *[""] * 10), noted(10, *["null"] * 5), noted(15, *["{}"] * 5)]
    steps += [noted(20, *["", "[1]"] * 5), EndRun(None)]
    first, second, third = (segment for step in steps for segment in assembler.apply(step))
    assert assembler.take_outdated() == {first.id, second.id}
    assert assembler.columns()[1].kind == "json"
    assembler.close()
    assert (cache.snapshots.segment_folder(third) / JSON).read_bytes().count(b'"note":null') == 5


def test_segments_without_a_value_stay_when_the_column_is_json(cache: Cache, tmp_path: Path) -> None:
    assembler = new_assembler(cache, tmp_path)
    steps: list[Step] = [StartRun(None), noted(0, *[None] * 10), noted(10, *["{}"] * 10), EndRun(None)]
    assert len([segment for step in steps for segment in assembler.apply(step)]) == 2
    assert assembler.take_outdated() == set()
    assembler.close()


def test_copied_rows_of_an_outdated_segment_are_outdated_too(cache: Cache, tmp_path: Path) -> None:
    (old,) = directly(new_assembler(cache, tmp_path), [StartRun(None), noted(0, *[""] * 10), EndRun(None)])
    blank = COLUMNS[1].model_copy(update={"decided": False, "blank": True})
    assembler = new_assembler(cache, tmp_path, known=(COLUMNS[0], blank), cached=(old,))
    steps: list[Step] = [StartRun(20), noted(20, *["{}"] * 10), EndRun(None)]  # the newest rows come first
    steps += [StartRun(None), CopyRows(old, 0, 9, 9), noted(9, "[]"), EndSegment(20), EndRun(20)]
    new, copied = (segment.id for step in steps for segment in assembler.apply(step))
    assert assembler.take_outdated() == {old.id, new, copied}
    assembler.close()


# -- the thread


class Watched(SegmentAssembler):
    """Records the threads that read or change its state after it was made."""

    threads: set[int] | None = None

    def __getattribute__(self, name: str) -> Any:
        watched = object.__getattribute__(self, "threads")
        if watched is not None and name.startswith("_") and not name.startswith("__"):
            watched.add(threading.get_ident())
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if self.threads is not None and name != "threads":
            self.threads.add(threading.get_ident())
        object.__setattr__(self, name, value)


@pytest.mark.slow
@given(pages=st.lists(st.integers(0, 25), min_size=1, max_size=12), questions=st.randoms())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_state_of_the_assembler_is_touched_by_its_thread_alone(
    cache: Cache, tmp_path: Path, switching_often: None, pages: list[int], questions: Any
) -> None:
    expected = directly(new_assembler(cache, tmp_path), load(pages))
    told: set[int] = set()

    def on_segment(segment: Segment, inference: ColumnInference) -> None:
        told.add(threading.get_ident())
        inference.recorded(final=False)

    assembler = new_assembler(cache, tmp_path, kind=Watched, on_segment=on_segment)
    with AssemblerThread(assembler) as thread:
        assembler.threads = set()
        for step in load(pages):
            thread.put(step)
            match questions.randrange(4):
                case 0:
                    known = thread.completed()
                    assert known == expected[: len(known)]
                case 1:
                    assert [column.name for column in thread.columns()] == ["id", "note"]
                case 2:
                    assert thread.take_outdated() == set()
        assert thread.finish() == expected
        assert thread.finish() == []
    assert len(assembler.threads) == 1
    assert threading.get_ident() not in assembler.threads
    assert told <= assembler.threads


@pytest.mark.parametrize(
    "call",
    [lambda thread: thread.put(StartRun(None)), AssemblerThread.completed, AssemblerThread.finish],
    ids=["put", "completed", "finish"],
)
def test_a_failure_in_the_thread_reaches_the_caller_as_it_is(
    cache: Cache, tmp_path: Path, call: Callable[[AssemblerThread], object]
) -> None:
    failure = OSError(28, "No space left on device")
    failed = threading.Event()
    completed: list[Segment] = []

    def on_segment(segment: Segment, _: ColumnInference) -> None:
        completed.append(segment)
        failed.set()
        raise failure

    def until_it_is_raised(thread: AssemblerThread) -> None:
        failed.wait()
        while True:
            thread.put(
                StartRun(None)
            ) if call == "put" else thread.completed() if call == "completed" else thread.finish()

    steps = load([10, 10, 10])
    with (
        pytest.raises(OSError, match="No space") as raised,
        AssemblerThread(new_assembler(cache, tmp_path, on_segment=on_segment)) as thread,
    ):
        for step in steps:
            thread.put(step)
        until_it_is_raised(thread)
    assert raised.value is failure
    assert len(completed) == 1  # no step was carried out after it


def test_no_more_rows_wait_than_the_limit_allows(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembler_thread, "IN_FLIGHT", 1)  # one page may be under way
    with AssemblerThread(new_assembler(cache, tmp_path)) as thread:
        for i, step in enumerate(load([10] * 8)):
            thread.put(step)
            assert len(thread.completed()) >= i - 2
        assert len(thread.finish()) == 8


def test_an_error_of_the_caller_ends_the_thread_at_once(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(KeyError), AssemblerThread(new_assembler(cache, tmp_path)) as thread:
        for step in load([10] * 20):
            thread.put(step)
        raise KeyError
    assert not [each for each in threading.enumerate() if each.name.startswith("assembler")]
