"""Rows as text -> a segment: Parquet with exact types, JSON per row, plain and compressed, and arrays beside them.

The forms are those of the HTTP contract: DECIMAL a string, integers exact, instants ISO 8601 in UTC with as many
decimals as the column declares, binary base64, a date that no calendar has null, JSON nested and compact.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache import gzips
from cache.columns import blocks_of
from cache.snapshot import CHECKSUMS, COLUMNS, GZIP, JSON, OFFSETS, PARQUET, Column, File, Segment

Checksums = npt.NDArray[np.uint64]

PIECE_BYTES = 8 << 20  # of rows that are rendered at once: each step of it is another copy in memory
ROW_GROUP = 10_000  # rows that Parquet keeps together
# White space outside of strings; a string is matched first, and kept.
_STRING_OR_SPACE = r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+'
# Legal in JSON, but clients that read a stream by lines may cut there; they stand only inside strings, escaped.
_UNICODE_LINE_BREAKS = (0x0085, 0x2028, 0x2029)
_SPACE = b" \t\r\n"
_TEMPORAL = {"date": "DATE", "datetime": "TIMESTAMP"}


@cache
def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
    database.execute("SET GLOBAL TimeZone = 'UTC'")  # else instants are written in the zone of the machine
    return database


def engine() -> duckdb.DuckDBPyConnection:
    """A cursor of the process's one DuckDB, for expressions over Arrow tables; each database would cost memory."""
    return _database().cursor()


class SegmentWriter:
    """Writes the files of one segment into `folder`, batch by batch, in row order.

    Parameters: `columns` as the manifest records them; `timezone` is what DATETIME values mean (an hour that a change
    of summer time repeats is taken as its first pass, one that it skips as the instant of the change).
    A batch is a table of text columns c0..cN, one for each column: NULL is null; BLOB, BINARY and GEOMETRY are
    hexadecimal, TIMESTAMP is Unix seconds, BIT and YEAR are integers, FLOAT is the text of its DOUBLE.
    """

    def __init__(self, folder: Path, columns: Sequence[Column], timezone: str = "UTC") -> None:
        self._folder = folder
        self._columns = columns
        self._timezone = timezone
        self.rows = 0
        self._sum = 0
        self._end = 0
        self._misfits: Counter[str] = Counter()
        self._zero_dates: Counter[str] = Counter()
        self._duck = engine()
        folder.mkdir()
        self._parquet = pq.ParquetWriter(folder / PARQUET, arrow_schema(columns), compression="zstd")
        self._waiting: list[pa.Table] = []  # typed rows that do not fill a row group yet
        self._source: tuple[Path, pa.Table] | None = None  # what is copied from, read once
        self._json = _Digested(folder / JSON)
        self._gzip = _Digested(folder / GZIP)
        self._piece = gzips.Piece()
        self._offsets = _Digested(folder / OFFSETS)
        self._checksums = _Digested(folder / CHECKSUMS)
        self._arrays = _Digested(folder / COLUMNS)
        self._offsets.write(np.zeros(1, "<u8").tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._parquet, self._json, self._gzip, self._offsets, self._arrays, self._checksums, self._duck):
            file.close()

    def write(self, text: pa.Table, checksums: Checksums) -> None:
        step = max(1, len(text) * PIECE_BYTES // max(1, text.nbytes))
        for start in range(0, len(text), step):
            self._write(text.slice(start, step), checksums[start : start + step])

    def _write(self, text: pa.Table, checksums: Checksums) -> None:
        typed = self._typed(text)
        rows = self._json_rows(text, typed)
        _, offsets, data = rows.buffers()
        ends = np.frombuffer(offsets, "<i8")[rows.offset : rows.offset + len(rows) + 1]
        self._append(typed, memoryview(data)[int(ends[0]) : int(ends[-1])], ends - ends[0], checksums)

    def copy(self, folder: Path, start: int, stop: int) -> None:
        """Takes rows over from another segment of the same columns, as they are."""
        if self._source is None or self._source[0] != folder:
            self._source = (folder, pq.read_table(folder / PARQUET))
        offsets = np.fromfile(folder / OFFSETS, "<u8")[start : stop + 1].astype("i8")
        checksums = np.fromfile(folder / CHECKSUMS, "<u8")[start:stop]
        with (folder / JSON).open("rb") as file:
            file.seek(int(offsets[0]))
            data = file.read(int(offsets[-1] - offsets[0]))
        typed = self._source[1].slice(start, stop - start).cast(arrow_schema(self._columns))
        self._append(typed, data, offsets - offsets[0], checksums)

    def _append(
        self, typed: pa.Table, json: bytes | memoryview, ends: npt.NDArray[np.int64], checksums: Checksums
    ) -> None:
        """`ends` are the places in `json` where rows begin, and its length."""
        self._waiting.append(typed)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()
        self._json.write(json)
        self._gzip.write(self._piece.add(json))
        self._offsets.write((ends[1:] + self._end).astype("<u8").tobytes())
        self._checksums.write(checksums.astype("<u8").tobytes())
        self.rows += len(typed)
        self._end += int(ends[-1])
        self._sum += exact_sum(checksums)

    def _flush(self) -> None:
        if self._waiting:
            rows = pa.concat_tables(self._waiting).combine_chunks()
            self._parquet.write_table(rows)
            for block in blocks_of(rows, self._columns):
                self._arrays.write(block)
            self._waiting = []

    def close(self, low: int | None, high: int | None) -> Segment:
        """Ends the files; the segment is named by their digests. `low` and `high` bound its keys (None: open)."""
        self._flush()
        self._parquet.close()
        self._gzip.write(self._piece.end())
        files = {name: digested.finish() for name, digested in
                 ((JSON, self._json), (GZIP, self._gzip), (OFFSETS, self._offsets), (COLUMNS, self._arrays),
                  (CHECKSUMS, self._checksums))}  # fmt: skip
        parquet = (self._folder / PARQUET).read_bytes()
        files[PARQUET] = File(size=len(parquet), sha256=hashlib.sha256(parquet).hexdigest())
        named = "".join(files[name].sha256 for name in sorted(files))
        return Segment(
            id=hashlib.sha256(named.encode()).hexdigest()[:32],
            rows=self.rows,
            low=low,
            high=high,
            checksum=self._sum,
            crc32=self._piece.crc32,
            files=files,
            misfits=dict(self._misfits),
            zero_dates=dict(self._zero_dates),
        )

    # -- typed columns

    def _typed(self, text: pa.Table) -> pa.Table:
        select = ", ".join(f"{_typed_sql(c, f't.c{i}')} AS c{i}" for i, c in enumerate(self._columns))
        found = self._query(f"SELECT {select} FROM t", t=text)
        arrays = []
        for i, (column, field) in enumerate(zip(self._columns, arrow_schema(self._columns), strict=True)):
            array = found.column(i)
            if column.kind in ("date", "datetime", "timestamp"):
                lost = array.null_count - text.column(i).null_count
                self._zero_dates.update({column.name: lost} if lost else {})
            if column.kind == "datetime":
                array = pc.assume_timezone(array, self._timezone, ambiguous="earliest", nonexistent="latest")
            elif column.kind == "boolean":
                odd = pc.sum(pc.invert(pc.is_in(array, pa.array([0, 1, None], array.type)))).as_py()
                self._misfits.update({column.name: odd} if odd else {})
            arrays.append(array.cast(field.type))
        return pa.table(arrays, schema=arrow_schema(self._columns))

    # -- JSON rows

    def _json_rows(self, text: pa.Table, typed: pa.Table) -> pa.LargeStringArray:
        """Each row as one JSON object and a comma; where a value is nested JSON, its text is put in as it is."""
        arrays = list(text.columns)
        for i, column in enumerate(self._columns):
            if column.kind == "json":
                arrays[i], odd = nested(text.column(i))
                self._misfits.update({column.name: odd} if odd else {})
            elif column.kind in ("date", "datetime", "timestamp"):
                arrays[i] = typed.column(i)
        values = pa.table(arrays, names=text.column_names)
        cells = {column.name: json_sql(column, f"t.c{i}") for i, column in enumerate(self._columns)}
        found = self._query(f"SELECT {json_row_sql(cells, ',')} AS row FROM t", t=values)
        return found.column(0).cast(pa.large_string()).combine_chunks()

    def _query(self, sql: str, t: pa.Table) -> pa.Table:
        self._duck.register("t", t)
        try:
            return self._duck.sql(sql).to_arrow_table()
        finally:
            self._duck.unregister("t")


class _Digested:
    """A file and the digest of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file: io.BufferedWriter = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def finish(self) -> File:
        self._file.close()
        return File(size=self._size, sha256=self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()


def nested(values: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, int]:
    """Texts -> JSON ready to be put in: compact, unwrapped where it was encoded twice; and how many are no JSON.

    A misfit becomes the JSON string that it is.
    """
    found: list[str | None] = []
    loose = np.zeros(len(values), bool)  # those with white space between their parts, or that may have some
    misfits = 0
    for i, value in enumerate(values.to_pylist()):
        parsed = None if value is None else _parsed(value)
        if value is not None and parsed is None:
            misfits += 1
            found.append(_json_text(value))
            continue
        text, loose[i] = _compact(*parsed) if parsed else (None, False)
        found.append(text)
    texts = pa.array(found, pa.string())
    if not loose.any():
        return texts, misfits
    compact = pc.replace_substring_regex(texts.filter(pa.array(loose)), _STRING_OR_SPACE, r"\1")
    return pc.replace_with_mask(texts, pa.array(loose), compact), misfits


def unwrap(value: str) -> str | None:
    """The text of a JSON object or array, also when it stands inside a JSON string; None where it is neither.

    The text stays as it is (numbers keep every digit); only the string around it is taken off.
    """
    found = _parsed(value)
    return found and found[0]


def _parsed(value: str) -> tuple[str, Any] | None:
    try:
        parsed = orjson.loads(value)
        if isinstance(parsed, str):
            value, parsed = parsed, orjson.loads(parsed)
    except orjson.JSONDecodeError:
        return None
    return (value, parsed) if isinstance(parsed, dict | list) else None


def _compact(value: str, parsed: Any) -> tuple[str, bool]:
    """JSON text without white space between its parts; true where that is still to be done.

    What the parser writes again is taken where it differs in white space alone: then no number, escape or repeated key
    was rewritten.
    """
    stored, written = value.encode(), orjson.dumps(parsed)
    if stored.translate(None, _SPACE) == written.translate(None, _SPACE):
        return written.decode(), False
    return value, True


def exact_sum(checksums: Checksums) -> int:
    """The sum of 64-bit numbers, beyond 64 bits."""
    high, low = checksums >> np.uint64(32), checksums & np.uint64(0xFFFFFFFF)
    return (int(high.sum(dtype=np.uint64)) << 32) + int(low.sum(dtype=np.uint64))


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Parquet file's schema, names as in the source."""
    return pa.schema([pa.field(c.name, _arrow_type(c)) for c in columns])


def _arrow_type(column: Column) -> pa.DataType:
    types: dict[str, Any] = {
        "integer": pa.int64(), "unsigned": pa.uint64(), "boolean": pa.int64(), "float": pa.float32(),
        "double": pa.float64(), "date": pa.date32(), "datetime": pa.timestamp("us", "UTC"),
        "timestamp": pa.timestamp("us", "UTC"), "text": pa.string(), "json": pa.string(), "bytes": pa.binary(),
    }  # fmt: skip
    return pa.decimal128(column.digits, column.decimals) if column.kind == "decimal" else types[column.kind]


def _typed_sql(column: Column, value: str) -> str:
    """DuckDB's expression from text to the type; only dates may be lost on the way."""
    match column.kind:
        case "integer" | "boolean":
            return f"{value}::BIGINT"
        case "unsigned":
            return f"{value}::UBIGINT"
        case "decimal":
            return f"{value}::DECIMAL({column.digits}, {column.decimals})"
        case "float":
            return f"{value}::FLOAT"
        case "double":
            return f"{value}::DOUBLE"
        case "date" | "datetime":  # no calendar has a year 0
            return f"CASE WHEN {value} NOT LIKE '0000%' THEN try_cast({value} AS {_TEMPORAL[column.kind]}) END"
        case "timestamp":  # Unix time 0 is how MySQL says 0000-00-00 here: the type cannot hold 1970-01-01 00:00:00
            return f"make_timestamp((nullif({value}::DECIMAL(38, 6), 0) * 1000000)::BIGINT)"
        case "bytes":
            return f"unhex({value})"
        case _:
            return value


def json_row_sql(cells: Mapping[str, str], end: str) -> str:
    """DuckDB's expression to a row as one JSON object in one line, and `end`.

    `cells` are expressions to the values' JSON texts, by name.
    """
    parts = []
    for i, (name, cell) in enumerate(cells.items()):
        parts.append(f"{literal(('{' if i == 0 else ',') + _json_text(name) + ':')}, coalesce({cell}, 'null')")
    row = f"concat({', '.join(parts)}, {literal('}' + end)})"
    for code in _UNICODE_LINE_BREAKS:
        row = f"replace({row}, chr({code}), '\\u{code:04x}')"
    return row


def json_sql(column: Column, value: str) -> str:
    """DuckDB's expression to a value's JSON text, NULL for NULL.

    `value` is an expression to text as a batch has it, or to a typed value where that is no BLOB; JSON is `nested`.
    """
    match column.kind:
        case "integer" | "unsigned":
            return f"{value}::HUGEINT::VARCHAR"  # a ZEROFILL column's text has leading zeros
        case "boolean":
            return f"CASE {value}::VARCHAR WHEN '0' THEN 'false' WHEN '1' THEN 'true' ELSE {value}::VARCHAR END"
        case "float":
            return f"{value}::FLOAT::VARCHAR"
        case "double":
            return f"{value}::DOUBLE::VARCHAR"
        case "decimal":
            return f"'\"' || {value}::DECIMAL({column.digits}, {column.decimals})::VARCHAR || '\"'"
        case "date":
            return f"strftime({value}, '\"%Y-%m-%d\"')"
        case "datetime" | "timestamp":
            fraction = f" || '.' || left(strftime({value}, '%f'), {column.decimals})" if column.decimals else ""
            return f"strftime({value}, '\"%Y-%m-%dT%H:%M:%S'){fraction} || 'Z\"'"
        case "bytes":
            return f"'\"' || to_base64(unhex({value})) || '\"'"
        case "json":
            return value
        case _:
            return f"to_json({value})::VARCHAR"


def _json_text(value: str) -> str:
    return orjson.dumps(value).decode()


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
