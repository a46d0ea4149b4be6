"""Rows of text become Parquet and JSON that say the same, whatever the text."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.schema import Column
from cache.storage.row_encoding import compact
from cache.storage.segment_writer import SegmentWriter, exact_sum
from cache.storage.snapshot import CHECKSUMS, JSON, OFFSETS, PARQUET, Segment

TEXT = Column(name="a", type="text", kind="text", nullable=True)
any_text = st.text(st.characters(exclude_categories=["Cs"]))  # a surrogate is no character


def column(kind: str, type: str = "", **more: Any) -> Column:
    return Column(name=kind, type=type or kind, kind=kind, nullable=True, **more)  # type: ignore[arg-type]


def write(
    folder: Path, columns: Sequence[Column], *batches: Sequence[Sequence[str | None]], zone: str = "UTC"
) -> Segment:
    with SegmentWriter(folder, columns, zone) as writer:
        for rows in batches:
            table = pa.table(
                {f"c{i}": pa.array(values, pa.string()) for i, values in enumerate(zip(*rows, strict=True))}
            )
            writer.write(table, np.arange(len(rows), dtype=np.uint64))
        return writer.close(None, None)


def rendered(
    tmp_path: Path, one: Column, *values: str | None, zone: str = "UTC"
) -> tuple[list[Any], list[str], Segment]:
    """Values of a column as Parquet has them, their JSON as it is written, and the segment."""
    folder = tmp_path / "segment"
    segment = write(folder, [one], [[value] for value in values], zone=zone)
    offsets = np.fromfile(folder / OFFSETS, "<u8")
    body = (folder / JSON).read_bytes()
    start = len(json.dumps(one.name)) + 2
    rows = [body[a : b - 2].decode()[start:] for a, b in pairwise(offsets)]
    return pq.read_table(folder / PARQUET).column(0).to_pylist(), rows, segment


@pytest.mark.slow
@given(st.lists(st.tuples(*[st.none() | any_text] * 3), min_size=1, max_size=20), any_text)
@settings(max_examples=150)
def test_any_text_survives_rendering(rows: list[tuple[str | None, ...]], name: str) -> None:
    columns = [TEXT.model_copy(update={"name": f"{name}{i}"}) for i in range(3)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        write(path, columns, rows[:7], *([rows[7:]] if rows[7:] else []))
        body = (path / JSON).read_bytes()
        parsed = json.loads(b"[" + body[:-1] + b"]")
        assert [tuple(row[c.name] for c in columns) for row in parsed] == rows
        offsets = np.fromfile(path / OFFSETS, "<u8")
        assert [json.loads(body[a : b - 1]) for a, b in pairwise(offsets)] == parsed
        assert b"\n" not in body
        assert [tuple(row.values()) for row in pq.read_table(path / PARQUET).to_pylist()] == rows
        assert np.fromfile(path / CHECKSUMS, "<u8").size == len(rows)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
containers = st.lists(json_values, max_size=4) | st.dictionaries(any_text, json_values, max_size=4)


@pytest.mark.slow
@given(st.lists(st.none() | st.tuples(containers, st.booleans(), st.booleans(), st.sampled_from([None, 1, "\t"]))))
@settings(max_examples=150)
def test_any_json_is_nested_as_it_is_also_where_it_was_encoded_twice(rows: list[Any]) -> None:
    if not rows:
        return
    stored = [row and json.dumps(row[0], ensure_ascii=row[1], indent=row[3]) for row in rows]
    stored = [text and (json.dumps(text) if row[2] else text) for row, text in zip(rows, stored, strict=True)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        segment = write(path, [column("json")], [[text] for text in stored])
        body = (path / JSON).read_bytes()
        assert b"\n" not in body
        assert [row["json"] for row in json.loads(b"[" + body[:-1] + b"]")] == [row and row[0] for row in rows]
        assert pq.read_table(path / PARQUET).column(0).to_pylist() == stored
        assert segment.misfits == {}


@pytest.mark.parametrize(
    ("text", "nested"),
    [
        ('{"a": 1.10, "b" : [ 1 , 2 ]}', '{"a":1.10,"b":[1,2]}'),  # digits stay
        ("[12345678901234567890123.000000000001]", "[12345678901234567890123.000000000001]"),
        ('"{\\"a\\": \\"x  y\\"}"', '{"a":"x  y"}'),
        (' {"quote": "\\" : ", "back": "\\\\"} ', '{"quote":"\\" : ","back":"\\\\"}'),
        ('["\\u00e9\\/", 1e2, {"a": 1, "a": 1E999}]', '["\\u00e9\\/",1e2,{"a":1,"a":1E999}]'),  # nothing is rewritten
        ("{}", "{}"),
    ],
)
def test_nested_json_is_compact_and_keeps_every_digit(tmp_path: Path, text: str, nested: str) -> None:
    assert rendered(tmp_path, column("json"), text)[1] == [nested]


@pytest.mark.parametrize(
    "text",
    [
        "1",
        '"text"',
        "NULL",
        "{",
        "[1] x",
        '"{}x"',
        "NaN",
        "[NaN]",
        "[01]",
        "[1,]",
        '["\\ud800"]',
        "true",
        "[" * 2_000 + "]" * 2_000,
    ],
)
def test_what_is_no_json_object_or_array_is_delivered_as_it_is_and_counted(tmp_path: Path, text: str) -> None:
    assert compact(text.encode()) is None
    stored, shown, segment = rendered(tmp_path, column("json"), text, "{}")
    assert (stored, [json.loads(value) for value in shown]) == ([text, "{}"], [text, {}])
    assert segment.misfits == {"json": 1}


@pytest.mark.parametrize("text", ["", " \t\r\n", "null", " null", '""', '"null"'])
def test_an_empty_json_value_is_stored_as_it_is_and_shown_as_null(tmp_path: Path, text: str) -> None:
    stored, shown, segment = rendered(tmp_path, column("json"), text, "[]", None)
    assert (stored, shown) == ([text, "[]", None], ["null", "[]", "null"])
    assert segment.misfits == {}


@pytest.mark.parametrize(
    ("one", "text", "typed", "shown"),
    [
        (column("decimal", digits=12, decimals=2), "598.94", Decimal("598.94"), '"598.94"'),
        (column("decimal", digits=12, decimals=2), "-0.05", Decimal("-0.05"), '"-0.05"'),
        (column("decimal", digits=5, decimals=0), "00042", Decimal(42), '"42"'),
        (
            column("decimal", digits=38, decimals=10),
            "9" * 28 + "." + "9" * 10,
            Decimal("9" * 28 + "." + "9" * 10),
            '"' + "9" * 28 + "." + "9" * 10 + '"',
        ),
        (column("integer"), "-9223372036854775808", -(2**63), "-9223372036854775808"),
        (column("integer"), "007", 7, "7"),
        (column("unsigned"), "18446744073709551615", 2**64 - 1, "18446744073709551615"),
        (column("boolean"), "1", 1, "true"),
        (column("boolean"), "0", 0, "false"),
        (column("boolean"), "2", 2, "2"),
        (column("boolean"), "-1", -1, "-1"),
        (column("double"), "0.1", 0.1, "0.1"),
        (column("double"), "1.7976931348623157e308", 1.7976931348623157e308, "1.7976931348623157e+308"),
        (column("float"), "0.10000000149011612", 0.10000000149011612, "0.1"),
        (column("float"), "16777216", 16777216.0, "16777216.0"),
        (column("date"), "2025-12-29", date(2025, 12, 29), '"2025-12-29"'),
        (column("date"), "0001-01-01", date(1, 1, 1), '"0001-01-01"'),
        (
            column("datetime"),
            "2025-12-29 10:25:00",
            datetime(2025, 12, 29, 10, 25, tzinfo=UTC),
            '"2025-12-29T10:25:00Z"',
        ),
        (
            column("datetime", decimals=3),
            "2025-12-29 10:25:00.120",
            datetime(2025, 12, 29, 10, 25, 0, 120000, UTC),
            '"2025-12-29T10:25:00.120Z"',
        ),
        (
            column("datetime", decimals=6),
            "9999-12-31 23:59:59.999999",
            datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
            '"9999-12-31T23:59:59.999999Z"',
        ),
        (column("timestamp"), "1767003900", datetime(2025, 12, 29, 10, 25, tzinfo=UTC), '"2025-12-29T10:25:00Z"'),
        (
            column("timestamp", decimals=6),
            "2147483647.999999",
            datetime(2038, 1, 19, 3, 14, 7, 999999, UTC),
            '"2038-01-19T03:14:07.999999Z"',
        ),
        (column("bytes"), "00FF10", b"\x00\xff\x10", '"' + base64.b64encode(b"\x00\xff\x10").decode() + '"'),
        (column("bytes"), "", b"", '""'),
        (column("text"), "NULL", "NULL", '"NULL"'),
        (column("text"), "", "", '""'),
    ],
)
def test_a_value_has_its_exact_type_and_its_form_of_the_contract(
    tmp_path: Path, one: Column, text: str, typed: Any, shown: str
) -> None:
    stored, rows, segment = rendered(tmp_path, one, text, None)
    assert stored == [typed, None]
    assert json.loads(rows[0]) == json.loads(shown)
    if one.kind != "double":  # 1e308 has several shortest forms
        assert rows == [shown, "null"]
    assert segment.zero_dates == {}


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("date", ["0000-00-00", "2025-00-10", "2025-02-30", "2025-12-00"]),
        ("datetime", ["0000-00-00 00:00:00", "2025-00-00 00:00:00", "2025-02-29 10:00:00"]),
        ("timestamp", ["0", "0.000000"]),
    ],
)
def test_a_date_that_no_calendar_has_is_null_and_counted(tmp_path: Path, kind: str, texts: list[str]) -> None:
    stored, rows, segment = rendered(tmp_path, column(kind), *texts, None)
    assert stored == [None] * (len(texts) + 1)
    assert rows == ["null"] * (len(texts) + 1)
    assert segment.zero_dates == {kind: len(texts)}


@pytest.mark.parametrize(
    ("zone", "outside", "inside", "instant"),
    [
        ("America/New_York", "9999-12-31 23:59:59.999999", "9999-12-31 18:59:59.999999", datetime.max),
        ("Etc/GMT+12", "9999-12-31 12:00:00", "9999-12-31 11:59:59.999999", datetime.max),
        ("Etc/GMT-14", "0001-01-01 13:59:59.999999", "0001-01-01 14:00:00", datetime.min),
        ("Asia/Tokyo", "0001-01-01 00:00:00", "0001-01-01 09:18:59", datetime.min),
    ],
)
def test_a_datetime_outside_the_years_1_to_9999_in_utc_is_null(
    tmp_path: Path, zone: str, outside: str, inside: str, instant: datetime
) -> None:
    stored, rows, segment = rendered(tmp_path, column("datetime", decimals=6), outside, inside, None, zone=zone)
    assert stored == [None, instant.replace(tzinfo=UTC), None]
    assert rows == ["null", f'"{instant.isoformat(timespec="microseconds")}Z"', "null"]
    assert segment.zero_dates == {"datetime": 1}


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2025-07-01 12:00:00", "2025-07-01T10:00:00Z"),
        ("2025-01-01 00:30:00", "2024-12-31T23:30:00Z"),
        ("2025-10-26 02:30:00", "2025-10-26T00:30:00Z"),  # the clock shows it twice: the first time
        ("2025-03-30 02:30:00", "2025-03-30T01:00:00Z"),  # the clock never shows it: the moment of the change
    ],
)
def test_a_datetime_is_read_in_the_time_zone_of_the_source(tmp_path: Path, local: str, instant: str) -> None:
    stored, rows, _ = rendered(tmp_path, column("datetime"), local, zone="Europe/Berlin")
    assert rows == [f'"{instant}"']
    assert stored == [datetime.fromisoformat(instant)]


@pytest.mark.slow
def test_instants_are_written_in_utc_wherever_the_machine_stands() -> None:
    query = "SELECT strftime(to_timestamp(0), '%H:%M')"
    code = f"from cache.storage.row_encoding import engine; print(engine().sql({query!r}).fetchall())"
    environment = {**os.environ, "TZ": "America/New_York"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "[('00:00',)]\n"


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_sums_of_checksums_are_exact_beyond_64_bits(numbers: list[int]) -> None:
    assert exact_sum(np.array(numbers, np.uint64)) == sum(numbers)


def test_a_segment_is_named_by_its_content(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path / str(i), [TEXT], [[text]]) for i, text in enumerate(["same", "same", "other"]))
    assert one.id == same.id != other.id


def test_how_rows_are_cut_into_batches_changes_no_json(tmp_path: Path) -> None:
    rows = [[str(i)] for i in range(10)]
    write(tmp_path / "one", [TEXT], rows)
    write(tmp_path / "many", [TEXT], *[[row] for row in rows])
    for name in (JSON, OFFSETS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
