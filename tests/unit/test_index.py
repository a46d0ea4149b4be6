"""Filters, sorts and counts by column arrays give what DuckDB gives on the same Parquet."""

from __future__ import annotations

import base64
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from cache_factory import Row, cache_in, publish
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from query_oracle import QueryOracle

from cache.errors import BadFilter
from cache.query.engine import ColumnIndex
from cache.query.filters import Condition, Query, Sort, compile_predicate
from cache.query.operators import OPERATORS, operators_for
from cache.schema import Column, Kind
from cache.storage.snapshot import Snapshot

LETTERS = "abkiABKIßẞİıK\u0301éÉ你🎂 %_\\\"'"


def column(name: str, kind: Kind, **more: Any) -> Column:
    return Column(name=name, type=kind, kind=kind, nullable=True, **more)


COLUMNS = (
    column("id", "unsigned", key=1),
    column("count", "integer"),
    column("big", "unsigned"),
    column("test", "boolean"),
    column("total", "decimal", digits=12, decimals=2),
    column("exact", "decimal", digits=18, decimals=0),
    column("weight", "float"),
    column("ratio", "double"),
    column("day", "date"),
    column("at", "datetime"),
    column("seen", "timestamp", decimals=3),
    column('odd "name"', "text"),
    column("hash", "bytes"),
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "count": st.integers(-(2**63), 2**63 - 2).map(str) | st.integers(-2, 2).map(str),
    "big": st.integers(0, 2**64 - 2).map(str) | st.integers(0, 3).map(str),
    "test": st.sampled_from("012"),
    "total": st.decimals(-100, 100, places=2).map(str) | st.sampled_from(["0.00", "9999999999.99"]),
    "exact": st.integers(-(10**18) + 1, 10**18 - 1).map(str),
    "weight": st.floats(width=32, allow_nan=False, allow_infinity=False).map(str) | st.sampled_from(["0.1", "-0.0"]),
    "ratio": st.floats(allow_nan=False, allow_infinity=False).map(str) | st.sampled_from(["0.0", "-0.0"]),
    "day": st.dates().map(str),
    "at": st.datetimes().map(lambda at: f"{at:%H:%M:%S}").map(lambda time: f"2025-12-29 {time}"),
    "seen": st.integers(1, 2_000_000_000_000).map(lambda ms: f"{ms / 1000:.3f}"),
    'odd "name"': st.text(LETTERS, max_size=4) | st.sampled_from(["paid", "PAID", "pending"]),
    "hash": st.binary(max_size=2).map(bytes.hex),
}


def text_of(column: Column, value: str) -> str:
    """A value as the scraper reads it, as a query string has it."""
    match column.kind:
        case "timestamp":
            return datetime.fromtimestamp(float(value), UTC).isoformat()
        case "bytes":
            return base64.b64encode(bytes.fromhex(value)).decode()
        case _:
            return value


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    size = draw(st.integers(1, 30))
    values = {name: draw(st.lists(values | st.none(), min_size=size, max_size=size)) for name, values in VALUES.items()}
    return [{"id": str(i * 3), **{name: values[name][i] for name in VALUES}} for i in range(size)]


@st.composite
def conditions(draw: st.DrawFn, rows: Sequence[Row]) -> Condition:
    chosen = draw(st.sampled_from(COLUMNS[1:]))
    present = [value for row in rows if (value := row[chosen.name]) is not None]
    value = st.sampled_from(present) | VALUES[chosen.name] if present else VALUES[chosen.name]
    text = value.map(lambda value: text_of(chosen, value))
    if chosen.kind == "boolean":
        text = st.sampled_from(["true", "0"])
    elif chosen.kind == "decimal":
        text |= st.sampled_from(["0.005", "-1e-7", "1e19", "12345678901234567890.5"])
    operator = OPERATORS[draw(st.sampled_from(operators_for(chosen.kind)))]
    argument: Any = draw(
        {
            "value": text,
            "list": st.lists(text, max_size=4).map(tuple),
            "text": st.text("abkiABKI", max_size=2),
            "flag": st.sampled_from(["true", "false"]),
        }[operator.takes]
    )
    condition = Condition(chosen.name, operator.name, argument)
    assume(compile_predicate(condition, COLUMNS) is not None)
    return condition


def queries(rows: Sequence[Row]) -> st.SearchStrategy[Query]:
    names = st.sampled_from([column.name for column in COLUMNS if column.kind != "bytes"])
    sort = st.builds(Sort, names, st.booleans())
    return st.builds(
        Query, st.lists(conditions(rows), max_size=2).map(tuple), st.lists(sort, max_size=3, unique=True).map(tuple)
    )


@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_rows_and_their_order_are_those_of_duckdb(data: st.DataObject) -> None:
    rows = data.draw(tables())
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, rows, columns=COLUMNS, segments=data.draw(st.integers(1, 4)))
        oracle = QueryOracle(cache.snapshots.open())
        cache.close()
        for query in data.draw(st.lists(queries(rows), min_size=8, max_size=8)):
            oracle.agree(query, (data.draw(st.integers(0, 8)), data.draw(st.integers(0, 8))))


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
def test_pages_and_counts_of_a_long_table_are_those_of_duckdb(
    long: tuple[QueryOracle, list[Row]], data: st.DataObject
) -> None:
    oracle, rows = long
    near, far = data.draw(st.integers(0, 300)), data.draw(st.integers(5000, 7000))
    query = data.draw(queries(rows))
    oracle.agree(query, (0, 100), (near, 50), (far, 100))
    oracle.count(query, data.draw(st.sampled_from(COLUMNS)).name)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[QueryOracle, list[Row]]:
    """A table of 7,000 rows in five segments, half of it in the order of its columns, and some of its rows."""
    lot = random.Random(4)
    numbers = sorted(lot.sample(range(1, 10**7), 7000))
    rows: list[Row] = [
        {
            "id": str(i),
            "count": str(lot.randrange(-3, 3)),
            "big": None if i % 5 == 0 else str(n * 10**12),
            "test": str(i % 2),
            "total": f"{lot.randrange(10**5) / 100:.2f}",
            "exact": None if i % 3 else str(n),
            "weight": str(lot.randrange(50) / 8),
            "ratio": str(lot.gauss(0, 1)),
            "day": f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}",
            "at": f"2025-12-{1 + i // 250:02} 10:25:{n % 60:02}",
            "seen": None if i < 3000 else f"{n}.{n % 1000:03}",
            'odd "name"': lot.choice(["paid", "Paid", "pending", None, f"#{n}"]),
            "hash": f"{n % 256:02x}",
        }
        for i, n in enumerate(numbers)
    ]
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, rows, columns=COLUMNS, segments=5)
    oracle = QueryOracle(cache.snapshots.open())
    cache.close()
    return oracle, lot.sample(rows, 30)


def test_rows_that_stand_last_in_the_order_asked_for_are_found_too(long: tuple[QueryOracle, list[Row]]) -> None:
    oracle, _ = long
    for condition in (Condition("at", "lt", "2025-12-05"), Condition("at", "lt", "2025-12-02")):
        oracle.agree(Query((condition,), (Sort("at", descending=True),)), (0, 1), (10, 20), (200, 100))


@given(st.lists(st.integers(0, 19), max_size=12))
def test_gathered_rows_are_those_asked_for_in_that_order(
    gathered: tuple[Snapshot, list[bytes]], rows: list[int]
) -> None:
    snapshot, lines = gathered
    assert snapshot.gather(np.array(rows, np.int64)) == b",".join(lines[row] for row in rows)


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, list[bytes]]:
    """Twenty orders in three segments, and the JSON of each."""
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, 20, segments=3)
    snapshot = cache.snapshots.open()
    cache.close()
    return snapshot, [b"".join(snapshot.json_slices(row, row + 1)) for row in range(20)]


def test_what_was_made_for_queries_can_be_let_go_of_and_is_made_again(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    publish(cache, 2000)
    index = ColumnIndex(cache.snapshots.open())
    cache.close()
    query = Query((Condition("total_price", "gt", "2000"),), (Sort("created_at", True),))
    tracemalloc.start()
    found = [index.find(query).rows.tolist()]
    held = tracemalloc.get_traced_memory()[0]
    index.release()
    assert tracemalloc.get_traced_memory()[0] < held - 2000 * 8
    tracemalloc.stop()
    found.append(index.find(query).rows.tolist())
    assert found[0] == found[1] != []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Query((Condition("nope", "eq", "1"),)), "There is no column 'nope'"),
        (Query((Condition("total_price", "gt", "much"),)), "total_price does not take 'much'"),
        (Query((Condition("test", "gt", "1"),)), "test does not support gt"),
        (Query(sort=(Sort("nope"),)), "There is no column 'nope'"),
        (Query(sort=(Sort("line_items"),)), "line_items has no order"),
    ],
)
def test_what_a_query_cannot_mean_is_refused(gathered: tuple[Snapshot, list[bytes]], query: Query, says: str) -> None:
    index = ColumnIndex(gathered[0])
    for ask in (index.supports, index.find):
        with pytest.raises(BadFilter) as error:
            ask(query)
        assert says in str(error.value)


def test_searches_in_texts_and_columns_without_arrays_are_scanned(
    gathered: tuple[Snapshot, list[bytes]],
) -> None:
    index = ColumnIndex(gathered[0])
    assert not index.supports(Query((Condition("name", "contains", "1"),)))
    assert not index.supports(Query((Condition("customer_name", "startswith", "Ж"),)))
    assert not index.supports(Query((Condition("line_items", "isnull", "true"),)))
    for query, column in ((Query(), "line_items"), (Query((Condition("name", "contains", "1"),)), "currency")):
        with pytest.raises(LookupError):
            index.facet(query, column, 1)
    assert index.facet(Query((Condition("id", "gt", "3"),)), "currency", 1)


def test_numbers_that_take_all_of_64_bits_beside_nulls_are_left_to_a_scan(tmp_path: Path) -> None:
    columns = (column("id", "unsigned", key=1), column("big", "unsigned"))
    cache = cache_in(tmp_path)
    for rest, held in ((str(2**64 - 2), True), (str(2**64 - 1), False)):
        publish(cache, [{"id": "1", "big": None}, {"id": "2", "big": rest}], columns=columns, segments=1)
        assert ColumnIndex(cache.snapshots.open()).supports(Query(sort=(Sort("big"),))) == held
    cache.close()


def test_values_are_counted_as_json_writes_them(gathered: tuple[Snapshot, list[bytes]]) -> None:
    index = ColumnIndex(gathered[0])
    assert index.facet(Query(), "fulfillment_status", 9) == [("fulfilled", 10), (None, 10)]
    assert index.facet(Query(), "test", 9) == [(False, 19), (True, 1)]
    assert index.facet(Query((Condition("currency", "eq", "EUR"),)), "total_price", 2) == [("599.94", 1), ("601.94", 1)]
    assert index.facet(Query(), "created_at", 1) == [("2025-12-28T15:25:00Z", 1)]
    assert index.facet(Query(), "id", 1) == [(1000, 1)]


READER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (48, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from pathlib import Path
from cache.query.filters import Query, Sort
from cache.query.engine import ColumnIndex
from cache.cache_place import CachePlace
from cache.storage.backends import open_cache
here = Path(sys.argv[1])
snapshot = open_cache(CachePlace.of_files(here / "cache", here / "var/kept")).snapshots.open()
rows = ColumnIndex(snapshot).find(Query(sort=(Sort("total_price", True),)), 0, 40).rows
assert len(snapshot.gather(rows))
print(*sorted({"duckdb", "pandas", "pyarrow"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_a_reader_maps_more_files_than_it_might_open_and_loads_no_engine(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    publish(cache, 40, segments=40)
    cache.close()
    command = [sys.executable, "-c", READER, str(tmp_path)]
    read = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert read.stdout == "\n"
