"""CSV as phpMyAdmin writes it becomes the values that were written, however its bytes arrive."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.client import csv_parser
from scraper.client.bounds import Bound
from scraper.client.csv_parser import CsvParser, header_line, parse_csv

Row = Sequence[str | None]
NULL = "4f2a"
HEADER = ["c0", "c1"]
MANY, ROOMY = 1 << 30, Bound(1 << 30)
AWKWARD: list[Row] = [
    ("a", "b"),
    (None, ""),
    ("", None),
    (NULL, f"{NULL}\n{NULL}"),
    ("\n", "\r\n"),
    ("x\r", "\ny"),
    ('"', '""'),
    ('","', '\n"\n'),
    (",", "ä😀\u2028"),
    ("\\N", '\\"'),
    ("NULL", "null"),
    (" a ", "\t"),
]


def written(rows: Sequence[Row]) -> bytes:
    """Rows as phpMyAdmin writes them."""

    def value(text: str | None) -> str:
        quoted = '"' + (text or "").replace('"', '""') + '"'
        return NULL if text is None else quoted if text else ""

    return "".join(",".join(map(value, row)) + "\n" for row in rows).encode()


def values(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Blocks that end everywhere within rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_parser, "BLOCK", size)
        yield


def parsed_in_chunks(data: bytes, cuts: Sequence[int] = (), kind: pa.DataType | None = None) -> pa.Table:
    parser = CsvParser(HEADER, NULL, kind or pa.string(), MANY, ROOMY)
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        parser.feed(data[start:stop])
    return parser.table()


def parsed_from_file(rows: bytes, kind: pa.DataType | None = None) -> pa.Table:
    return pa.concat_tables(parse_csv(io.BytesIO(rows), len(HEADER), NULL, kind or pa.string(), ROOMY))


texts = st.text(st.sampled_from('",\n\r\\4f2a ä😀') | st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
cells = st.none() | st.just("") | st.just(NULL) | texts
some_rows = st.lists(st.tuples(cells, cells), max_size=8)


@pytest.mark.slow
@given(rows=some_rows, block=st.integers(1, 60), data=st.data())
@settings(max_examples=200)
def test_values_come_back_whatever_the_chunks(rows: list[Row], block: int, data: st.DataObject) -> None:
    body = written(rows)
    whole = header_line(HEADER) + body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    as_bytes = [tuple(value if value is None else value.encode() for value in row) for row in rows]
    with blocks_of(block):
        assert values(parsed_in_chunks(whole, cuts)) == rows
        assert values(parsed_from_file(body)) == rows
        assert values(parsed_in_chunks(whole, cuts, pa.binary())) == as_bytes
        assert values(parsed_from_file(body, pa.binary())) == as_bytes


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_every_split_into_two_chunks_gives_the_same_rows(block: int) -> None:
    data = header_line(HEADER) + written(AWKWARD)
    with blocks_of(block):
        for cut in range(len(data) + 1):
            assert values(parsed_in_chunks(data, [cut])) == AWKWARD


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_an_end_inside_a_row_is_an_error_and_between_rows_is_not(block: int) -> None:
    header = header_line(HEADER)
    ends = {len(written(AWKWARD[:number])): number for number in range(len(AWKWARD) + 1)}
    body = written(AWKWARD)
    with blocks_of(block):
        for end in range(len(body) + 1):
            if end in ends:
                expected = AWKWARD[: ends[end]]
                assert values(parsed_in_chunks(header + body[:end])) == expected
                assert values(parsed_from_file(body[:end])) == expected
                continue
            with pytest.raises(ValueError, match="the last row is not complete"):
                parsed_in_chunks(header + body[:end])
            with pytest.raises(ValueError, match="the last row is not complete"):
                parsed_from_file(body[:end])


@pytest.mark.parametrize("rows", [b'"a"\n', b'"a","b","c"\n', b'"a","b"\n"c"\n"d","e"\n'])
@pytest.mark.parametrize("parse", [parsed_from_file, lambda rows: parsed_in_chunks(header_line(HEADER) + rows)])
def test_rows_with_another_number_of_values_are_an_error(parse: Callable[[bytes], pa.Table], rows: bytes) -> None:
    with pytest.raises(ValueError, match="columns"):
        parse(rows)


# -- the header


def test_a_header_quotes_the_names() -> None:
    assert header_line(["id", 'a"b', "a,b", "ä"]) == '"id","a""b","a,b","ä"\n'.encode()


def test_a_table_without_rows_has_its_columns() -> None:
    for kind in (pa.string(), pa.binary()):
        expected = pa.schema([("c0", kind), ("c1", kind)])
        assert parsed_in_chunks(header_line(HEADER), kind=kind).schema == expected
        (batch,) = parse_csv(io.BytesIO(b""), 2, NULL, kind, ROOMY)
        assert (batch.schema, len(batch)) == (expected, 0)


@pytest.mark.parametrize(
    "data", [b'"c0","c2"\n"a","b"\n', b"<!doctype html><html>", b'"c0";"c1"\n', b'c0,c1\n"a","b"\n']
)
@pytest.mark.parametrize("chunk", [1, 100])
def test_another_header_is_an_error(data: bytes, chunk: int) -> None:
    with blocks_of(chunk), pytest.raises(ValueError, match="the header is another"):
        parsed_in_chunks(data, range(chunk, len(data), chunk))


@pytest.mark.parametrize("size", range(len(header_line(HEADER))))
def test_an_end_inside_the_header_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match="the last row is not complete"):
        parsed_in_chunks(header_line(HEADER)[:size])


def test_names_in_the_header_may_hold_quotes_and_line_breaks() -> None:
    names = ['a"b', "x\ny"]
    parser = CsvParser(names, NULL, pa.string(), MANY, ROOMY)
    parser.feed(header_line(names) + b'"1","2"\n')
    assert values(parser.table()) == [("1", "2")]


# -- what arrives piece by piece


def test_an_error_stays_whatever_arrives_after_it() -> None:
    for wrong in (b'"c0"\n', header_line(HEADER) + b'"lonely"\n'):
        with blocks_of(1):
            parser = CsvParser(HEADER, NULL, pa.string(), MANY, ROOMY)
            parser.feed(wrong + b"\n" * 20)
            parser.feed(header_line(HEADER) + b'"a","b"\n')
            for _ in range(2):
                with pytest.raises(ValueError, match=r"another|columns"):
                    parser.table()


def test_a_reset_forgets_rows_rest_and_error() -> None:
    good = header_line(HEADER) + b'"a","b"\n'
    for before in (good, good + b'"half', b'"wrong', b"<html>" * 20, header_line(HEADER) + b'"lonely"\n'):
        with blocks_of(30):
            parser = CsvParser(HEADER, NULL, pa.string(), MANY, ROOMY)
            parser.feed(before)
            parser.reset()
            parser.feed(good)
            assert values(parser.table()) == [("a", "b")]


def test_a_reset_forgets_the_size_of_what_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = parsed_sizes(monkeypatch)
    monkeypatch.setattr(csv_parser, "BLOCK", 40)
    parser = CsvParser(HEADER, NULL, pa.string(), MANY, ROOMY)
    parser.feed(header_line(HEADER) + b'"a","b"\n')
    parser.reset()
    parser.feed(header_line(HEADER) + b'"a","b"\n')
    assert sizes == []


def parsed_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks that are parsed from now on."""
    sizes: list[int] = []
    parse_rows = csv_parser._parse_rows

    def recorded(rows: bytes, *arguments: Any) -> pa.Table:
        sizes.append(len(rows))
        return parse_rows(rows, *arguments)

    monkeypatch.setattr(csv_parser, "_parse_rows", recorded)
    return sizes


def test_rows_are_parsed_while_they_arrive_half_a_megabyte_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = parsed_sizes(monkeypatch)
    row = b'"' + b"x" * 1_000 + b'","y"\n'
    parser = CsvParser(HEADER, NULL, pa.string(), MANY, ROOMY)
    parser.feed(header_line(HEADER))
    rest = 524_288 - len(header_line(HEADER))
    stream = row * 1_100
    parser.feed(stream[: rest - 1])
    assert sizes == []
    parser.feed(stream[rest - 1 : rest])
    assert sizes == [rest // len(row) * len(row)]
    parser.feed(stream[rest : rest + 524_288])
    assert len(sizes) == 2
    parser.feed(stream[rest + 524_288 :])
    table = parser.table()
    assert (len(table), sum(sizes)) == (1_100, len(stream))
    assert all(column.num_chunks == 1 for column in table.columns)


def test_a_file_is_parsed_half_a_megabyte_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = parsed_sizes(monkeypatch)
    row = b'"' + b"x" * 1_000 + b'","y"\n'
    batches = parse_csv(io.BytesIO(row * 1_100), 2, NULL, pa.string(), ROOMY)
    assert len(next(batches)) == 0
    assert len(next(batches)) == 524_288 // len(row)
    assert sizes == [524_288 // len(row) * len(row)]
    assert sum(map(len, batches)) == 1_100 - 524_288 // len(row)


def test_a_row_may_be_longer_than_a_block() -> None:
    long = [("x" * 500, '"' * 300), ("\n" * 200, None)]
    with blocks_of(50):
        assert values(parsed_in_chunks(header_line(HEADER) + written(long), range(20, 1_000, 20))) == long
        assert values(parsed_from_file(written(long))) == long


@pytest.mark.slow
def test_line_breaks_of_a_long_value_stay_whole() -> None:
    """Arrow's own blocks of a megabyte would lose line feeds where they meet."""
    long = [("\r\n" * 1_000_000, "x\r\n")] * 2
    assert values(parsed_in_chunks(header_line(HEADER) + written(long))) == long
    assert values(parsed_from_file(written(long))) == long
