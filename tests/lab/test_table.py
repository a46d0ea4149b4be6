"""What a table is, and the checksum of a row: server and client compute the same, and different rows never the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from copies import Copies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_checksums import AWKWARD, Row, by_definition, cells

from cache.storage.row_encoding import engine
from scraper.client.exporter import Exporter
from scraper.errors import NoTable
from scraper.table.checksums import server_checksums
from scraper.table.describe import read_table
from scraper.table.key_ranges import WHOLE

# -- on a real server


@pytest.fixture
def export(copies: Copies) -> Iterator[Exporter]:
    with Exporter(copies.session, copies.settings) as export:
        yield export


def server_and_client(export: Exporter, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and sum of checksums of a whole table, computed there and here."""
    table = read_table(export, "shop", name)
    there = server_checksums(export, table, [WHOLE])[0]
    rows = export.select(f"SELECT {table.select_list} FROM {table.sql_name} AS t", table.width, 3000, table.alias)
    duck = engine()
    here = [int(number) for number in table.checksums(duck, rows.select(range(len(table.columns))))]
    duck.close()
    return tuple(there), (len(here), sum(here))


@pytest.mark.parametrize("type", ["VARCHAR(255)", "TEXT", "LONGTEXT"])
def test_server_and_client_agree_on_awkward_rows(copies: Copies, export: Exporter, type: str) -> None:
    name = copies.table(f"a {type}, b {type}", AWKWARD)
    there, here = server_and_client(export, name)
    assert there == here
    if type == "VARCHAR(255)":
        assert there == (len(AWKWARD), sum(map(by_definition, AWKWARD)))


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=40))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_server_and_client_agree_on_any_rows(copies: Copies, export: Exporter, rows: list[Row]) -> None:
    name = copies.table("a VARCHAR(50), b TEXT", rows, name="any_rows")
    there, here = server_and_client(export, name)
    assert there == here


@pytest.mark.parametrize("charset", ["latin1", "utf8mb3", "utf8mb4", "ucs2", "cp1251", "ascii", "binary"])
def test_server_and_client_agree_whatever_the_character_set(copies: Copies, export: Exporter, charset: str) -> None:
    texts = {"latin1": "äß€", "utf8mb3": "ä注", "utf8mb4": "😀", "ucs2": "注ä", "cp1251": "Привет"}.get(charset, "a~")
    types = ("VARCHAR(20)", "TEXT", "CHAR(9)", f"ENUM('{texts}','b')", f"SET('{texts}','b')")
    if charset == "binary":
        types = types[:3]
    columns = ", ".join(f"a{i} {type}" for i, type in enumerate(types))
    rows = [(texts,) * len(types), (None,) * len(types)]
    name = copies.table(
        f"id INT PRIMARY KEY, {columns}", [(i, *row) for i, row in enumerate(rows)], suffix=f"CHARACTER SET {charset}"
    )
    there, here = server_and_client(export, name)
    assert there == here
    assert copies.sync(name).error is None
    assert copies.differences(name) == []


def test_the_key_is_the_primary_key_else_a_unique_key_without_nulls(copies: Copies, export: Exporter) -> None:
    for definition, key in (
        ("a INT PRIMARY KEY, b INT NOT NULL UNIQUE", {"a": 1}),
        ("a INT, b INT NOT NULL UNIQUE", {"b": 1}),
        ("a INT, b INT UNIQUE", {}),
        ("a INT NOT NULL, b VARCHAR(9) NOT NULL, UNIQUE (b(3))", {}),
        ("a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (b, a)", {"b": 1, "a": 2}),
        ("a INT NOT NULL, b INT, UNIQUE u1 (a, b), UNIQUE u2 (a)", {"a": 1}),
        ("a INT, b INT, KEY (a)", {}),
    ):
        table = read_table(export, "shop", copies.table(definition))
        assert {column.name: column.key for column in table.columns if column.key} == key, definition


def test_a_table_that_this_login_does_not_see_is_named(export: Exporter) -> None:
    for database, name in (("shop", "nothing"), ("mysql", "user"), ("shop", "ORDERS")):
        with pytest.raises(NoTable, match=name):
            read_table(export, database, name)
