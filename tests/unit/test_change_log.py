"""Each generation keeps which rows it changed; several together are the difference of the two ends."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import cache_factory
import numpy as np
import orjson
import pytest
from follower import pages
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.errors import ChangesGone
from cache.storage import change_log
from cache.storage.change_log import About, ChangedRows, ChangeList, Side, count_net, fingerprint, net
from cache.storage.local import change_lists, snapshots
from cache.storage.records import Publication, now
from cache.storage.snapshot import ChangeCounts
from cache.storage.store import Cache

State = Mapping[str, int]  # key -> checksum of the row


def rows_between(old: State, new: State) -> ChangedRows:
    """As a publish finds them: rows that only one side has, by checksum."""

    def side(one: State, other: State) -> Side:
        keys = sorted(key for key in one if one[key] != other.get(key))
        sums = np.array([one[key] for key in keys], np.uint64)
        return Side(sums, lambda at: [orjson.dumps([keys[i]]) for i in at])

    return ChangedRows.between(side(old, new), side(new, old), most=10**6)


def written(folder: Path, history: Sequence[State]) -> list[ChangeList]:
    lists = []
    for i, (old, new) in enumerate(itertools.pairwise(history)):
        path = folder / f"{i}.rows"
        path.write_bytes(rows_between(old, new).encode(About(generation=i + 1, fingerprint="", parent_fingerprint="")))
        lists.append(ChangeList(path))
    return lists


states = st.dictionaries(st.sampled_from(["a", "b", "c", "é\n", '"', "", "7", "k" * 300]), st.integers(0, 3))


@pytest.mark.slow
@settings(max_examples=200)
@given(history=st.lists(states, min_size=1, max_size=6), limit=st.integers(1, 10))
def test_the_net_of_any_history_is_the_difference_of_its_two_ends(history: list[State], limit: int) -> None:
    first, last = history[0], history[-1]
    with TemporaryDirectory() as folder:
        lists = written(Path(folder), history)
        found = pages(lists, limit)

        assert all(len(p.inserted) + len(p.updated) + len(p.deleted) <= limit for p in found)
        assert sorted(int(c) for p in found for c in p.inserted) == sorted(last[k] for k in last.keys() - first.keys())
        updated = [key for key in last.keys() & first.keys() if last[key] != first[key]]
        assert sorted(int(c) for p in found for c in p.updated) == sorted(last[key] for key in updated)
        deleted = sorted(orjson.loads(text)[0] for p in found for text in p.deleted)
        assert deleted == sorted(first.keys() - last.keys())
        assert count_net(lists, step=limit) == ChangeCounts(
            inserted=len(last.keys() - first.keys()), updated=len(updated), deleted=len(deleted)
        )


@pytest.mark.parametrize("window", [100, 100_000])
def test_pages_of_many_rows_hold_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr(change_log, "WINDOW", window)
    before: dict[str, int] = {f"key {i}": i for i in range(5_000)}
    after = {key: n + 10_000 if n % 3 else n for key, n in before.items() if n % 5} | {"new": 1}

    found = pages(written(tmp_path, [before, after]), 100)

    assert len(found) > 10
    assert sum(len(p.inserted) for p in found) == 1
    assert sorted(int(c) for p in found for c in p.updated) == sorted(n for n in after.values() if n >= 10_000)
    assert sorted(orjson.loads(t)[0] for p in found for t in p.deleted) == sorted(before.keys() - after.keys())


def test_rows_that_share_a_key_cannot_be_listed() -> None:
    twice = Side(np.array([1, 2], np.uint64), lambda at: [b"[5]" for _ in at])
    none = Side(np.empty(0, np.uint64), lambda at: [])

    found = ChangedRows.between(twice, none, most=10)

    assert (found.gap, found.counts) == ("Rows of the table have the same key.", ChangeCounts(deleted=2))
    assert ChangedRows.between(none, none, most=10).gap is None
    assert len(net([])[0]) == 0


# -- kept by the cache


CHANGED = rows_between({"a": 1, "gone": 2}, {"a": 3, "new": 4})


def chain(cache: Cache, number: int) -> int:
    """So many generations with changes on top of one; returns that one."""
    base = cache_factory.publish(cache, 2).generation
    for _ in range(number):
        follow(cache, CHANGED)
    return base


def follow(cache: Cache, rows: ChangedRows | None, keep: timedelta = timedelta(days=30)) -> int:
    head = cache.snapshots.head()
    assert head
    manifest = cache.snapshots.inspect(head.generation).manifest
    newer = manifest.model_copy(
        update={"generation": head.generation + 1, "parent": head.generation, "created_at": now()}
    )
    cache.snapshots.publish(Publication(newer, head.model_copy(update={"generation": newer.generation}), rows, keep))
    return newer.generation


def test_lists_outlive_their_snapshots(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_AFTER", timedelta(0))
    base = chain(cache, 9)

    assert base not in cache.snapshots._numbers()
    assert len(cache.snapshots.changes(base, base + 9)) == 9
    assert count_net(cache.snapshots.changes(base + 3, base + 9)) == ChangeCounts(inserted=1, updated=1, deleted=1)
    assert cache.snapshots.changes(base + 9, base + 9) == []


def test_a_generation_of_which_no_list_is_kept_says_so(cache: Cache) -> None:
    base = chain(cache, 2)

    with pytest.raises(ChangesGone, match=f"since generation {base - 1} are not kept"):
        cache.snapshots.changes(base - 1, base + 2)


def test_the_oldest_lists_go_first_and_leave_no_gap(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    base = chain(cache, 6)
    size = cache.snapshots._changes.path(base + 1).stat().st_size
    monkeypatch.setattr(change_lists, "MOST_BYTES", 4 * size + 100)
    newest = follow(cache, CHANGED)

    kept = sorted(int(path.stem) for path in cache.snapshots._changes.folder.iterdir())

    assert kept == list(range(newest - 3, newest + 1))
    assert len(cache.snapshots.changes(newest - 4, newest)) == 4


def test_the_number_of_lists_is_bounded(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_lists, "MOST_LISTS", 3)

    chain(cache, 6)

    assert len(list(cache.snapshots._changes.folder.iterdir())) == 3


def test_lists_go_when_they_are_old(cache: Cache) -> None:
    base = chain(cache, 4)
    for generation in (base + 1, base + 2):
        os.utime(cache.snapshots._changes.path(generation), (0, now().timestamp() - 86_400))
    newest = follow(cache, CHANGED, keep=timedelta(hours=23))

    assert len(cache.snapshots.changes(base + 2, newest)) == 3
    with pytest.raises(ChangesGone):
        cache.snapshots.changes(base + 1, newest)


@pytest.mark.parametrize("damage", [b"", b"{}\n", None])
def test_a_damaged_list_is_one_that_is_not_kept(cache: Cache, damage: bytes | None) -> None:
    base = chain(cache, 3)
    path = cache.snapshots._changes.path(base + 2)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)

    assert len(cache.snapshots.changes(base + 2, base + 3)) == 1
    with pytest.raises(ChangesGone):
        cache.snapshots.changes(base, base + 3)


def test_a_list_left_by_a_publish_that_was_killed_never_counts(cache: Cache) -> None:
    base = chain(cache, 1)
    left = cache.snapshots._changes.path(base + 2)
    left.write_bytes(cache.snapshots._changes.path(base + 1).read_bytes())

    assert len(cache.snapshots.changes(base, base + 1)) == 1
    follow(cache, None)
    assert not left.exists()


def test_a_cache_that_was_begun_anew_is_noticed_by_its_mark(cache: Cache) -> None:
    base = chain(cache, 2)
    marks = {g: fingerprint(cache.snapshots.inspect(g).manifest.created_at) for g in (base, base + 2)}

    assert len(cache.snapshots.changes(base, base + 2, marks[base])) == 2
    assert cache.snapshots.changes(base + 2, base + 2, marks[base + 2]) == []
    for since in (base, base + 2):
        with pytest.raises(ChangesGone, match="cache was deleted"):
            cache.snapshots.changes(since, base + 2, "00000000")
