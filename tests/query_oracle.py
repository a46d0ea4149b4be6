"""Answers of the column index, held against those of DuckDB on the same Parquet."""

from __future__ import annotations

import json
from collections import Counter

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cache.query.engine import ColumnIndex
from cache.query.filters import Query, order_by, where
from cache.storage.snapshot import PARQUET, Snapshot


class QueryOracle:
    """One snapshot, queried by its column arrays (blocks merged, and one by one) and by DuckDB."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.indexes = (ColumnIndex(snapshot), ColumnIndex(snapshot, max_merged_rows=0))
        self._columns = snapshot.columns
        self._lines = json.loads(b"[%s]" % b"".join(snapshot.json_slices()))
        self._duck = duckdb.connect()
        self._duck.execute("SET TimeZone = 'UTC'; SET threads = 1")
        tables = [pq.read_table(path) for path in snapshot.paths(PARQUET)]
        if tables:
            rows = pa.concat_tables(tables)
            self._duck.register("rows", rows.append_column("n", pa.array(range(len(rows)))))
        self.empty = not tables

    def expected(self, query: Query) -> list[int]:
        """Row numbers by DuckDB."""
        clause, values = where(query.conditions, self._columns)
        terms = ", ".join(filter(None, (order_by(query.sort, self._columns), "n")))
        if self.empty:
            return []
        return (
            self._duck.execute(f"SELECT n FROM rows WHERE {clause} ORDER BY {terms}", values).fetchnumpy()["n"].tolist()
        )

    def agree(self, query: Query, *pages: tuple[int, int]) -> None:
        """Asserts the same rows in the same order: all of them, and each page of (offset, limit)."""
        expected = self.expected(query)
        for index in self.indexes:
            assert index.supports(query)
            assert index.find(query).rows.tolist() == expected, query
            for offset, limit in pages:
                page = index.find(query, offset, limit)
                assert page.rows.tolist() == expected[offset : offset + limit], (query, offset, limit)
                assert page.total == len(expected)

    def count(self, query: Query, column: str) -> None:
        """Asserts that the values of a column are counted as they stand in the JSON of the rows that match."""
        for index in self.indexes:
            counts = Counter(self._lines[row][column] for row in index.find(query).rows.tolist())
            facet = index.facet(query, column, 10_000)
            assert dict(facet) == counts
            assert [count for _, count in facet] == sorted(counts.values(), reverse=True)
            assert index.facet(query, column, 3) == facet[:3]
