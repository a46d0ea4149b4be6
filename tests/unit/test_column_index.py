"""The column index against plain Python: filters, orders, pages and counts of values, by every way to find them."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from cache_factory import cache_in, publish

from cache.errors import BadFilter
from cache.query import engine
from cache.query.budget import Budget, BudgetSpent
from cache.query.engine import ColumnIndex
from cache.query.filters import Condition, Query, Sort
from cache.query.operators import Op
from cache.schema import Column, Kind
from cache.storage.snapshot import Snapshot


def column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name=name, type=kind, kind=kind, nullable=True, **more)


COLUMNS = (
    column("id", "integer", key=1),
    column("small", "integer"),
    column("listed", "integer"),  # keys that stand in a list; they cannot be merged
    column("unique", "integer"),
    column("six", "integer"),  # 0 to 5, without NULL
    column("text", "text"),
    column("nested", "json"),
)
ROWS = 240
Values = dict[str, list[Any]]


def draw(lot: Random) -> Values:
    """Values of all rows; `unique` and `listed` make blocks that hold ranges of their own."""
    return {
        "id": list(range(ROWS)),
        "small": [lot.choice([None, -2, 0, 1, 1, 7]) for _ in range(ROWS)],
        "listed": sorted(lot.choice([-(2**60), -5, 0, 3, 2**60]) for _ in range(ROWS)),
        "six": [lot.randrange(6) for _ in range(ROWS)],
        "unique": [i * 3 if i % 50 else None for i in range(ROWS)],
        "text": [lot.choice([None, "", "paid", "PAID", "pending", "ä", f"#{lot.randrange(40)}"]) for _ in range(ROWS)],
        "nested": ["[]"] * ROWS,
    }


@pytest.fixture(scope="module")
def values() -> Values:
    return draw(Random(7))


@pytest.fixture(scope="module")
def snapshot(values: Values, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    cells = {name: [None if value is None else str(value) for value in held] for name, held in values.items()}
    publish(cache, [{name: cells[name][i] for name in cells} for i in range(ROWS)], columns=COLUMNS, segments=6)
    yield cache.snapshots.open()
    cache.close()


@pytest.fixture(params=["merged", "by block", "by block, small limits", "merged, small limits"])
def index(request: pytest.FixtureRequest, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> ColumnIndex:
    """An index that finds rows in one of the ways that depend on the size of a table."""
    if "small limits" in request.param:
        monkeypatch.setattr(engine, "MAX_TOP_ROWS", 20)
        monkeypatch.setattr(engine, "MAX_COMPARED_RANGES", 1)
        monkeypatch.setattr(engine, "_MAX_LOOKUP_CODES", 5)
    return ColumnIndex(snapshot, max_merged_rows=0 if "by block" in request.param else ROWS)


COMPARISONS: dict[Op, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def passes(condition: Condition, value: Any) -> bool:
    """What the words of docs/api.md say; texts are compared by their bytes."""
    if condition.op == "isnull":
        return (value is None) == (condition.value == "true")
    if value is None:
        return condition.op == "ne"
    read: Callable[[str], Any] = int if isinstance(value, int) else str.encode
    value = value if isinstance(value, int) else value.encode()
    if isinstance(condition.value, tuple):
        return value in [read(text) for text in condition.value]
    if condition.op == "startswith":
        return value.decode().lower().startswith(condition.value)
    return COMPARISONS[condition.op](value, read(condition.value))


def comparable(value: Any) -> tuple[bool, Any]:
    return (value is None, value.encode() if isinstance(value, str) else value or 0)


def expected(values: Values, query: Query) -> list[int]:
    rows = [row for row in range(ROWS) if all(passes(c, values[c.column][row]) for c in query.conditions)]
    for name, descending in reversed(query.sort):
        rows.sort(key=lambda row: comparable(values[name][row]), reverse=descending)
    return rows


def condition(lot: Random, values: Values, names: Sequence[str]) -> Condition:
    name = lot.choice(names)
    present = [str(value) for value in values[name] if value is not None]
    if name == "text" and lot.random() < 0.3:
        return Condition(name, "startswith", lot.choice(["", "p", "pa", "#1", "x"]))
    if lot.random() < 0.1:
        return Condition(name, "isnull", lot.choice(["true", "false"]))
    if lot.random() < 0.3:
        return Condition(name, "in", tuple(lot.choices(present, k=lot.randrange(9))))
    value = lot.choice(present) if lot.random() < 0.8 or name == "text" else str(lot.randrange(-9, 999))
    return Condition(name, lot.choice(list(COMPARISONS)), value)


def queries(seed: int, values: Values, names: Sequence[str]) -> Iterator[Query]:
    lot = Random(seed)
    for _ in range(60):
        conditions = tuple(condition(lot, values, names) for _ in range(lot.randrange(4)))
        yield Query(conditions, tuple(Sort(lot.choice(names), lot.random() < 0.5) for _ in range(lot.randrange(3))))


NAMES = ("id", "small", "unique", "text")


@pytest.mark.parametrize("names", [NAMES, (*NAMES, "listed")], ids=["mergeable", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_and_pages_are_those_of_python(
    index: ColumnIndex, values: Values, seed: int, names: Sequence[str]
) -> None:
    lot = Random(seed)
    for query in queries(seed, values, names):
        rows = expected(values, query)
        assert index.supports(query)
        everything = index.find(query)
        assert (everything.rows.tolist(), everything.total) == (rows, len(rows)), query
        assert everything.rows.dtype == np.int64
        for offset, limit in ((0, 1), (lot.randrange(30), lot.randrange(30)), (lot.randrange(260), 9), (0, None)):
            page = index.find(query, offset, limit)
            stop = None if limit is None else offset + limit
            assert (page.rows.tolist(), page.total) == (rows[offset:stop], len(rows)), (query, offset, limit)


def test_every_set_of_values_is_found(index: ColumnIndex, values: Values) -> None:
    for size in range(7):
        for chosen in combinations(range(6), size):
            query = Query((Condition("six", "in", tuple(map(str, chosen))),))
            rows = [row for row, value in enumerate(values["six"]) if value in chosen]
            assert index.find(query).rows.tolist() == rows, chosen


@pytest.mark.parametrize("seed", range(2))
def test_counts_of_values_are_those_of_python(index: ColumnIndex, values: Values, seed: int) -> None:
    for query in queries(seed, values, (*NAMES, "listed")):
        for name in (*NAMES, "listed"):
            counts = Counter(values[name][row] for row in expected(values, query))
            ordered = sorted(counts.items(), key=lambda item: (-item[1], comparable(item[0])))
            assert index.facet(query, name, 1000) == ordered
            assert index.facet(query, name, 2) == ordered[:2]


def test_queries_on_columns_without_arrays_need_a_scan(index: ColumnIndex) -> None:
    by_nested = Query((Condition("nested", "isnull", "true"),))
    inside = Query((Condition("small", "eq", "1"), Condition("text", "contains", "ai")))
    for query in (by_nested, inside):
        assert not index.supports(query)
        with pytest.raises(LookupError, match="needs a scan"):
            index.find(query)
        with pytest.raises(LookupError, match="needs a scan"):
            index.facet(query, "small", 1)
    with pytest.raises(LookupError, match="needs a scan"):
        index.facet(Query(), "nested", 1)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query((Condition("nope", "eq", "1"),)), "There is no column 'nope'"),
        (Query((), (Sort("nope"),)), "There is no column 'nope'"),
        (Query((), (Sort("nested"),)), "nested has no order"),
        (Query((Condition("small", "eq", "x"),)), "small does not take 'x'"),
    ],
)
def test_queries_that_do_not_fit_the_table_are_refused(index: ColumnIndex, query: Query, message: str) -> None:
    for ask in (index.supports, index.find, partial(index.facet, column="id", limit=1)):
        with pytest.raises(BadFilter, match=message):
            ask(query)
    with pytest.raises(BadFilter, match="There is no column 'nope'"):
        index.facet(Query(), "nope", 1)


def test_facets_of_many_different_values_need_a_scan(snapshot: Snapshot) -> None:
    index = ColumnIndex(snapshot, max_merged_rows=0)
    few = sum(min(40, 1 + len({*range(-2, 8)})) for _ in range(6))  # codes of a block: -2 to 7, and NULL
    for name, groups in (("small", few), ("unique", ROWS)):  # not more than there are rows
        index.facet(Query(), name, 1, Budget(1, groups))
        with pytest.raises(BudgetSpent):
            index.facet(Query(), name, 1, Budget(1, groups - 1))
    budget = Budget(1, ROWS + few)  # one for all facets of a request
    index.facet(Query(), "small", 1, budget)
    index.facet(Query(), "unique", 1, budget)
    with pytest.raises(BudgetSpent):
        index.facet(Query(), "small", 1, budget)


@pytest.fixture
def sorts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts whole sorts, of small and of large tables: an entry each."""
    counted: list[int] = []
    sort_all, sorted_table = engine.sort_all, engine.SortedTable

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counted.append(1)
            return function(*arguments)

        return call

    monkeypatch.setattr(engine, "sort_all", counting(sort_all))
    monkeypatch.setattr(engine, "SortedTable", counting(sorted_table))
    return counted


def by(name: str, *conditions: Condition) -> Query:
    return Query(conditions, (Sort(name),))


def test_a_small_table_is_sorted_once_for_an_order(snapshot: Snapshot, sorts: list[int]) -> None:
    index = ColumnIndex(snapshot)
    for value in ("0", "1", "7"):
        index.find(by("text", Condition("small", "eq", value)), 0, 5)
    assert len(sorts) == 1
    for name in ("id", "small", "unique"):
        index.find(by(name))
    index.find(by("text"))
    assert len(sorts) == 4  # the last four orders are kept
    index.find(Query((), (Sort("id", True),)))
    index.find(by("id"))
    assert len(sorts) == 5
    index.find(by("text"))  # the oldest one is not
    assert len(sorts) == 6


def test_a_large_table_is_sorted_once_for_the_pages_of_a_query(
    snapshot: Snapshot, sorts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ColumnIndex(snapshot, max_merged_rows=ROWS - 1)
    index.find(by("text"))
    assert not sorts  # a page near the beginning needs no whole sort
    monkeypatch.setattr(engine, "MAX_TOP_ROWS", 10)
    index.find(by("text"), 0, 10)
    assert not sorts
    for offset in (1, 20, 100):
        index.find(by("text"), offset, 10)
    assert len(sorts) == 1
    for limit, kept in ((2 * ROWS * 4, 2), (2 * ROWS * 4 - 1, 1)):
        index.release()
        sorts.clear()
        monkeypatch.setattr(engine, "MAX_SORTED_BYTES", limit)
        for name in ("text", "small", "text", "small"):
            index.find(by(name))
        assert len(sorts) == (2 if kept == 2 else 4)


def test_the_least_recently_used_sort_is_dropped_first(
    snapshot: Snapshot, sorts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_TOP_ROWS", 0)
    monkeypatch.setattr(engine, "MAX_SORTED_BYTES", 2 * ROWS * 4)
    index = ColumnIndex(snapshot, max_merged_rows=0)
    for name in ("text", "small", "text", "id", "text"):
        index.find(by(name))
    assert len(sorts) == 3
    index.find(by("small"))
    assert len(sorts) == 4


def test_a_query_is_compiled_once_for_all_that_is_asked_of_it(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Condition] = []
    compile_predicate = engine.compile_predicate

    def counting(condition: Condition, columns: Sequence[Column]) -> Any:
        compiled.append(condition)
        return compile_predicate(condition, columns)

    monkeypatch.setattr(engine, "compile_predicate", counting)
    index = ColumnIndex(snapshot)
    query = Query((Condition("small", "eq", "1"),))
    index.supports(query)
    index.find(query)
    index.facet(query, "small", 1)
    assert len(compiled) == 1
    index.find(Query((Condition("small", "eq", "7"),)))
    assert len(compiled) == 2


def test_only_tables_of_few_rows_are_merged(snapshot: Snapshot, sorts: list[int]) -> None:
    for limit, merged in ((ROWS, True), (ROWS - 1, False)):
        sorts.clear()
        ColumnIndex(snapshot, max_merged_rows=limit).find(by("text"))
        assert bool(sorts) == merged


def test_an_empty_table_has_no_rows_and_no_values(tmp_path: Any) -> None:
    cache = cache_in(tmp_path)
    publish(cache, [], columns=COLUMNS)
    index = ColumnIndex(cache.snapshots.open())
    cache.close()
    for query in (Query(), by("text"), by("id", Condition("small", "gt", "0"))):
        assert index.supports(query)
        assert (index.find(query).rows.tolist(), index.find(query, 5, 2).total) == ([], 0)
        assert index.facet(query, "small", 5) == []
