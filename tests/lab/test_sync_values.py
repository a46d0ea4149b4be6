"""Any value of any type comes through a sync as the contract says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from copies import Copies, json_rows, parquet_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.storage.documents import SETUP
from cache.storage.snapshot import ChangeCounts
from cache.table_setup import Setup

# No surrogates (they are no characters); all else, also what looks like the parts of CSV, SQL, HTML and a NULL.
characters = st.characters(exclude_categories=["Cs"])
looks_like = st.sampled_from(
    [
        "NULL",
        "\\N",
        "\0",
        "\x1a",
        "\x08",
        "\r\n",
        "\n",
        "\r",
        '"',
        '""',
        "'",
        ",",
        '","',
        "\\",
        '\\"',
        "\ufeff",
        "😀",
        '"c0","c1"',
        '<div class="alert alert-danger">',
        "Fatal error",
        "Maximum execution time",
        'name="pma_username"',
        " ",
        "",
        "\u2028",
        "\x85",
        "0x00",
        "%s",
        "{}",
        "[1]",
        "-- ",
        "/*",
        "#",
    ]
)
texts = st.none() | st.lists(looks_like | st.text(characters, max_size=8), max_size=5).map("".join)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=60))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_the_whole_way(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str | None, str | None]]
) -> None:
    monkeypatch.setattr("scraper.client.csv_parser.BLOCK", 100)  # so that blocks end everywhere within rows
    table = copies.table("id INT PRIMARY KEY, a TEXT, b VARCHAR(200)")
    copies.insert(table, [(i, *row) for i, row in enumerate(rows)])
    run = copies.sync(table)
    assert run.error is None
    assert copies.differences(table) == []
    stored = parquet_table(copies.cache.snapshots.open())
    assert list(zip(*(stored.column(name).to_pylist() for name in ("a", "b")), strict=True)) == rows


def test_every_character_of_the_first_planes_survives(copies: Copies) -> None:
    points = [*range(0, 0xD800), *range(0xE000, 0x20000)]
    cells = ["".join(map(chr, points[i : i + 500])) for i in range(0, len(points), 500)]
    table = copies.table("id INT PRIMARY KEY, a TEXT", list(enumerate(cells)))
    assert copies.sync(table).error is None
    assert [row["a"] for row in json_rows(copies.cache.snapshots.open())] == cells
    assert parquet_table(copies.cache.snapshots.open()).column("a").to_pylist() == cells


def test_null_empty_and_the_text_null_are_three_things(copies: Copies) -> None:
    values = [None, "", "NULL", "null", "\\N", '""', '"', " "]
    table = copies.table("id INT PRIMARY KEY, a VARCHAR(9), b TEXT", [(i, v, v) for i, v in enumerate(values)])
    assert copies.sync(table).error is None
    assert [(row["a"], row["b"]) for row in json_rows(copies.cache.snapshots.open())] == [(v, v) for v in values]


# Each type with two values, as SQL, and what JSON has for them.
TYPES: dict[str, list[tuple[str, Any]]] = {
    "TINYINT": [("-128", -128), ("127", 127)],
    "SMALLINT UNSIGNED": [("0", 0), ("65535", 65535)],
    "INT(8) ZEROFILL": [("42", 42), ("0", 0)],
    "BIGINT": [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)],
    "BIGINT UNSIGNED": [("18446744073709551615", 2**64 - 1), ("9007199254740993", 2**53 + 1)],
    "TINYINT(1)": [("0", False), ("1", True)],
    "BIT(1)": [("b'0'", 0), ("b'1'", 1)],
    "BIT(64)": [("b'0'", 0), ("0xFFFFFFFFFFFFFFFF", 2**64 - 1)],
    "YEAR": [("1999", 1999), ("2155", 2155)],
    "DECIMAL(12,2)": [("598.94", "598.94"), ("-0.01", "-0.01")],
    "DECIMAL(38,0)": [("9" * 38, "9" * 38), ("-1", "-1")],
    "DECIMAL(65,30)": [("1" * 35 + "." + "2" * 30, "1" * 35 + "." + "2" * 30), ("0", "0." + "0" * 30)],
    "FLOAT": [("0.1", 0.1), ("16777217", 16777216.0)],
    "DOUBLE": [("0.1", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308)],
    "DATE": [("'2025-12-29'", "2025-12-29"), ("'0000-00-00'", None)],
    "DATETIME": [("'2025-12-29 10:25:00'", "2025-12-29T10:25:00Z"), ("'0000-00-00'", None)],
    "DATETIME(3)": [
        ("'2025-12-29 10:25:00.120'", "2025-12-29T10:25:00.120Z"),
        ("'9999-12-31 23:59:59.999'", "9999-12-31T23:59:59.999Z"),
    ],
    "DATETIME(6)": [("'2025-12-29 10:25:00.000001'", "2025-12-29T10:25:00.000001Z"), ("'2025-02-00'", None)],
    "TIMESTAMP NULL": [("'2025-10-26 00:30:00'", "2025-10-26T00:30:00Z"), ("0", None)],
    "TIMESTAMP(6) NULL": [
        ("'2025-12-29 10:25:00.5'", "2025-12-29T10:25:00.500000Z"),
        ("'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999Z"),
    ],
    "TIME": [("'-838:59:59'", "-838:59:59"), ("'00:00:01'", "00:00:01")],
    "TIME(3)": [("'12:00:00.5'", "12:00:00.500"), ("0", "00:00:00.000")],
    "CHAR(3)": [("'a'", "a"), ("''", "")],
    "VARCHAR(40)": [("' a '", " a "), ("'ж'", "ж")],
    "ENUM('a','b c','')": [("'b c'", "b c"), ("''", "")],
    "SET('a','b','c')": [("'c,a'", "a,c"), ("''", "")],
    "BINARY(3)": [("X'00FF'", base64.b64encode(b"\0\xff\0").decode()), ("X'000000'", "AAAA")],
    "VARBINARY(9)": [("X'00FF'", "AP8="), ("''", "")],
    "BLOB": [("X'89504E470D0A1A0A00'", base64.b64encode(b"\x89PNG\r\n\x1a\n\0").decode()), ("''", "")],
    "LONGTEXT": [("REPEAT('ä', 70000)", "ä" * 70000), ("''", "")],
    "JSON": [("'{\"a\": [1, 2.50]}'", {"a": [1, 2.5]}), ("'[]'", [])],
    "INET6": [("'::1'", "::1"), ("'::ffff:10.0.0.1'", "::ffff:10.0.0.1")],
    "UUID": [
        ("'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
        ("'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"),
    ],
}


def test_every_type_comes_through_as_the_contract_says(copies: Copies) -> None:
    columns = ", ".join(f"`{type}` {type}" for type in TYPES)
    table = copies.table(f"id INT PRIMARY KEY, {columns}")
    copies.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    for i in range(2):
        copies.execute(f"INSERT INTO {table} VALUES ({i}, {', '.join(values[i][0] for values in TYPES.values())})")
    copies.execute(f"INSERT INTO {table} (id) VALUES (2)")
    run = copies.sync(table)
    assert (run.error, run.changes) == (None, ChangeCounts(inserted=3))
    rows = json_rows(copies.cache.snapshots.open())
    for i in range(2):
        for type, values in TYPES.items():
            assert rows[i][type] == values[i][1], type
            assert isinstance(rows[i][type], type_of(values[i][1])), type
    assert {value for name, value in rows[2].items() if name != "id"} == {None}


def type_of(value: Any) -> type:
    return type(value)


def test_geometry_is_base64(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, place POINT, area GEOMETRY")
    copies.execute(f"INSERT INTO {table} VALUES (1, POINT(1, 2), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'))")
    copies.execute(f"INSERT INTO {table} (id) VALUES (2)")
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


def test_floats_are_the_shortest_number_that_reads_back_the_same(copies: Copies) -> None:
    doubles = [0.1, 1 / 3, 5e-324, 1e22, 123456789.123456789, -2.5e-8, 1e15, 123456789012345680.0]
    table = copies.table("id INT PRIMARY KEY, d DOUBLE, f FLOAT", [(i, v, v) for i, v in enumerate(doubles)])
    assert copies.sync(table).error is None
    assert [row["d"] for row in json_rows(copies.cache.snapshots.open())] == doubles


def test_datetimes_are_read_in_the_source_time_zone_but_timestamps_in_utc(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, d DATETIME, s TIMESTAMP NULL")
    copies.execute("SET time_zone = '+00:00'")
    for i, text in enumerate(("2025-07-01 12:00:00", "2025-01-01 12:00:00", "2025-10-26 02:30:00")):
        copies.execute(f"INSERT INTO {table} VALUES (%s, %s, %s)", i, text, text)
    assert copies.sync(table, source_timezone="Europe/Berlin").error is None
    assert [(row["d"], row["s"]) for row in json_rows(copies.cache.snapshots.open())] == [
        ("2025-07-01T10:00:00Z", "2025-07-01T12:00:00Z"),
        ("2025-01-01T11:00:00Z", "2025-01-01T12:00:00Z"),
        ("2025-10-26T00:30:00Z", "2025-10-26T02:30:00Z"),
    ]
    run = copies.sync(table, source_timezone="UTC")  # another meaning of the same texts
    assert run.outcome == "published"
    assert copies.differences(table) == []
    copies.cache.documents.change(
        SETUP, lambda _: Setup(source_timezone="Europe/Berlin")
    )  # what was said on the set-up page comes first
    copies.sync(table, source_timezone="UTC")
    assert json_rows(copies.cache.snapshots.open())[0]["d"] == "2025-07-01T10:00:00Z"


@pytest.mark.parametrize(
    ("zone", "never", "instant"),
    [
        ("America/New_York", "9999-12-31 23:59:59", None),
        ("UTC", "9999-12-31 23:59:59", "9999-12-31T23:59:59Z"),
        ("Europe/Berlin", "0001-01-01 00:00:00", None),
        ("Europe/Berlin", "0000-00-00 00:00:00", None),
        ("America/New_York", "2025-00-31 00:00:00", None),
    ],
)
def test_a_datetime_that_has_no_instant_is_null_and_counted(
    copies: Copies, zone: str, never: str, instant: str | None
) -> None:
    table = copies.table("id INT PRIMARY KEY, d DATETIME")
    copies.execute("SET SESSION sql_mode = ''")
    copies.insert(table, [(1, never), (2, "2025-07-01 12:00:00")])
    assert copies.sync(table, source_timezone=zone).error is None
    assert json_rows(copies.cache.snapshots.open())[0]["d"] == instant
    assert copies.differences(table, zone) == []
    (segment,) = copies.cache.snapshots.open().manifest.segments
    assert segment.zero_dates == ({} if instant else {"d": 1})


def test_a_year_10000_in_an_older_cache_becomes_null_at_the_next_sync(
    copies: Copies, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = copies.table("id INT PRIMARY KEY, d DATETIME", [(i, "2025-07-01 12:00:00") for i in range(30)])
    copies.execute(f"UPDATE {table} SET d = '9999-12-31 23:59:59' WHERE id = 15")
    with monkeypatch.context() as older:
        older.setattr("cache.storage.row_encoding.LAST_INSTANT", 2**62)
        older.setattr("cache.storage.segment_writer.ENCODING", 1)
        copies.sync(table, source_timezone="America/New_York")
    assert json_rows(copies.cache.snapshots.open())[15]["d"] == "10000-01-01T04:59:59Z"
    run = copies.sync(table, source_timezone="America/New_York")
    assert (run.outcome, run.exported_ranges) == ("published", 1)
    assert json_rows(copies.cache.snapshots.open())[15]["d"] is None
    assert copies.differences(table, "America/New_York") == []
    assert copies.sync(table, source_timezone="America/New_York").outcome == "unchanged"


# -- JSON and booleans are decided once


def test_a_column_of_json_values_is_nested_even_if_encoded_twice(copies: Copies) -> None:
    place = {"city": "Köln", "zip": "01234", "price": 1.10}
    twice = json.dumps(json.dumps(place, indent=1))
    table = copies.table("id INT PRIMARY KEY, a TEXT, b TEXT", [(1, json.dumps(place), twice), (2, None, "[]")])
    assert copies.sync(table).error is None
    assert json_rows(copies.cache.snapshots.open()) == [
        {"id": 1, "a": place, "b": place},
        {"id": 2, "a": None, "b": []},
    ]


@pytest.mark.parametrize("odd", [3, 17, 39])
def test_one_value_that_is_no_json_anywhere_makes_the_column_text(copies: Copies, small_pages: None, odd: int) -> None:
    values = ["{}" if i != odd else "words" for i in range(40)]
    table = copies.table(
        "id INT PRIMARY KEY, a TEXT, b TINYINT(1)", [(i, v, 1 + (i == odd)) for i, v in enumerate(values)]
    )
    assert copies.sync(table).error is None
    assert [(row["a"], row["b"]) for row in json_rows(copies.cache.snapshots.open())] == [
        (value, 1 + (i == odd)) for i, value in enumerate(values)
    ]
    assert copies.differences(table) == []


@pytest.mark.parametrize("place", [0, 3, 17, 39])
@pytest.mark.parametrize("empty", ["", "null", "[]"])
def test_one_empty_value_anywhere_leaves_the_column_json(
    copies: Copies, small_pages: None, empty: str, place: int
) -> None:
    rows = [(i, empty if i == place else json.dumps([{"n": i}])) for i in range(40)]
    table = copies.table("id INT PRIMARY KEY, a TEXT NOT NULL", rows)
    assert copies.sync(table).error is None
    shown = [[] if i == place and empty == "[]" else None if i == place else [{"n": i}] for i in range(40)]
    assert [row["a"] for row in json_rows(copies.cache.snapshots.open())] == shown
    assert copies.differences(table) == []


@pytest.mark.parametrize("page", ["{}", "words"])
def test_pages_of_empty_values_are_read_as_the_first_other_value(copies: Copies, small_pages: None, page: str) -> None:
    rows = [(i, page if i >= 25 else "" if i % 2 else None) for i in range(40)]
    table = copies.table("id INT PRIMARY KEY, a TEXT", rows)
    assert copies.sync(table).error is None
    shown = [row["a"] for row in json_rows(copies.cache.snapshots.open())]
    assert shown[:25] == ([None] * 25 if page == "{}" else [text for _, text in rows[:25]])
    assert copies.differences(table) == []


def test_a_later_empty_value_is_null_and_no_misfit(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT", [(i, '{"x": 1}') for i in range(30)])
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET a = '' WHERE id = 15")
    copies.execute(f"UPDATE {table} SET a = 'null' WHERE id = 16")
    run = copies.sync(table)
    assert (run.error, run.changes, run.exported_ranges) == (None, ChangeCounts(updated=2), 1)
    rows = json_rows(copies.cache.snapshots.open())
    assert [row["a"] for row in rows[14:18]] == [{"x": 1}, None, None, {"x": 1}]
    assert [s.misfits for s in copies.cache.snapshots.open().manifest.segments if s.misfits] == []
    assert copies.differences(table) == []


def test_a_column_of_empty_texts_is_json_once_it_holds_json(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT NOT NULL", [(i, "") for i in range(40)])
    copies.sync(table)
    assert {row["a"] for row in json_rows(copies.cache.snapshots.open())} == {""}
    copies.execute(f"UPDATE {table} SET a = '[1]' WHERE id IN (5, 35)")
    assert copies.sync(table).error is None
    assert [row["a"] for row in json_rows(copies.cache.snapshots.open())] == [
        [1] if i in (5, 35) else None for i in range(40)
    ]
    assert copies.differences(table) == []
    assert copies.sync(table).outcome == "unchanged"


def test_an_empty_value_in_an_older_cache_becomes_null_at_the_next_sync(
    copies: Copies, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT", [(i, "{}") for i in range(30)])
    with monkeypatch.context() as older:
        older.setattr("cache.storage.row_encoding.is_empty_json", lambda _: False)
        older.setattr("cache.storage.segment_writer.ENCODING", 1)
        copies.sync(table)
        copies.execute(f"UPDATE {table} SET a = '' WHERE id = 15")
        copies.sync(table)
    assert json_rows(copies.cache.snapshots.open())[15]["a"] == ""
    run = copies.sync(table)
    assert (run.outcome, run.exported_ranges) == ("published", 1)
    assert json_rows(copies.cache.snapshots.open())[15]["a"] is None
    assert copies.sync(table).outcome == "unchanged"


def test_a_later_value_that_does_not_fit_is_kept_and_changes_no_other_row(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT, b TINYINT(1)", [(i, '{"x": 1}', i % 2) for i in range(30)])
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET a = 'words', b = 7 WHERE id = 15")
    run = copies.sync(table)
    assert (run.error, run.changes, run.exported_ranges) == (None, ChangeCounts(updated=1), 1)
    rows = json_rows(copies.cache.snapshots.open())
    assert (rows[15]["a"], rows[15]["b"]) == ("words", 7)
    assert (rows[14]["a"], rows[14]["b"]) == ({"x": 1}, False)
    assert [s.misfits for s in copies.cache.snapshots.open().manifest.segments if s.misfits] == [{"a": 1, "b": 1}]


def test_a_column_without_values_is_decided_when_the_first_comes(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT, b TEXT, c TINYINT(1)", [(i, None, None, None) for i in range(30)])
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET a = '[1]', b = 'words', c = 1 WHERE id = 25")
    assert copies.sync(table).error is None
    row = json_rows(copies.cache.snapshots.open())[25]
    assert (row["a"], row["b"], row["c"]) == ([1], "words", True)
    copies.execute(f"UPDATE {table} SET a = 'no json', c = 5 WHERE id = 3")
    assert copies.sync(table).error is None
    rows = json_rows(copies.cache.snapshots.open())
    assert (rows[3]["a"], rows[3]["c"], rows[25]["a"]) == ("no json", 5, [1])
