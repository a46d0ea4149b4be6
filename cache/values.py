"""What a cell becomes: text as MySQL gives it -> exact type -> JSON text.

The forms are those of the HTTP contract: DECIMAL a string, integers exact, instants ISO 8601 in UTC with as many
decimals as the column declares, binary base64, a date that no calendar has null, JSON nested and compact.
Arrow converts whole columns; DuckDB does what Arrow has no function for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from cache.snapshot import Column

# White space outside of strings; a string is matched first, and kept.
_STRING_OR_SPACE = r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+'
_SPACE = b" \t\r\n"
_ESCAPED = r'["\\\x00-\x1f\x{85}\x{2028}\x{2029}]'  # what cannot stand in a JSON string as it is, or should not
# Legal in JSON, but clients that read a stream by lines may cut there; they stand only inside strings, escaped.
LINE_BREAKS = {text: f"\\u{ord(text):04x}" for text in ("\u0085", "\u2028", "\u2029")}
_PLAIN_DECIMALS = 6  # with more, Arrow writes small decimals with an exponent


@cache
def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
    database.execute("SET GLOBAL TimeZone = 'UTC'")  # else instants are written in the zone of the machine
    return database


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


def json_rows(columns: Sequence[Column], values: Sequence[pa.Array], end: str = ",") -> pa.Array:
    """Each row as one JSON object and what ends it, of what `json_texts` gives for each column."""
    parts: list[pa.Array | str] = []
    for i, (column, texts) in enumerate(zip(columns, values, strict=True)):
        parts += [("," if i else "{") + json_string(column.name) + ":", texts]
    return pc.binary_join_element_wise(*parts, "}" + end, "", null_handling="replace", null_replacement="null")


def json_texts(column: Column, values: pa.Array) -> tuple[pa.Array, int]:
    """The JSON text of each value, null for NULL; and how many do not fit the column's kind, and are as they were.

    Parameters: `values` are of the column's type, as `typed` makes them; JSON columns as stored.
    """
    match column.kind:
        case "json":
            return nested(values)
        case "boolean":
            no, yes = pc.equal(values, 0), pc.equal(values, 1)
            odd = len(values) - values.null_count - (pc.sum(pc.or_(no, yes)).as_py() or 0)
            return pc.if_else(no, "false", pc.if_else(yes, "true", values.cast(pa.string()))), odd
        case _:
            return _json_texts(column, values), 0


def _json_texts(column: Column, values: pa.Array) -> pa.Array:
    match column.kind:
        case "integer" | "unsigned":
            return values.cast(pa.string())
        case "decimal" if column.decimals <= _PLAIN_DECIMALS:
            return _quoted(values.cast(pa.string()))
        case "decimal":
            return _quoted(_computed("v::VARCHAR", values))
        case "float" | "double":
            return _computed("v::VARCHAR", values)
        case "date":
            return _quoted(values.cast(pa.string()))
        case "datetime" | "timestamp":
            return _instants(values, column.decimals)
        case "bytes":
            return _quoted(_computed("to_base64(v)", values))
        case _:
            return _strings(values)


def json_string(text: str) -> str:
    string = orjson.dumps(text).decode()
    for found, escaped in LINE_BREAKS.items():
        string = string.replace(found, escaped)
    return string


def _quoted(texts: pa.Array, end: str = '"') -> pa.Array:
    return pc.binary_join_element_wise('"', texts, end, "")


def _instants(values: pa.Array, decimals: int) -> pa.Array:
    texts = values.cast(pa.timestamp("us")).cast(pa.string())  # with six decimals
    if decimals < 6:
        texts = pc.utf8_slice_codeunits(texts, 0, decimals - 6 if decimals else -7)
    return _quoted(pc.replace_substring(texts, " ", "T", max_replacements=1), 'Z"')


def _strings(texts: pa.Array) -> pa.Array:
    odd = pc.match_substring_regex(texts, _ESCAPED)
    strings = _quoted(texts)
    if pc.any(odd).as_py():
        escaped = _without_line_breaks(_computed("to_json(v)::VARCHAR", texts.filter(odd)))
        strings = pc.replace_with_mask(strings, pc.fill_null(odd, False), escaped)
    return strings


def _without_line_breaks(texts: pa.Array) -> pa.Array:
    data = (texts.buffers()[2] or pa.py_buffer(b"")).to_pybytes()
    for found, escaped in LINE_BREAKS.items():
        if not data.isascii() and found.encode() in data:
            texts = pc.replace_substring(texts, found, escaped)
    return texts


# -- nested JSON


def unwrap(value: str) -> str | None:
    """The text of a JSON object or array, also when it stands inside a JSON string; None where it is neither.

    The text stays as it is (numbers keep every digit); only the string around it is taken off.
    """
    found = _parsed(value.encode())
    return found and found[0].decode()


def _parsed(value: bytes) -> tuple[bytes, Any] | None:
    try:
        parsed = orjson.loads(value)
        if isinstance(parsed, str):
            value, parsed = parsed.encode(), orjson.loads(parsed)
    except orjson.JSONDecodeError:
        return None
    return (value, parsed) if isinstance(parsed, (dict, list)) else None


def nested(values: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, int]:
    """Texts -> JSON ready to be put in: compact, unwrapped where it was encoded twice; and how many are no JSON.

    A misfit becomes the JSON string that it is. What the parser writes again is taken where it differs from the stored
    text in white space alone: then no number, escape or repeated key was rewritten.
    """
    misfits = 0
    texts: list[bytes | None] = []
    stored: dict[int, bytes] = {}
    for value in values.cast(pa.binary()).to_pylist():
        found = None if value is None else _parsed(value)
        if found is not None:
            stored[len(texts)] = found[0]
            value = _written(found[1])
        elif value is not None:
            misfits += 1
            value = json_string(value.decode()).encode()
        texts.append(value)
    # Objects and arrays say where they end: each is the same where their concatenations are.
    if not _same(b"".join(stored.values()), b"".join(texts[i] or b"" for i in stored)):
        loose = {i: text for i, text in stored.items() if not _same(text, texts[i] or b"")}
        compact = pc.replace_substring_regex(pa.array(loose.values(), pa.string()), _STRING_OR_SPACE, r"\1")
        for i, text in zip(loose, compact.cast(pa.binary()).to_pylist(), strict=True):
            texts[i] = text
    return _without_line_breaks(pa.array(texts, pa.binary()).cast(pa.string())), misfits


def _written(parsed: Any) -> bytes:
    try:
        return orjson.dumps(parsed)
    except orjson.JSONEncodeError:  # it writes less deep than it reads
        return b""


def _same(one: bytes, other: bytes) -> bool:
    """Whether they differ in white space at most."""
    return one.translate(None, _SPACE) == other.translate(None, _SPACE)
