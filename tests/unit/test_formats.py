"""Rows in every format, read back by the programs that people read them with."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cache_factory import Row, publish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.access.masking import Mask
from cache.errors import BadFilter, QueryRefused, TooManyRows
from cache.export import executor, external_sort
from cache.export.about import About
from cache.export.executor import ScanExecutor, ScanRequest
from cache.export.formats import sqlite, text, xlsx
from cache.export.row_format import CsvStyle, FileFormat, RowFormat
from cache.query.filters import Condition, Query, Sort
from cache.schema import Column
from cache.storage.store import Cache
from cache.version import VERSION

pytestmark = pytest.mark.slow

Rendered = Callable[..., bytes]


def column(name: str, kind: str, **more: Any) -> Column:
    return Column(name=name, type=kind, kind=kind, nullable=True, **more)  # type: ignore[arg-type]


COLUMNS = (
    column("id", "unsigned", key=1),
    column("balance", "integer"),
    column("test", "boolean"),
    column("total", "decimal", digits=12, decimals=2),
    column("exact", "decimal", digits=30, decimals=10),
    column("ratio", "float"),
    column("weight", "double"),
    column("day", "date"),
    column("at", "datetime"),
    column("seen", "timestamp", decimals=3),
    column('odd "name", ü', "text"),
    column("items", "json"),
    column("picture", "bytes"),
)
COLUMNS_BY_NAME = {column.name: i for i, column in enumerate(COLUMNS)}
ROWS: list[Row] = [
    dict(zip((c.name for c in COLUMNS), values, strict=True))
    for values in (
        (
            "1",
            "-9007199254740993",
            "1",
            "598.94",
            "12345678901234567890.0123456789",
            "0.1",
            "2.5",
            "2025-12-29",
            "2025-12-29 10:25:00",
            "1766000000.250000",
            'She said "hi",\r\nthen =1+1',
            '[{"a": 1.50}]',
            "00FF",
        ),
        (
            "9007199254740992",
            "9007199254740992",
            "0",
            "-0.05",
            "-1.5",
            "-2",
            "1e300",
            "1899-12-31",
            "1850-01-01 00:00:00",
            "1.000000",
            "",
            '"{\\"b\\": \\"x\\"}"',
            "",
        ),
        (
            "18446744073709551615",
            "0",
            "2",
            "0.00",
            "0",
            "1.5",
            "0",
            "9999-12-31",
            "2024-02-29 23:59:59",
            None,
            "NULL",
            "no json",
            "2B",
        ),
        ("18446744073709551616"[:-1] + "4", None, None, None, None, None, None, None, None, None, None, None, None),
    )
]
ROWS = sorted(ROWS, key=lambda row: int(row["id"] or 0))


@pytest.fixture
def rendered(cache: Cache, tmp_path: Path) -> Rendered:
    """Rows of ROWS as bytes in a format."""
    publish(cache, ROWS, columns=COLUMNS)
    return renderer(cache, tmp_path)


def renderer(cache: Cache, folder: Path) -> Rendered:
    engine = ScanExecutor(cache, folder)

    def render(row_format: RowFormat, query: Query = Query(), offset: int = 0, limit: int | None = None) -> bytes:  # noqa: B008
        head = cache.snapshots.head()
        assert head is not None
        out = io.BytesIO()
        asked = ScanRequest(
            what="rows", generation=head.generation, query=query, offset=offset, limit=limit, row_format=row_format
        )
        engine.execute(asked, out.write)
        return out.getvalue()

    return render


def plain(cache: Cache) -> bytes:
    return b"".join(cache.snapshots.open().json_slices())


EMPTY = ("", " ", "null", '""', '"null"')  # JSON values that stand for nothing


@pytest.fixture
def with_empty(cache: Cache, tmp_path: Path) -> Rendered:
    """Rows with an object, an array, each of EMPTY, and NULL."""
    columns = (column("id", "unsigned", key=1), column("items", "json"))
    texts = ('{"a": 1}', "[]", *EMPTY, None)
    publish(cache, [{"id": str(i), "items": text} for i, text in enumerate(texts)], columns=columns)
    return renderer(cache, tmp_path)


@pytest.mark.parametrize("parse_json", [True, False])
def test_an_empty_json_value_is_null_or_its_stored_text(with_empty: Rendered, parse_json: bool) -> None:
    stored = ['{"a": 1}', "[]", *EMPTY, None]
    texts = ['{"a":1}', "[]", *[None] * 6] if parse_json else stored
    nested = [{"a": 1}, [], *[None] * 6] if parse_json else stored

    def read(format: Any) -> bytes:
        return with_empty(RowFormat(format, fields=("items",), parse_json=parse_json))

    assert [row["items"] for row in json.loads(b"[" + read("json") + b"]")] == nested
    assert [json.loads(line)["items"] for line in read("ndjson").splitlines()] == nested
    assert pq.read_table(pa.BufferReader(read("parquet"))).column(0).to_pylist() == texts
    assert cells_of(read("xlsx"))[1:] == [[text] for text in texts]
    cells = read("csv").decode().split("\r\n")[3:-1]
    assert cells == ([""] * 6 if parse_json else ['""', " ", "null", '""""""', '"""null"""', ""])


def test_filters_and_facets_see_an_empty_json_value_as_null(cache: Cache, with_empty: Rendered, tmp_path: Path) -> None:
    def ids(operator: Any, value: str) -> list[int]:
        query = Query((Condition("items", operator, value),))
        return [row["id"] for row in json.loads(b"[" + with_empty(RowFormat(fields=("id",)), query) + b"]")]

    assert ids("isnull", "true") == [2, 3, 4, 5, 6, 7]
    assert ids("isnull", "false") == [0, 1]
    assert ids("contains", "null") == []
    assert ids("eq", "[]") == [1]
    assert ids("ne", "[]") == [0, 2, 3, 4, 5, 6, 7]
    facet = ScanRequest(what="facets", generation=1, query=Query(), columns=("items",), limit=9)
    values = ScanExecutor(cache, tmp_path).execute(facet, lambda _: None)["facets"]["items"]
    assert values == [(None, 6), ([], 1), ({"a": 1}, 1)]


# -- JSON


def test_rows_rendered_again_are_the_bytes_that_were_prepared(cache: Cache, rendered: Rendered) -> None:
    assert rendered(RowFormat()) == plain(cache)
    names = tuple(c.name for c in COLUMNS)
    assert rendered(RowFormat(fields=names), Query((Condition("id", "gte", "0"),))) == plain(cache)


def test_fields_come_in_the_order_asked_for(rendered: Rendered) -> None:
    assert rendered(RowFormat(fields=("total", "id")), limit=1) == b'{"total":"598.94","id":1}'


def test_ndjson_is_one_row_a_line(cache: Cache, rendered: Rendered) -> None:
    lines = rendered(RowFormat("ndjson")).split(b"\n")
    assert lines.pop() == b""
    assert b",".join(lines) == plain(cache)


def test_json_columns_come_as_their_stored_text_on_request(rendered: Rendered) -> None:
    rows = json.loads(b"[" + rendered(RowFormat(fields=("items",), parse_json=False)) + b"]")
    assert [row["items"] for row in rows] == [row["items"] for row in ROWS]


def test_integers_beyond_2_to_the_53_come_as_strings_on_request(rendered: Rendered) -> None:
    row_format = RowFormat(fields=("id", "balance"), integers="string")
    assert json.loads(b"[" + rendered(row_format) + b"]") == [
        {"id": 1, "balance": "-9007199254740993"},
        {"id": 2**53, "balance": 2**53},
        {"id": "18446744073709551614", "balance": None},
        {"id": "18446744073709551615", "balance": 0},
    ]


@pytest.mark.parametrize("form", get_args(FileFormat))
def test_masked_columns_hold_nothing_of_their_values(rendered: Rendered, form: Any) -> None:
    names = tuple(c.name for c in COLUMNS)
    one = rendered(RowFormat(form, names, mask=Mask(tuple(names))), limit=1)
    other = rendered(RowFormat(form, names, mask=Mask(tuple(names))), offset=3)
    if form == "xlsx":
        one, other = (json.dumps(cells_of(body)).encode() for body in (one, other))
    assert one == other
    if form == "json":
        values = json.loads(one)
        assert {name: value for name, value in values.items() if value is not None} == {'odd "name", ü': "***"}


# -- CSV

OTHER = {",": ";", ";": ","}
any_text = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.slow
@given(
    st.lists(st.tuples(any_text | st.none(), any_text | st.none()), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from(",;"),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_from_csv(
    cache: Cache, tmp_path: Path, rows: list[tuple[str | None, str | None]], defuse: bool, delimiter: Any
) -> None:
    columns = (column("id", "integer", key=1), column("a", "text"), column("b", "text"))
    publish(cache, [{"id": str(i), "a": a, "b": b} for i, (a, b) in enumerate(rows)], columns=columns)
    style = CsvStyle(escape_formulas=defuse, delimiter=delimiter)
    text = renderer(cache, tmp_path)(RowFormat("csv", csv=style)).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    assert read[0] == ["id", "a", "b"]
    values = [[v or "" for v in row] for row in rows]
    found = [line[1:] for line in read[1:]]
    if defuse:
        cells = [cell for row in found for text in row for cell in re.split(r"[\t\r\n" + OTHER[delimiter] + "]", text)]
        assert not any(re.match(r"[\t\n\f\r \"]*[-=+@＝＋－＠]", cell) for cell in cells)
        values, found = ([[text.replace("'", "") for text in row] for row in each] for each in (values, found))
    assert found == values


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        (" =1", "' =1"),
        ('"=1', "'\"=1"),
        ("a;=1", "a;'=1"),
        ('a; "=1;@b', "a; \"'=1;'@b"),
        ("a\t=1\r\n＝2", "a\t'=1\r\n'＝2"),
        ("a = b; c - d, e@f.example", "a = b; c - d, e@f.example"),
    ],
)
def test_no_cell_of_a_defused_csv_begins_with_a_formula(cache: Cache, tmp_path: Path, text: str, written: str) -> None:
    columns = (column("id", "integer", key=1), column("a", "text"))
    publish(cache, [{"id": "1", "a": text}], columns=columns)
    read = renderer(cache, tmp_path)(RowFormat("csv", csv=CsvStyle(escape_formulas=True))).decode()
    assert list(csv.reader(io.StringIO(read, newline="")))[1] == ["1", written]


def test_csv_writes_values_as_json_does_and_tells_null_from_an_empty_text(rendered: Rendered) -> None:
    row_format = RowFormat("csv", ("id", "test", "total", "at", "seen", 'odd "name", ü', "items", "picture"))
    assert rendered(row_format).decode() == (
        'id,test,total,at,seen,"odd ""name"", ü",items,picture\r\n'
        '1,true,598.94,2025-12-29T10:25:00Z,2025-12-17T19:33:20.250Z,"She said ""hi"",\r\nthen =1+1",'
        '"[{""a"":1.50}]",AP8=\r\n'
        '9007199254740992,false,-0.05,1850-01-01T00:00:00Z,1970-01-01T00:00:01.000Z,"","{""b"":""x""}",""\r\n'
        "18446744073709551614,,,,,,,\r\n"
        '18446744073709551615,2,0.00,2024-02-29T23:59:59Z,,NULL,"""no json""",Kw==\r\n'
    )


def test_defusing_leaves_numbers_alone(rendered: Rendered) -> None:
    row_format = RowFormat("csv", ("balance", "total", "picture"), csv=CsvStyle(escape_formulas=True))
    assert rendered(row_format).decode().splitlines()[1:3] == [
        "-9007199254740993,598.94,AP8=",
        '9007199254740992,-0.05,""',
    ]


NUMBERS = ("id", "balance", "total", "exact", "ratio", "weight", "seen", "items")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_decimal_comma_stands_in_decimals_and_nowhere_else(rendered: Rendered, delimiter: Any) -> None:
    plain, comma = (
        list(csv.reader(io.StringIO(rendered(RowFormat("csv", NUMBERS, csv=style)).decode(), newline=""), **how))
        for style, how in (
            (CsvStyle(), {}),
            (CsvStyle(delimiter=delimiter, decimal=","), {"delimiter": delimiter, "strict": True}),
        )
    )
    changed = [NUMBERS.index(name) for name in ("total", "exact", "ratio", "weight")]
    for row, other in zip(plain, comma, strict=True):
        assert other == [cell.replace(".", ",") if i in changed else cell for i, cell in enumerate(row)]
    assert [comma[1][3], comma[2][2], comma[2][5]] == ["12345678901234567890,0123456789", "-0,05", "1e+300"]
    assert comma[3] == ["18446744073709551614", *[""] * 7]


def test_a_number_with_a_comma_is_quoted_between_commas_only(rendered: Rendered) -> None:
    for delimiter, line in ((",", b'1,"598,94"'), (";", b"1;598,94")):
        style = CsvStyle(delimiter=delimiter, decimal=",")  # type: ignore[arg-type]
        assert rendered(RowFormat("csv", ("id", "total"), csv=style), limit=1).splitlines()[1] == line


def test_a_byte_order_mark_stands_once_before_the_header(rendered: Rendered) -> None:
    plain, marked = (rendered(RowFormat("csv", csv=CsvStyle(bom=bom))) for bom in (False, True))
    assert marked == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;b", '"a;b"'),
        ("a,b", "a,b"),
        ("", '""'),
        ("=1", "'=1"),
        ("a,=1", "a,'=1"),  # a cell of its own where the comma is read as the delimiter
        ('x, "-2', '"x, ""\'-2"'),
        ("a;=1", '"a;=1"'),
    ],
)
def test_semicolons_delimit_quote_and_defuse(cache: Cache, tmp_path: Path, text: str, written: str) -> None:
    columns = (column("id", "integer", key=1), column("a;b", "text"))
    publish(cache, [{"id": "1", "a;b": text}], columns=columns)
    style = CsvStyle(escape_formulas=True, delimiter=";")
    lines = renderer(cache, tmp_path)(RowFormat("csv", csv=style)).decode().split("\r\n")
    assert lines == ['id;"a;b"', f"1;{written}", ""]


def test_rows_come_sorted_and_filtered_in_any_format(rendered: Rendered) -> None:
    query = Query((Condition("total", "isnull", "false"),), (Sort("total"),))
    assert rendered(RowFormat("csv", ("total",)), query) == b"total\r\n-0.05\r\n0.00\r\n598.94\r\n"
    assert rendered(RowFormat("csv", ("total",)), query, 1, 1) == b"total\r\n0.00\r\n"


def test_rows_are_put_in_order_on_disk_in_buckets(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [Query((Condition("id", "gt", "1"),), (Sort("balance", down),)) for down in (False, True)]
    pages = [(0, None), (1, None), (0, 2), (1, 1), (3, None), (9, 1)]
    row_format = RowFormat("csv", ("id", "items", "picture"), mask=Mask(("picture",)))
    before = [rendered(row_format, query, *page) for query in queries for page in pages]
    monkeypatch.setattr(executor, "BATCH_BYTES", 1)
    monkeypatch.setattr(external_sort, "BUCKET_BATCHES", 1)
    assert [rendered(row_format, query, *page) for query in queries for page in pages] == before
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "var"}


@pytest.mark.slow
def test_long_cells_need_memory_for_one_row_and_not_for_all(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = (column("id", "integer", key=1), column("a", "text"))
    publish(cache, [{"id": str(i), "a": f"{i % 7}" * 5_000_000} for i in range(8)], columns=columns)
    sizes = []
    render = text.render_rows
    monkeypatch.setattr(text, "render_rows", lambda *rows: sizes.append(len(rows[2][0])) or render(*rows))
    body = renderer(cache, tmp_path)(RowFormat("csv"), Query((), (Sort("id", descending=True),)))
    assert len(body) == sum(len(f"{i},\r\n") + 5_000_000 for i in range(8)) + len("id,a\r\n")
    assert set(sizes) == {1}


def test_what_the_engine_has_no_memory_for_is_refused(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = (column("id", "integer", key=1), column("a", "text"))
    publish(cache, [{"id": str(i), "a": f"{i % 7}" * 20_000} for i in range(200)], columns=columns)
    monkeypatch.setattr(executor, "MEMORY_MB", 2)
    with pytest.raises(QueryRefused, match="refused the query"):
        renderer(cache, tmp_path)(RowFormat("csv"), Query((), (Sort("a"),)), 0, 9000)


# -- XLSX


def cells_of(body: bytes) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(body))
    return [[cell.value for cell in row] for row in book.active.iter_rows()]


def test_excel_gets_typed_values_where_it_holds_them_exactly_else_text(rendered: Rendered) -> None:
    header, first, second, nulls, last = cells_of(rendered(RowFormat("xlsx")))
    assert header == [c.name for c in COLUMNS]
    assert first[:6] == [1, "-9007199254740993", True, 598.94, "12345678901234567890.0123456789", 0.1]
    assert first[6:10] == [
        2.5,
        datetime(2025, 12, 29),
        datetime(2025, 12, 29, 10, 25),
        datetime(2025, 12, 17, 19, 33, 20, 250_000),
    ]
    assert first[10:] == ['She said "hi",_x000D_\nthen =1+1', '[{"a":1.50}]', "AP8="]
    assert second[:5] == ["9007199254740992", "9007199254740992", False, -0.05, -1.5]
    assert second[7:9] == ["1899-12-31", "1850-01-01T00:00:00Z"]
    assert nulls == ["18446744073709551614", *[None] * 12]
    assert last[2] == 2


def test_excel_gets_the_last_microsecond_of_the_year_9999_as_text(cache: Cache, tmp_path: Path) -> None:
    columns = (column("id", "unsigned", key=1), column("at", "datetime", decimals=6))
    moments = ("9999-12-31 23:59:59.000000", "9999-12-31 23:59:59.999999")
    publish(cache, [{"id": str(i), "at": moment} for i, moment in enumerate(moments)], columns=columns)
    _, *cells = cells_of(renderer(cache, tmp_path)(RowFormat("xlsx")))
    assert [row[1] for row in cells] == [datetime(9999, 12, 31, 23, 59, 59), "9999-12-31T23:59:59.999999Z"]


def test_the_same_rows_make_the_same_workbook_at_any_time(rendered: Rendered) -> None:
    """Parts of a file are taken from one that may have been written anew."""
    entries = zipfile.ZipFile(io.BytesIO(rendered(RowFormat("xlsx")))).infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_excel_shows_decimals_as_they_are_declared(rendered: Rendered) -> None:
    limited = ("id", "total", "exact", "day", "seen")
    rows = list(openpyxl.load_workbook(io.BytesIO(rendered(RowFormat("xlsx", limited)))).active.iter_rows(min_row=2))
    formats = {name: cell.number_format for name, cell in zip(limited, rows[0], strict=True)}
    assert (formats["total"], formats["id"], rows[1][2].number_format) == ("0.00", "0", "0.0000000000")
    assert (formats["day"], formats["seen"]) == ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss.000")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("<&>\"'\t\n", "<&>\"'\t\n"),
        ("a\0b\x1f", "a_x0000_b_x001F_"),
        ("_x0041_", "_x005F_x0041_"),
        ("x" * 32_768, "x" * 32_766 + "…"),
        ("🎂" * 16_384, "🎂" * 16_383 + "…"),
        ("列" * 32_767, "列" * 32_767),
    ],
)
def test_texts_that_xml_or_excel_cannot_hold_are_escaped_or_cut(text: str, cell: str) -> None:
    assert [found.as_py() for found in xlsx.xml_texts(pa.array([text]))] == [escaped(cell)]


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_more_rows_than_a_sheet_holds_are_refused_before_the_first_byte(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "MAX_SHEET_ROWS", 3)
    with pytest.raises(TooManyRows, match="these are 4"):
        rendered(RowFormat("xlsx"))
    with pytest.raises(TooManyRows):
        rendered(RowFormat("xlsx"), Query((Condition("id", "gt", "0"),)))
    assert len(cells_of(rendered(RowFormat("xlsx"), offset=1))) == 4


# -- Parquet


@pytest.fixture
def parquet(rendered: Rendered, tmp_path: Path) -> Path:
    file = tmp_path / "rows.parquet"
    file.write_bytes(rendered(RowFormat("parquet")))
    return file


def test_parquet_keeps_the_exact_types(parquet: Path) -> None:
    schema = pq.read_schema(parquet)
    assert schema.names == [c.name for c in COLUMNS]
    assert [str(field.type) for field in schema][:7] == [
        "uint64",
        "int64",
        "int64",
        "decimal128(12, 2)",
        "decimal128(30, 10)",
        "float",
        "double",
    ]
    assert [str(field.type) for field in schema][7:] == [
        "date32[day]",
        "timestamp[us, tz=UTC]",
        "timestamp[us, tz=UTC]",
        "string",
        "extension<arrow.json>",
        "binary",
    ]


def first_row(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


EXPECTED = {
    "id": 1,
    "balance": -9007199254740993,
    "total": Decimal("598.94"),
    "exact": Decimal("12345678901234567890.0123456789"),
    "day": date(2025, 12, 29),
    "at": datetime(2025, 12, 29, 10, 25, tzinfo=UTC),
    "items": '[{"a":1.50}]',
    "picture": base64.b64decode("AP8="),
}


def test_pandas_duckdb_and_polars_read_parquet_as_it_is(parquet: Path) -> None:
    frame = pd.read_parquet(parquet)
    by_pandas = first_row(list(frame.columns), list(frame.iloc[0]))
    polars = pl.read_parquet(parquet)
    by_polars = first_row(polars.columns, polars.row(0))
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        found = database.execute("SELECT * FROM read_parquet(?)", [str(parquet)])
        by_duckdb = first_row([each[0] for each in found.description or ()], found.fetchall()[0])
    for read in (by_pandas, by_polars, by_duckdb):
        assert {name: read[name] for name in EXPECTED} == EXPECTED


def test_each_reader_takes_a_json_column_of_parquet_in_its_way(parquet: Path) -> None:
    """DuckDB as JSON and Polars as text: it knows no functions for another type."""
    assert "JSON" in str(pq.read_metadata(parquet).schema.column(COLUMNS_BY_NAME["items"]).logical_type)
    with duckdb.connect() as database:
        source = database.read_parquet(str(parquet))
        assert dict(zip(source.columns, map(str, source.types), strict=True))["items"] == "JSON"
        assert source.aggregate("count(items -> '$[0].a')").fetchall() == [(1,)]
    frame = pl.scan_parquet(parquet).select(pl.col("items").str.json_path_match("$[0].a")).collect()
    assert frame["items"].to_list() == ["1.5", None, None, None]
    assert pq.read_table(parquet)["items"].to_pylist() == pd.read_parquet(parquet)["items"].tolist()


def test_json_as_its_stored_text_is_a_text_in_parquet(rendered: Rendered, tmp_path: Path) -> None:
    body = rendered(RowFormat("parquet", ("items",), parse_json=False))
    assert str(pq.read_schema(pa.BufferReader(body)).field("items").type) == "string"


def test_parquet_says_where_its_rows_come_from(rendered: Rendered, cache: Cache) -> None:
    head = cache.snapshots.open().head
    body = rendered(RowFormat("parquet", ("id",), about=About.of("orders", head)))
    said = {
        "source": "orders",
        "generation": "1",
        "verified": "true",
        "verified_at": f"{head.verified_at:%Y-%m-%dT%H:%M:%SZ}",
        "version": VERSION,
    }
    footer = pq.read_metadata(pa.BufferReader(body)).metadata
    assert {name.decode(): value.decode() for name, value in footer.items() if name != b"ARROW:schema"} == said
    assert {name: text for name, text in pl.read_parquet_metadata(io.BytesIO(body)).items() if name in said} == said
    bare = pq.read_metadata(pa.BufferReader(rendered(RowFormat("parquet", ("id",))))).metadata
    assert list(bare) == [b"ARROW:schema"]


def test_the_time_of_verification_is_left_out_where_there_was_none(cache: Cache) -> None:
    publish(cache, 1)
    head = cache.snapshots.open().head.model_copy(update={"verified": False, "verified_at": None})
    assert "verified_at" not in About.of("orders", head).texts()


@pytest.mark.parametrize(
    ("fields", "query", "hidden", "order"),
    [
        (None, Query(), (), [("id", False)]),
        (("total", "id"), Query(), (), [("id", False)]),
        (("total",), Query(), (), []),
        (None, Query(), ("id",), []),
        (None, Query((Condition("total", "gt", "0"),)), (), [("id", False)]),
        (None, Query((), (Sort("total", True),)), (), [("total", True), ("id", False)]),
        (None, Query((), (Sort("total"), Sort("id", True))), (), [("total", False), ("id", True)]),
        (("total",), Query((), (Sort("total"), Sort("day"), Sort("id"))), (), [("total", False)]),
        (("total",), Query((), (Sort("day"), Sort("total"))), (), []),
    ],
)
def test_parquet_names_the_columns_that_its_rows_are_sorted_by(
    rendered: Rendered, fields: Any, query: Query, hidden: tuple[str, ...], order: list[tuple[str, bool]]
) -> None:
    file = pq.ParquetFile(pa.BufferReader(rendered(RowFormat("parquet", fields, mask=Mask(hidden)), query)))
    said = file.metadata.row_group(0).sorting_columns
    names = [file.schema_arrow.names[each.column_index] for each in said]
    assert [(name, each.descending) for name, each in zip(names, said, strict=True)] == order
    assert all(each.nulls_first == each.descending for each in said)
    rows = pl.DataFrame({name: file.read([name])[name].to_pylist() for name in names})
    descending = [each.descending for each in said]
    assert not names or rows.equals(rows.sort(names, descending=descending, nulls_last=[not d for d in descending]))


@pytest.mark.parametrize("key", [("a",), ("id", "a"), ()])
def test_no_order_is_claimed_of_a_key_that_mysql_compares_its_own_way(
    cache: Cache, tmp_path: Path, key: tuple[str, ...]
) -> None:
    columns = tuple(
        column(name, kind, key=key.index(name) + 1 if name in key else 0)
        for name, kind in (("id", "integer"), ("a", "text"))
    )
    publish(cache, [{"id": "1", "a": "ä"}, {"id": "2", "a": "B"}], columns=columns, segments=1)
    body = renderer(cache, tmp_path)(RowFormat("parquet"))
    assert pq.read_metadata(pa.BufferReader(body)).row_group(0).sorting_columns == ()


# -- SQLite


Tables = Callable[[str], list[tuple[Any, ...]]]


def opened(body: bytes) -> Tables:
    """Queries a database that was written."""
    database = sqlite3.connect(":memory:")
    database.deserialize(body)
    return lambda sql: database.execute(sql).fetchall()


def test_sqlite_gets_typed_values_where_it_holds_them_exactly_else_text(rendered: Rendered) -> None:
    select = opened(rendered(RowFormat("sqlite")))
    assert select("PRAGMA integrity_check") == [("ok",)]
    declared = {name: kind for _, name, kind, *_ in select("PRAGMA table_info(orders)")}
    assert declared == {
        **{"id": "TEXT", "balance": "INTEGER", "test": "BOOLEAN", "total": "REAL", "exact": "TEXT", "ratio": "REAL"},
        **{"weight": "REAL", "day": "DATE", "at": "TIMESTAMP", "seen": "TIMESTAMP", COLUMNS[10].name: "TEXT"},
        **{"items": "TEXT", "picture": "BLOB"},
    }
    first, second, nulls, last = select("SELECT * FROM orders")
    assert first[:7] == ("1", -9007199254740993, 1, 598.94, "12345678901234567890.0123456789", 0.1, 2.5)
    assert first[7:10] == ("2025-12-29", "2025-12-29 10:25:00", "2025-12-17 19:33:20.250")
    assert first[10:] == (ROWS[0][COLUMNS[10].name], '[{"a":1.50}]', b"\x00\xff")
    assert second[:7] == ("9007199254740992", 9007199254740992, 0, -0.05, "-1.5000000000", -2.0, 1e300)
    assert second[10] == "" and second[12] == b""
    assert nulls == ("18446744073709551614", *[None] * 12)
    assert (last[0], last[2], last[11]) == ("18446744073709551615", 2, '"no json"')


def test_dates_of_sqlite_are_those_of_its_functions(rendered: Rendered) -> None:
    select = opened(rendered(RowFormat("sqlite")))
    sql = 'SELECT date(day), datetime(at), strftime("%Y-%m-%d %H:%M:%f", seen) FROM orders LIMIT 1'
    assert select(sql) == [("2025-12-29", "2025-12-29 10:25:00", "2025-12-17 19:33:20.250")]


def test_a_column_of_sqlite_becomes_text_when_a_value_needs_it(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values before it are written as they would have been."""
    columns = (
        column("id", "unsigned", key=1),
        column("n", "unsigned"),
        column("total", "decimal", digits=26, decimals=8),
        column("note", "text"),
    )
    amounts = ("0.10000000", "-1234567.12345678", None, "9999999.99999999", "0.00000001", "12345678.12345678")
    texts = [
        {"id": str(i), "n": n, "total": total, "note": f"'{i}"}
        for i, (n, total) in enumerate(zip(("1", None, "2", "3", "4", "18446744073709551615"), amounts, strict=True))
    ]
    monkeypatch.setattr(executor, "BATCH_ROWS", 1)
    publish(cache, texts, columns=columns, segments=1)
    select = opened(renderer(cache, tmp_path)(RowFormat("sqlite")))
    assert select("SELECT n, total, note FROM orders") == [(row["n"], row["total"], row["note"]) for row in texts]
    assert select("SELECT id FROM orders WHERE typeof(id) = 'integer'") == [(i,) for i in range(6)]
    before = opened(renderer(cache, tmp_path)(RowFormat("sqlite"), limit=5))
    assert before("SELECT sum(n), max(total) FROM orders") == [(10, 9999999.99999999)]
    assert [name for (name,) in select("SELECT name FROM sqlite_master ORDER BY 1")] == ["_about", "orders"]


def test_sqlite_says_where_its_rows_come_from(rendered: Rendered, cache: Cache) -> None:
    about = About.of("orders", cache.snapshots.open().head)
    select = opened(rendered(RowFormat("sqlite", about=about)))
    assert dict(select("SELECT * FROM _about")) == about.texts()


def test_sqlite_holds_the_rows_that_are_asked_for(rendered: Rendered) -> None:
    query = Query((Condition("total", "isnull", "false"),), (Sort("total", True),))
    select = opened(rendered(RowFormat("sqlite", ("total", "id"), mask=Mask(("id",))), query, 1, 2))
    assert select("SELECT * FROM orders") == [(0.0, None), (-0.05, None)]
    assert opened(rendered(RowFormat("sqlite"), limit=0))("SELECT count(*) FROM orders") == [(0,)]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("wp_orders", "wp_orders"),
        ('my "orders", ü', 'my "orders", ü'),
        ("SQLITE_x", "orders"),
        ("_About", "orders"),
    ],
)
def test_the_table_of_sqlite_is_named_like_the_source(tmp_path: Path, name: str, table: str) -> None:
    file = tmp_path / "rows.sqlite"
    sqlite.write_database(file, name, [COLUMNS[0]], [[pa.array([2**64 - 1], pa.uint64())]], None)
    select = opened(file.read_bytes())
    assert {name for (name,) in select("SELECT name FROM sqlite_master")} == {"_about", table}
    assert select("SELECT count(*) FROM _about") == [(0,)]


def test_a_table_that_sqlite_does_not_hold_is_refused(cache: Cache, tmp_path: Path) -> None:
    columns = (column("id", "integer", key=1), *(column(f"c{i}", "integer") for i in range(2_000)))
    publish(cache, [dict.fromkeys((c.name for c in columns), "1")], columns=columns)
    with pytest.raises(QueryRefused, match="refused the query") as refused:
        renderer(cache, tmp_path)(RowFormat("sqlite"))
    assert "fewer columns" in refused.value.advice
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "var"}


def test_pandas_and_polars_read_sqlite(rendered: Rendered, tmp_path: Path) -> None:
    file = tmp_path / "rows.sqlite"
    file.write_bytes(rendered(RowFormat("sqlite", ("balance", "total", "at"))))
    with closing(sqlite3.connect(file)) as database:
        by_pandas = pd.read_sql("SELECT * FROM orders", database, parse_dates={"at": {"utc": True}})
        by_polars = pl.read_database("SELECT * FROM orders", database)
    assert by_pandas["at"][0] == pd.Timestamp("2025-12-29T10:25:00Z")
    assert by_polars["total"].to_list() == [598.94, -0.05, None, 0.0]
    assert by_pandas["total"].sum() == pytest.approx(598.89)


def test_an_unknown_field_is_refused(rendered: Rendered) -> None:
    with pytest.raises(BadFilter, match="There is no column 'nope'"):
        rendered(RowFormat("csv", ("id", "nope")))
