"""Encodes cells: from the text that MySQL sends to the exact type, and from the type to JSON.

The HTTP contract defines the JSON: a DECIMAL is a string, integers are exact, times are ISO 8601 in UTC with as many
decimals as the column declares, binary is base64, a date that exists in no calendar is null, JSON is nested and
compact. Arrow converts whole columns; DuckDB does what Arrow has no function for.

A change of the encoding needs a higher `ENCODING` and a rule in `scraper/sync/outdated_encoding.py`.
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

from cache.machine.memory import database_limit
from cache.schema import EMPTY_JSON, JSON_SPACE, Column

# Line breaks that JSON allows in strings. They are escaped for clients that read a stream line by line.
LINE_BREAKS = {text: f"\\u{ord(text):04x}" for text in ("\u0085", "\u2028", "\u2029")}
# Characters that are escaped in strings, the backslash first.
ESCAPES = {text: orjson.dumps(text).decode()[1:-1] for text in ("\\", '"', *map(chr, range(0x20)))} | LINE_BREAKS
_PLAIN = bytes(set(range(0x100)) - {text.encode()[0] for text in ESCAPES})  # bytes that begin no escaped character
_ESCAPING = str.maketrans(ESCAPES)
ENCODING = 2  # version of the rules by which this module encodes cells
_PLAIN_DECIMALS = 6  # with more, Arrow writes small decimals with an exponent
NULL = b"null"
_SPACE = JSON_SPACE.encode()
_EMPTY = tuple(text.encode() for text in EMPTY_JSON)
# The range of four-digit years, in microseconds since 1970. Python and Excel hold no others.
FIRST_INSTANT, LAST_INSTANT = (
    int(np.datetime64(text, "us").astype("i8")) for text in ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999")
)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # DuckDB's default for temporary files is the working directory.
    database = duckdb.connect(
        config={"threads": 1, "memory_limit": database_limit(256), "temp_directory": gettempdir()}
    )
    database.execute("SET GLOBAL TimeZone = 'UTC'")  # otherwise times would be written in the machine's time zone
    return database


_string = msgspec.json.Decoder(str)


def engine() -> duckdb.DuckDBPyConnection:
    """Returns a cursor of this process's only DuckDB database, for expressions on Arrow tables."""
    return _database().cursor()


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of a Parquet file, with the names of the table."""
    return pa.schema([pa.field(c.name, _arrow_type(c)) for c in columns])


def _arrow_type(column: Column) -> pa.DataType:
    types: dict[str, Any] = {
        "integer": pa.int64(),
        "unsigned": pa.uint64(),
        "boolean": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", "UTC"),
        "timestamp": pa.timestamp("us", "UTC"),
        "text": pa.string(),
        "json": pa.string(),
        "bytes": pa.binary(),
    }
    return pa.decimal128(column.digits, column.decimals) if column.kind == "decimal" else types[column.kind]


# -- text -> type


def to_arrow(column: Column, text: pa.Array, timezone: str) -> pa.Array:
    """Converts the text of a column to its exact type.

    Args:
        column: The column.
        text: Its values, as `SegmentWriter.write` describes them.
        timezone: The time zone of DATETIME values, an IANA name. If the local time occurs twice (the end of daylight
            saving time), the first is used; if it does not exist, the moment of the change is used.

    Returns:
        The values. Null are dates that exist in no calendar, and instants outside the years 1 to 9999 in UTC.
    """
    arrow_type = _arrow_type(column)
    match column.kind:
        case "date" | "datetime":
            naive = _dates(text, pa.date32() if column.kind == "date" else pa.timestamp("us"))
            if column.kind == "date":
                return naive
            instants = pc.assume_timezone(naive, timezone, ambiguous="earliest", nonexistent="latest")
            return _in_four_digit_years(instants.cast(arrow_type))
        case "timestamp":  # Unix time 0 means 0000-00-00: TIMESTAMP cannot hold 1970-01-01 00:00:00
            return _computed("make_timestamp((nullif(v::DECIMAL(38, 6), 0) * 1000000)::BIGINT)", text).cast(arrow_type)
        case "float" | "double":
            return _computed(f"v::{column.kind}", text)
        case "bytes":
            return _computed("unhex(v)", text)
        case _:
            return text.cast(arrow_type)


def _dates(text: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        dates = text.cast(kind)
    except pa.ArrowInvalid:
        name = "DATE" if pa.types.is_date(kind) else "TIMESTAMP"
        dates = _computed(f"try_cast(v AS {name})", text)
    return pc.if_else(pc.starts_with(text, "0000"), pa.scalar(None, kind), dates)  # no calendar has a year 0


def _in_four_digit_years(instants: pa.Array) -> pa.Array:
    microseconds = instants.cast(pa.int64())
    ends = pc.min_max(microseconds)
    if ends["min"].as_py() is None or FIRST_INSTANT <= ends["min"].as_py() <= ends["max"].as_py() <= LAST_INSTANT:
        return instants
    inside = pc.and_(pc.greater_equal(microseconds, FIRST_INSTANT), pc.less_equal(microseconds, LAST_INSTANT))
    return pc.if_else(inside, instants, pa.scalar(None, instants.type))


def _computed(sql: str, values: pa.Array) -> pa.Array:
    """Returns DuckDB's result of an expression on `v`."""
    cursor = engine()
    try:
        cursor.register("t", pa.table([values], names=["v"]))
        return one_chunk(cursor.sql(f"SELECT {sql} FROM t").to_arrow_table().column(0))
    finally:
        cursor.close()


def one_chunk(values: pa.ChunkedArray) -> pa.Array:
    """Returns the values in one array. They are copied only if they are in several arrays."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


# -- type -> JSON


class JsonTexts(NamedTuple):
    """The JSON of a column, in parts. Joining each row once is cheaper than joining each cell first.

    Attributes:
        texts: The values without quotes; null for NULL.
        quote: The text before and after each value.
        zone: The text between each value and its closing quote.
        misfits: Number of values that do not fit the column's kind. They are not changed.
    """

    texts: pa.Array
    quote: str = ""
    zone: str = ""
    misfits: int = 0

    def unquoted(self) -> pa.Array:
        """The values without quotes, as CSV has them."""
        return pc.binary_join_element_wise(self.texts, self.zone, "") if self.zone else self.texts

    def quoted(self) -> pa.Array:
        """The values with their quotes."""
        return pc.binary_join_element_wise(self.quote, self.texts, self.zone + self.quote, "")


def json_rows(columns: Sequence[Column], cells: Sequence[JsonTexts], end: str = ",") -> pa.Array:
    """Joins columns to rows.

    Args:
        columns: The columns.
        cells: The JSON of each column.
        end: The text after each row.

    Returns:
        Each row as a JSON object.
    """
    parts: list[pa.Array | str] = []
    between = ""
    for i, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        between += ("," if i else "{") + json_string(column.name) + ":"
        if cell.texts.null_count:
            parts += [between, cell.quoted()]
            between = ""
        else:
            parts += [between + cell.quote, cell.texts]
            between = cell.zone + cell.quote
    return pc.binary_join_element_wise(
        *parts, between + "}" + end, "", null_handling="replace", null_replacement="null"
    )


def json_texts(column: Column, values: pa.Array) -> JsonTexts:
    """Encodes a column.

    Args:
        column: The column.
        values: Its values, as `to_arrow` makes them.
    """
    match column.kind:
        case "json":
            return nested(values)
        case "boolean":
            zero, one = pc.equal(values, 0), pc.equal(values, 1)
            misfits = len(values) - values.null_count - (pc.sum(pc.or_(zero, one)).as_py() or 0)
            words = pc.if_else(zero, "false", pc.if_else(one, "true", values.cast(pa.string())))
            return JsonTexts(words, misfits=misfits)
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
    """Encodes a text as a JSON string."""
    return f'"{text.translate(_ESCAPING)}"'


def _instants(values: pa.Array, decimals: int) -> pa.Array:
    texts = values.cast(pa.timestamp("us")).cast(pa.string())  # with six decimals
    if decimals < 6:
        texts = pc.utf8_slice_codeunits(texts, 0, decimals - 6 if decimals else -7)
    return pc.replace_substring(texts, " ", "T", max_replacements=1)


def _strings(texts: pa.Array) -> pa.Array:
    suspicious = _data(texts).translate(None, _PLAIN)  # a fast test: most columns hold nothing that is escaped
    return _escaped(texts, ESCAPES) if suspicious else texts


def _escaped(texts: pa.Array, escapes: Mapping[str, str]) -> pa.Array:
    data = _data(texts)
    for character, escape in escapes.items():
        pattern = character.encode()
        if pattern[:1] in data and pattern in data:  # a search for one byte is faster
            texts = pc.replace_substring(texts, character, escape)
    return texts


def _data(texts: pa.Array) -> bytes:
    """Returns the bytes of all texts, one after the other."""
    _, ends, data = texts.buffers()
    if data is None:
        return b""
    places = np.frombuffer(ends, "<i4")
    return bytes(memoryview(data)[places[texts.offset] : places[texts.offset + len(texts)]])


# -- nested JSON


def compact(value: bytes) -> bytes | None:
    """Removes the white space between the parts of a JSON object or array.

    Nothing else changes: numbers keep every digit, strings their escapes, objects their repeated keys.

    Args:
        value: A JSON object or array, or a JSON string that holds one.

    Returns:
        The object or array; `NULL` for an empty value; None for anything else, and for JSON that is nested deeper than
        Python recurses (about a thousand levels).
    """
    if is_empty_json(value):
        return NULL
    try:
        text = msgspec.json.format(value, indent=-1)
        if text[0] == ord('"'):
            text = msgspec.json.format(_string.decode(text).encode(), indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return None
    return text if text[0] in b"{[" else None


def is_empty_json(value: bytes) -> bool:
    """Returns whether a text means NULL in a JSON column."""
    return value.strip(_SPACE) in _EMPTY


def nested(values: pa.Array) -> JsonTexts:
    """Encodes a JSON column: texts as `compact` makes them, an empty value as null, a misfit as a JSON string."""
    misfits = 0
    texts: list[bytes | None] = []
    for value in values.cast(pa.binary()).to_pylist():
        text = None if value is None else compact(value)
        if value is not None and text is None:
            misfits += 1
            text = json_string(value.decode()).encode()
        texts.append(None if text == NULL else text)
    return JsonTexts(_escaped(pa.array(texts, pa.string()), LINE_BREAKS), misfits=misfits)
