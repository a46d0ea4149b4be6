"""Cells as text become exact types and JSON texts: against Python's own json, datetime, decimal and struct."""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from tempfile import gettempdir
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.schema import Column
from cache.storage.row_encoding import (
    arrow_schema,
    compact,
    engine,
    json_rows,
    json_string,
    json_texts,
    nested,
    one_chunk,
    to_arrow,
)

quickly = settings(max_examples=20)
LINE_BREAKS = "\u0085\u2028\u2029"
any_text = st.text(st.characters(exclude_categories=["Cs"]))
awkward_text = st.text(st.sampled_from('a"\\/\n\r\t\x00\x1f\x7f é😀' + LINE_BREAKS), max_size=8)


def column(kind: str, **more: Any) -> Column:
    return Column(name=kind, type=kind, kind=kind, nullable=True, **more)  # type: ignore[arg-type]


def strings(*texts: str | None) -> pa.Array:
    return pa.array(texts, pa.string())


def values(one: Column, *texts: str | None, zone: str = "UTC") -> list[Any]:
    return to_arrow(one, strings(*texts), zone).to_pylist()


def shown(one: Column, *texts: str | None, zone: str = "UTC") -> list[str | None]:
    """The JSON of each cell."""
    return json_texts(one, to_arrow(one, strings(*texts), zone)).quoted().to_pylist()


# -- types


@pytest.mark.parametrize(
    ("one", "type"),
    [
        (column("integer"), pa.int64()),
        (column("unsigned"), pa.uint64()),
        (column("boolean"), pa.int64()),
        (column("float"), pa.float32()),
        (column("double"), pa.float64()),
        (column("date"), pa.date32()),
        (column("datetime"), pa.timestamp("us", "UTC")),
        (column("timestamp"), pa.timestamp("us", "UTC")),
        (column("text"), pa.string()),
        (column("json"), pa.string()),
        (column("bytes"), pa.binary()),
        (column("decimal", digits=12, decimals=4), pa.decimal128(12, 4)),
    ],
)
def test_each_kind_has_its_arrow_type(one: Column, type: pa.DataType) -> None:
    assert arrow_schema([one, column("text")]) == pa.schema([(one.name, type), ("text", pa.string())])
    assert to_arrow(one, strings(None), "UTC").type == type


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
@quickly
def test_integers_stay_exact(numbers: list[int | None]) -> None:
    texts = [None if number is None else str(number) for number in numbers]
    assert values(column("integer"), *texts) == numbers
    assert shown(column("integer"), *texts) == texts
    assert json_texts(column("integer"), pa.array(numbers, pa.int64())).misfits == 0


@given(st.lists(st.none() | st.decimals(-(10**9), 10**9, places=3)), st.integers(3, 12))
@quickly
def test_decimals_are_strings_with_all_their_decimals(numbers: list[Decimal | None], decimals: int) -> None:
    one = column("decimal", digits=30, decimals=decimals)
    full = [
        None if number is None else f"{number:.{decimals}f}".replace("-0." + "0" * decimals, "0." + "0" * decimals)
        for number in numbers
    ]
    texts = [None if number is None else f"{number:.3f}" for number in numbers]
    assert values(one, *texts) == numbers
    assert shown(one, *texts) == [None if text is None else f'"{text}"' for text in full]


@pytest.mark.parametrize("decimals", range(13))
def test_small_decimals_have_no_exponent(decimals: int) -> None:
    one = column("decimal", digits=20, decimals=decimals)
    least = "0" if not decimals else "0." + "0" * (decimals - 1) + "1"
    assert shown(one, least) == [f'"{least}"']


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
@quickly
def test_doubles_read_back_the_same(numbers: list[float | None]) -> None:
    texts = [None if number is None else repr(number) for number in numbers]
    assert values(column("double"), *texts) == numbers
    read_back = [None if text is None else json.loads(text) for text in shown(column("double"), *texts)]
    assert read_back == numbers


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
@quickly
def test_floats_read_back_the_same_in_their_width(numbers: list[float]) -> None:
    texts = [repr(number) for number in numbers]
    assert values(column("float"), *texts) == numbers
    read_back = [json.loads(text or "") for text in shown(column("float"), *texts)]
    assert [struct.unpack("f", struct.pack("f", number))[0] for number in read_back] == numbers


@given(st.lists(st.none() | st.binary(max_size=40)))
@quickly
def test_bytes_are_base64(cells: list[bytes | None]) -> None:
    texts = [None if cell is None else cell.hex().upper() for cell in cells]
    assert values(column("bytes"), *texts) == cells
    encoded = [None if cell is None else f'"{base64.b64encode(cell).decode()}"' for cell in cells]
    assert shown(column("bytes"), *texts) == encoded


@pytest.mark.parametrize(
    ("text", "json_text", "misfits"),
    [("0", "false", 0), ("1", "true", 0), ("2", "2", 1), ("-1", "-1", 1), (None, None, 0)],
)
def test_a_boolean_is_0_or_1_and_others_are_counted(text: str | None, json_text: str | None, misfits: int) -> None:
    one = column("boolean")
    texts = json_texts(one, to_arrow(one, strings("0", text, text, None), "UTC"))
    assert texts.quoted().to_pylist() == ["false", json_text, json_text, None]
    assert texts.misfits == 2 * misfits


def test_booleans_that_are_all_null_fit() -> None:
    assert json_texts(column("boolean"), pa.array([None, None], pa.int64())).misfits == 0
    assert json_texts(column("boolean"), pa.array([], pa.int64())).misfits == 0


# -- times


times = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30))


@given(st.lists(st.none() | times, max_size=6), st.integers(0, 6))
@quickly
def test_instants_have_the_decimals_of_their_column(moments: list[datetime | None], decimals: int) -> None:
    step = 10 ** (6 - decimals)
    moments = [m and m.replace(microsecond=m.microsecond // step * step) for m in moments]
    texts = [m and f"{m:%Y-%m-%d %H:%M:%S}" + (f".{m:%f}"[: decimals + 1] if decimals else "") for m in moments]
    one = column("datetime", decimals=decimals)
    assert values(one, *texts) == [m and m.replace(tzinfo=UTC) for m in moments]
    assert shown(one, *texts) == [text and f'"{text.replace(" ", "T")}Z"' for text in texts]


@given(st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2037, 12, 31)), max_size=6))
@quickly
def test_datetimes_are_read_in_their_zone_at_the_first_pass(moments: list[datetime]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    exists = [m for m in moments if m.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == m]
    texts = [f"{moment:%Y-%m-%d %H:%M:%S.%f}" for moment in exists]
    expected = [moment.replace(tzinfo=zone).astimezone(UTC) for moment in exists]
    assert values(column("datetime", decimals=6), *texts, zone="Europe/Berlin") == expected


@given(st.lists(st.none() | st.integers(1, 2**31 - 1), max_size=6), st.integers(0, 999_999))
@quickly
def test_a_timestamp_is_unix_seconds_in_any_zone(seconds: list[int | None], micro: int) -> None:
    texts = [None if second is None else f"{second}.{micro:06}" for second in seconds]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [None if second is None else epoch + timedelta(seconds=second, microseconds=micro) for second in seconds]
    assert values(column("timestamp", decimals=6), *texts, zone="Asia/Tokyo") == expected


@given(st.lists(st.none() | st.dates(), max_size=6))
@quickly
def test_dates_stay_what_they_are(days: list[date | None]) -> None:
    texts = [day and day.isoformat() for day in days]
    assert values(column("date"), *texts, zone="Asia/Tokyo") == days
    assert shown(column("date"), *texts) == [text and f'"{text}"' for text in texts]


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "expected"),
    [
        ("date", "0000-00-00", "2024-02-29", date(2024, 2, 29)),
        ("date", "2025-02-30", "2024-02-29", date(2024, 2, 29)),
        ("date", "0000-01-01", "0001-01-01", date(1, 1, 1)),
        ("datetime", "0000-00-00 00:00:00", "2024-02-29 01:02:03", datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
        ("datetime", "2025-06-31 01:02:03", "2024-02-29 01:02:03", datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
        ("timestamp", "0", "1", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_date_that_does_not_exist_is_null_beside_one_that_does(
    kind: str, wrong: str, right: str, expected: Any
) -> None:
    assert values(column(kind), right, wrong, None, right) == [expected, None, None, expected]
    assert values(column(kind), right) == [expected]


def test_a_text_that_is_no_number_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid):
        values(column("integer"), "seven")


# -- texts


@given(st.lists(st.none() | any_text | awkward_text))
@quickly
def test_texts_are_json_strings_without_line_breaks(texts: list[str | None]) -> None:
    result = shown(column("text"), *texts)
    assert [None if text is None else json.loads(text) for text in result] == texts
    assert not any(set(text or "") & set("\n\r" + LINE_BREAKS) for text in result)


@given(any_text | awkward_text)
@quickly
def test_a_json_string_reads_back_the_same(text: str) -> None:
    assert json.loads(json_string(text)) == text
    assert json_string(text) == shown(column("text"), text)[0]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("/é😀\x7f", "/é😀\x7f"),
        ('a"b', 'a\\"b'),
        ("a\\b", "a\\\\b"),
        ("\\n", "\\\\n"),
        ("\n", "\\n"),
        ("\x00", "\\u0000"),
        ("\x1f", "\\u001f"),
        ("\x85", "\\u0085"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ],
)
def test_only_what_must_be_escaped_is(text: str, escaped: str) -> None:
    assert json_string(text) == f'"{escaped}"'
    assert shown(column("text"), text, "x") == [f'"{escaped}"', '"x"']


def test_a_part_of_an_array_is_escaped_by_its_own_texts() -> None:
    texts = strings('"before"', "plain", 'a"b', None, "\n after")
    for start in range(5):
        for stop in range(start, 6):
            part = texts.slice(start, stop - start)
            result = json_texts(column("text"), part).quoted().to_pylist()
            assert [text and json.loads(text) for text in result] == part.to_pylist()


# -- rows


@given(
    st.lists(st.tuples(st.none() | awkward_text, st.none() | st.integers(0, 9), st.none() | st.booleans()), max_size=6),
    awkward_text,
    st.sampled_from([",", "\n", ""]),
)
@quickly
def test_a_row_is_one_object_whatever_is_null(rows: list[tuple[Any, ...]], name: str, end: str) -> None:
    kinds = ("text", "integer", "boolean")
    columns = [column(kind).model_copy(update={"name": f"{name}{i}"}) for i, kind in enumerate(kinds)]
    cells = [[row[i] if row[i] is None or i == 0 else str(int(row[i])) for row in rows] for i in range(3)]
    texts = [json_texts(one, to_arrow(one, strings(*cell), "UTC")) for one, cell in zip(columns, cells, strict=True)]
    written = json_rows(columns, texts, end).to_pylist()
    assert all(text.endswith("}" + end) for text in written)
    names = [one.name for one in columns]
    assert [json.loads(text.removesuffix(end)) for text in written] == [
        dict(zip(names, row, strict=True)) for row in rows
    ]


def test_a_row_is_written_without_white_space_and_ends_with_a_comma() -> None:
    columns = [column("integer"), column("text"), column("datetime")]
    cells = [strings("1", "2"), strings("a", None), strings("2025-01-02 03:04:05", "2025-01-02 03:04:06")]
    texts = [json_texts(one, to_arrow(one, cell, "UTC")) for one, cell in zip(columns, cells, strict=True)]
    assert json_rows(columns, texts).to_pylist() == [
        '{"integer":1,"text":"a","datetime":"2025-01-02T03:04:05Z"},',
        '{"integer":2,"text":null,"datetime":"2025-01-02T03:04:06Z"},',
    ]
    assert texts[2].unquoted().to_pylist() == ["2025-01-02T03:04:05Z", "2025-01-02T03:04:06Z"]
    assert texts[1].unquoted().to_pylist() == ["a", None]


# -- nested JSON


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (b' { "a" : [ 1 , 2 ] } ', b'{"a":[1,2]}'),
        (b"[]", b"[]"),
        (b'"[1, 2]"', b"[1,2]"),
        (b'"{\\"a\\": 1}"', b'{"a":1}'),
        (b'"\\"[1]\\""', None),  # encoded three times
        (b"1", None),
        (b'"a"', None),
        (b'""', b"null"),
        (b"", b"null"),
        (b" \n", b"null"),
        (b"null", b"null"),
        (b'"null"', b"null"),
        (b"true", None),
        (b"[1", None),
        (b"\xff", None),
    ],
)
def test_objects_arrays_and_empty_values_are_compact_and_others_refused(value: bytes, result: bytes | None) -> None:
    assert compact(value) == result


def test_json_that_is_nested_too_deep_is_refused() -> None:
    assert compact(b"[" * 100 + b"]" * 100) == b"[" * 100 + b"]" * 100
    assert compact(b"[" * 5_000 + b"]" * 5_000) is None


def test_misfits_are_json_strings_and_are_counted() -> None:
    texts = nested(strings('{"a": 1}', None, "", "null", "plain", 'a"\u2028', "[1]"))
    assert texts.texts.to_pylist() == ['{"a":1}', None, None, None, '"plain"', '"a\\"\\u2028"', "[1]"]
    assert texts.misfits == 2
    assert texts.quoted().to_pylist() == texts.texts.to_pylist()


def test_line_breaks_inside_nested_texts_are_escaped() -> None:
    (text,) = nested(strings(f'["{LINE_BREAKS}"]')).texts.to_pylist()
    assert text == '["\\u0085\\u2028\\u2029"]'


# -- the engine


def test_the_engine_works_with_one_thread_and_little_memory_in_utc() -> None:
    duck = engine()
    settings = {
        name: duck.sql(f"SELECT current_setting('{name}')").fetchall()[0][0]
        for name in ("threads", "memory_limit", "TimeZone", "temp_directory")
    }
    duck.close()
    assert settings == {
        "threads": 1,
        "memory_limit": "244.1 MiB",
        "TimeZone": "UTC",
        "temp_directory": gettempdir(),
    }


def test_cursors_share_one_database_and_none_of_their_tables() -> None:
    first, second = engine(), engine()
    first.register("t", pa.table({"v": [1]}))
    with pytest.raises(Exception, match="t does not exist"):
        second.sql("SELECT * FROM t")
    first.close()
    assert second.sql("SELECT 1").fetchall() == [(1,)]
    second.close()


def test_chunks_become_one_array() -> None:
    parts = pa.chunked_array([[1, 2], [3]])
    assert one_chunk(parts).equals(pa.array([1, 2, 3]))
    whole = pa.chunked_array([[1, 2]])
    assert one_chunk(whole).equals(pa.array([1, 2]))
    assert one_chunk(pa.chunked_array([], pa.int64())).equals(pa.array([], pa.int64()))
