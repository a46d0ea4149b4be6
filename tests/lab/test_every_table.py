"""Every table that MySQL can make is copied, or refused with the name of what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from copies import Copies, json_rows
from long_cases import soak_but

from cache.storage.snapshot import JSON, ChangeCounts
from lab import FaultProxy


@pytest.fixture
def proxy(copies: Copies) -> Iterator[FaultProxy]:
    with FaultProxy(copies.session.export_url) as proxy:
        yield proxy


def synced(copies: Copies, table: str) -> None:
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


# -- cells


@pytest.mark.parametrize("type", soak_but(("LONGTEXT",), ["LONGTEXT", "LONGBLOB"]))
def test_a_cell_of_10_mb_is_copied(copies: Copies, type: str) -> None:
    """Binary, its hexadecimal would be longer than max_allowed_packet, 16 MB, lets a function return."""
    table = copies.table(f"id INT PRIMARY KEY, a {type}, b LONGBLOB, c INT")
    copies.execute(f"INSERT INTO {table} VALUES (1, REPEAT('0123456789', 1000000), '', 1), (2, NULL, NULL, 2)")
    synced(copies, table)
    copies.execute(f"UPDATE {table} SET a = CONCAT(a, '!')")
    assert copies.sync(table).changes == ChangeCounts(updated=1)
    assert copies.differences(table) == []


def test_a_binary_cell_that_no_server_function_returns_is_refused_by_name(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, photo LONGBLOB", [(1, b"small")])
    synced(copies, table)
    copies.execute(f"UPDATE {table} SET photo = REPEAT('0123456789', 1400000)")
    run = copies.sync(table)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "unconfirmed")
    assert "the column photo" in run.error.message
    assert json_rows(copies.cache.snapshots.open()) == [{"id": 1, "photo": "c21hbGw="}]


def test_many_long_cells_are_copied_within_the_memory_limit_of_rendering(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, a LONGTEXT")
    copies.execute(f"INSERT INTO {table} SELECT seq, REPEAT(MD5(seq), 1500) FROM seq_1_to_600")
    run = copies.sync(table)  # the renderer's database has a limit of memory, and fails beyond it
    assert (run.error, run.rows) == (None, 600)
    assert copies.differences(table) == []


def test_odd_values_come_through(copies: Copies) -> None:
    table = copies.table(
        "id INT PRIMARY KEY, zero DATE NOT NULL, moment DATETIME(6) NOT NULL, f FLOAT, d DOUBLE, "
        "n DECIMAL(10,3), b BIT(9)"
    )
    copies.execute("SET SESSION sql_mode = ''")
    copies.execute(
        f"INSERT INTO {table} VALUES (1, '0000-00-00', '0000-00-00', -0.0, -0.0, -0.0, b'0'), "
        "(2, '2025-00-31', '2025-12-31 23:59:59.999999', 3.4028234e38, 2.2250738585072014e-308, -9999999.999, 511)"
    )
    assert copies.sync(table).error is None
    first, second = json_rows(copies.cache.snapshots.open())
    assert (first["zero"], first["moment"], second["zero"]) == (None, None, None)
    assert (first["n"], second["n"], second["b"]) == ("0.000", "-9999999.999", 511)
    assert (second["f"], second["d"]) == (3.4028235e38, 2.2250738585072014e-308)
    assert copies.sync(table).outcome == "unchanged"


def test_a_value_or_a_name_that_looks_like_sql_or_html_is_text(copies: Copies) -> None:
    odd = "'; DROP TABLE orders; -- `\\\" <script>alert(1)</script> &lt; %s {} \x00 #"
    name = "a'b\"c`d;--<i>%s{}"
    table = copies.table(f"`{name.replace('`', '``')}` VARCHAR(200) PRIMARY KEY, `<b>` TEXT", name=f"t{name}")
    copies.execute(f"INSERT INTO `{table.replace('`', '``').replace('%', '%%')}` VALUES (%s, %s)", odd, odd)
    assert copies.sync(table).error is None
    assert json_rows(copies.cache.snapshots.open()) == [{name: odd, "<b>": odd}]
    assert copies.lab.rows() > 0


# -- tables


@pytest.mark.parametrize(
    "definition",
    [
        "a INT, b INT, c INT, d TEXT, PRIMARY KEY (a, b, c)",
        "a BIGINT UNSIGNED, b INT, c INT, d TEXT, PRIMARY KEY (a, b)",
        "a INT, b VARCHAR(9), c INT, d TEXT, PRIMARY KEY (b, a)",
        "a DECIMAL(9,2), b DATE, c INT, d TEXT, PRIMARY KEY (a)",
        "a BINARY(8), b INT, c INT, d BLOB, PRIMARY KEY (a)",
        "a INT, b INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, d TEXT, PRIMARY KEY (a)",
        "a INT INVISIBLE DEFAULT 3, b INT, c INT, d TEXT, PRIMARY KEY (b)",
    ],
    ids=["three", "unsigned", "text first", "decimal", "binary", "generated", "invisible"],
)
@pytest.mark.parametrize("engine", soak_but(("InnoDB",), ["InnoDB", "MyISAM"]))
def test_any_key_and_engine(copies: Copies, small_pages: None, definition: str, engine: str) -> None:
    table = copies.table(definition, suffix=f"ENGINE={engine}")
    generated = " AS (" in definition
    columns, values = (
        ("a, d", "seq, seq") if generated else ("a, b, c, d", "seq DIV 20, IF(seq, 20250101 + seq % 20, 0), seq, seq")
    )
    if ("PRIMARY KEY (a)" in definition and not generated) or "PRIMARY KEY (b)" in definition:
        values = "seq, IF(TRUE, 20250101 + seq, 0), seq, seq" if "DATE" not in definition else "seq, NULL, seq, seq"
    copies.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM seq_1_to_60")
    assert copies.sync(table).error is None
    copies.execute(f"UPDATE {table} SET d = 'new' ORDER BY d LIMIT 2")
    copies.execute(f"DELETE FROM {table} ORDER BY d DESC LIMIT 1")
    run = copies.sync(table)
    assert run.error is None
    assert run.changes is not None
    assert run.changes.deleted - run.changes.inserted == 1
    if "INVISIBLE" not in definition:
        assert copies.differences(table) == []
    assert copies.sync(table).outcome == "unchanged"


def test_a_view_is_followed(copies: Copies, small_pages: None) -> None:
    """Its key is unknown, so equal rows must be counted."""
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, f"{i % 4}") for i in range(40)])
    copies.execute(f"CREATE OR REPLACE VIEW `a view` AS SELECT note FROM {table}")
    try:
        synced(copies, "a view")
        copies.execute(f"UPDATE {table} SET note = '9' WHERE id < 3")
        assert copies.sync("a view").changes == ChangeCounts(inserted=3, deleted=3)
        assert copies.differences("a view") == []
    finally:
        copies.execute("DROP VIEW `a view`")


# -- kinds


def first_load(copies: Copies, proxy: FaultProxy, table: str, cut_after: int) -> int:
    """A first load that fails after so many pages; the number of pages that the next, whole one asked for."""
    proxy.cut(size=0, matching="LIMIT", skip=cut_after)
    assert copies.sync(table, copies.through(proxy.url)).outcome == "failed"
    proxy.clear()
    proxy.requests.clear()
    synced_through = copies.sync(table, copies.through(proxy.url))
    assert synced_through.error is None
    return pages(proxy)


def pages(proxy: FaultProxy) -> int:
    return sum("LIMIT" in sql for sql in proxy.statements)


@pytest.fixture
def eager_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.sync.draft.DRAFT_SECONDS", 0)


def test_an_interrupted_first_load_goes_on_where_it_stopped(
    copies: Copies, small_pages: None, eager_drafts: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT", [(i, "{}") for i in range(100)])  # ten pages at least
    assert first_load(copies, proxy, table, 8) < 6
    assert copies.differences(table) == []


@pytest.mark.parametrize("odd", soak_but((15,), [15, 45, 95]))
@pytest.mark.parametrize("cut_after", soak_but((12,), [3, 12]))
def test_values_that_disprove_a_kind_make_the_column_text_after_a_resume(
    copies: Copies, small_pages: None, eager_drafts: None, proxy: FaultProxy, odd: int, cut_after: int
) -> None:
    rows: list[tuple[Any, ...]] = [(i, "[]" if i != odd else "words", 1 + 2 * (i == odd)) for i in range(100)]
    table = copies.table("id INT PRIMARY KEY, a TEXT, b TINYINT(1)", rows)
    first_load(copies, proxy, table, cut_after)
    assert [(row["id"], row["a"], row["b"]) for row in json_rows(copies.cache.snapshots.open())] == rows
    assert copies.differences(table) == []


def test_columns_that_contradict_one_after_the_other_over_many_pages(copies: Copies, small_pages: None) -> None:
    columns = ", ".join(f"a{i} TEXT" for i in range(5))
    rows = [(i, *("{}" if i != 19 * n else "words" for n in range(5))) for i in range(100)]
    table = copies.table(f"id INT PRIMARY KEY, {columns}", rows)
    assert copies.sync(table).error is None
    assert [tuple(row.values()) for row in json_rows(copies.cache.snapshots.open())] == rows


# -- segments


def bounds(copies: Copies) -> list[int]:
    """Rows of each segment; together they cover every key once."""
    segments = copies.cache.snapshots.open().manifest.segments
    assert (segments[0].low, segments[-1].high) == (None, None)
    assert all(one.high == other.low for one, other in pairwise(segments))
    assert all(segment.rows for segment in segments)
    return [segment.rows for segment in segments]


def test_ranges_split_when_they_grow_and_merge_when_they_shrink(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i * 1000, "") for i in range(100)])
    synced(copies, table)
    before = bounds(copies)
    copies.insert(table, [(50_000 + i, "") for i in range(1, 90)])
    synced(copies, table)
    grown = bounds(copies)
    assert sum(grown) == 189
    assert len(grown) > len(before)
    assert max(grown) <= 15
    for rows in (189, 114, 69, 42):
        copies.execute(
            f"DELETE FROM {table} ORDER BY MD5(id) LIMIT {rows * 2 // 5}"
        )  # of half the rows it is held back
        synced(copies, table)
    shrunk = bounds(copies)
    assert len(shrunk) < len(grown)
    assert max(shrunk) <= 15


def test_of_damaged_segments_their_ranges_alone_are_exported(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(100)])
    synced(copies, table)
    snapshot = copies.cache.snapshots.open()
    snapshot.paths(JSON)[4].unlink()
    damaged = snapshot.manifest.segments[4]
    run = copies.sync(table, copies.through(proxy.url))
    assert (run.error, run.exported_ranges, run.changes) == (None, 1, ChangeCounts())
    exports = [sql for sql in proxy.statements if "LIMIT" in sql]
    assert all(f">= {damaged.low} AND t.`id` < {damaged.high}" in sql for sql in exports)
    assert copies.cache.snapshots.open().verify() == []
    assert copies.differences(table) == []
