"""What a cell becomes: text as MySQL gives it -> exact type -> JSON text.

The forms are those of the HTTP contract: DECIMAL a string, integers exact, instants ISO 8601 in UTC with as many
decimals as the column declares, binary base64, a date that no calendar has null, JSON nested and compact.
Arrow converts whole columns; DuckDB does what Arrow has no function for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from tempfile import gettempdir
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from cache.schema import Column

# Legal in JSON, but clients that read a stream by lines may cut there; they stand only inside strings, escaped.
LINE_BREAKS = {text: f"\\u{ord(text):04x}" for text in ("\u0085", "\u2028", "\u2029")}
# What stands escaped in strings, the backslash first.
ESCAPES = {text: orjson.dumps(text).decode()[1:-1] for text in ("\\", '"', *map(chr, range(0x20)))} | LINE_BREAKS
_PLAIN = bytes(set(range(0x100)) - {text.encode()[0] for text in ESCAPES})  # bytes that begin none of these
_ESCAPING = str.maketrans(ESCAPES)
_PLAIN_DECIMALS = 6  # with more, Arrow writes small decimals with an exponent


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # DuckDB's own choice of a folder is the one that the process works in.
    database = duckdb.connect(config={"threads": 1, "memory_limit": "256MB", "temp_directory": gettempdir()})
    database.execute("SET GLOBAL TimeZone = 'UTC'")  # else instants are written in the zone of the machine
    return database


_string = msgspec.json.Decoder(str)


def engine() -> duckdb.DuckDBPyConnection:
    """A cursor of the process's one DuckDB, for expressions over Arrow tables; each database would cost memory."""
    return _database().cursor()


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


# -- text -> type


def typed(column: Column, text: pa.Array, timezone: str) -> pa.Array:
    """Values of a column's exact type; only dates may be lost on the way, those that no calendar has.

    Parameters: `text` as `SegmentWriter` describes it; `timezone` is what DATETIME values mean (an hour that a change
    of summer time repeats is taken as its first pass, one that it skips as the instant of the change).
    """
    kind = _arrow_type(column)
    match column.kind:
        case "date" | "datetime":
            naive = _dates(text, pa.date32() if column.kind == "date" else pa.timestamp("us"))
            if column.kind == "date":
                return naive
            return pc.assume_timezone(naive, timezone, ambiguous="earliest", nonexistent="latest").cast(kind)
        case "timestamp":  # Unix time 0 is how MySQL says 0000-00-00 here: the type cannot hold 1970-01-01 00:00:00
            return _computed("make_timestamp((nullif(v::DECIMAL(38, 6), 0) * 1000000)::BIGINT)", text).cast(kind)
        case "float" | "double":
            return _computed(f"v::{column.kind}", text)
        case "bytes":
            return _computed("unhex(v)", text)
        case _:
            return text.cast(kind)


def _dates(text: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        dates = text.cast(kind)
    except pa.ArrowInvalid:
        name = "DATE" if pa.types.is_date(kind) else "TIMESTAMP"
        dates = _computed(f"try_cast(v AS {name})", text)
    return pc.if_else(pc.starts_with(text, "0000"), pa.scalar(None, kind), dates)  # no calendar has a year 0


def _computed(sql: str, values: pa.Array) -> pa.Array:
    """DuckDB's result of an expression over `v`."""
    duck = engine()
    try:
        duck.register("t", pa.table([values], names=["v"]))
        return one_chunk(duck.sql(f"SELECT {sql} FROM t").to_arrow_table().column(0))
    finally:
        duck.close()


def one_chunk(values: pa.ChunkedArray) -> pa.Array:
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


# -- type -> JSON


class JsonTexts(NamedTuple):
    """What JSON has for the values of a column: `texts`, null for NULL, and what stands around each of the others.

    Kept apart, since joining each row once is cheaper than joining each cell before. `misfits` is how many values do
    not fit the column's kind, and are as they were.
    """

    texts: pa.Array
    quote: str = ""
    zone: str = ""
    misfits: int = 0

    def bare(self) -> pa.Array:
        """The values, without quotes around them."""
        return pc.binary_join_element_wise(self.texts, self.zone, "") if self.zone else self.texts

    def whole(self) -> pa.Array:
        return pc.binary_join_element_wise(self.quote, self.texts, self.zone + self.quote, "")


def json_rows(columns: Sequence[Column], cells: Sequence[JsonTexts], end: str = ",") -> pa.Array:
    """Each row as one JSON object and what ends it."""
    parts: list[pa.Array | str] = []
    between = ""
    for i, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        between += ("," if i else "{") + json_string(column.name) + ":"
        if cell.texts.null_count:
            parts += [between, cell.whole()]
            between = ""
        else:
            parts += [between + cell.quote, cell.texts]
            between = cell.zone + cell.quote
    return pc.binary_join_element_wise(
        *parts, between + "}" + end, "", null_handling="replace", null_replacement="null"
    )


def json_texts(column: Column, values: pa.Array) -> JsonTexts:
    """The JSON of a column.

    Parameters: `values` are of the column's type, as `typed` makes them; JSON columns as stored.
    """
    match column.kind:
        case "json":
            return nested(values)
        case "boolean":
            no, yes = pc.equal(values, 0), pc.equal(values, 1)
            odd = len(values) - values.null_count - (pc.sum(pc.or_(no, yes)).as_py() or 0)
            words = pc.if_else(no, "false", pc.if_else(yes, "true", values.cast(pa.string())))
            return JsonTexts(words, misfits=odd)
        case "integer" | "unsigned":
            return JsonTexts(values.cast(pa.string()))
        case "decimal" if column.decimals <= _PLAIN_DECIMALS:
            return JsonTexts(values.cast(pa.string()), '"')
        case "decimal":
            return JsonTexts(_computed("v::VARCHAR", values), '"')
        case "float" | "double":
            return JsonTexts(_computed("v::VARCHAR", values))
        case "date":
            return JsonTexts(values.cast(pa.string()), '"')
        case "datetime" | "timestamp":
            return JsonTexts(_instants(values, column.decimals), '"', "Z")
        case "bytes":
            return JsonTexts(_computed("to_base64(v)", values), '"')
        case _:
            return JsonTexts(_strings(values), '"')


def json_string(text: str) -> str:
    return f'"{text.translate(_ESCAPING)}"'


def _instants(values: pa.Array, decimals: int) -> pa.Array:
    texts = values.cast(pa.timestamp("us")).cast(pa.string())  # with six decimals
    if decimals < 6:
        texts = pc.utf8_slice_codeunits(texts, 0, decimals - 6 if decimals else -7)
    return pc.replace_substring(texts, " ", "T", max_replacements=1)


def _strings(texts: pa.Array) -> pa.Array:
    odd = _data(texts).translate(None, _PLAIN)  # a fast look: most columns hold nothing to be escaped
    return _escaped(texts, ESCAPES) if odd else texts


def _escaped(texts: pa.Array, escapes: Mapping[str, str]) -> pa.Array:
    data = _data(texts)
    for found, escape in escapes.items():
        mark = found.encode()
        if mark[:1] in data and mark in data:  # one byte is found faster than several
            texts = pc.replace_substring(texts, found, escape)
    return texts


def _data(texts: pa.Array) -> bytes:
    """All texts, one after the other."""
    _, ends, data = texts.buffers()
    if data is None:
        return b""
    places = np.frombuffer(ends, "<i4")
    return bytes(memoryview(data)[places[texts.offset] : places[texts.offset + len(texts)]])


# -- nested JSON


def compact(value: bytes) -> bytes | None:
    """A JSON object or array without white space between its parts, also out of a JSON string; None for anything else.

    Nothing else changes: numbers keep every digit, strings their escapes, objects repeated keys. What is nested deeper
    than Python calls (about a thousand times) is not taken for JSON.
    """
    try:
        text = msgspec.json.format(value, indent=-1)
        if text[0] == ord('"'):
            text = msgspec.json.format(_string.decode(text).encode(), indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return None
    return text if text[0] in b"{[" else None


def nested(values: pa.Array) -> JsonTexts:
    """Texts -> JSON as `compact` makes it; a misfit becomes the JSON string that it is."""
    misfits = 0
    texts: list[bytes | None] = []
    for value in values.cast(pa.binary()).to_pylist():
        text = None if value is None else compact(value)
        if value is not None and text is None:
            misfits += 1
            text = json_string(value.decode()).encode()
        texts.append(text)
    return JsonTexts(_escaped(pa.array(texts, pa.string()), LINE_BREAKS), misfits=misfits)
