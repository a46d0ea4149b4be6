"""A sync copies a table exactly, and moves only what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from copies import Copies, json_rows

from cache.storage.records import Run, Worker
from cache.storage.snapshot import JSON, ChangeCounts, Segment
from scraper.client.transport import HttpTransport
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.sync import sync


def test_it_works(copies: Copies) -> None:
    run = copies.sync()
    assert (run.outcome, run.error) == ("published", None)
    head = copies.cache.snapshots.head()
    assert head is not None
    assert head.verified
    assert head.verified_at is not None
    assert run.started_at <= head.verified_at <= run.finished_at  # type: ignore[operator]
    assert copies.differences() == []


@pytest.mark.parametrize("rows", [15_000, pytest.param(50_000, marks=pytest.mark.soak)])
def test_every_cell_of_thousands_of_orders_is_what_mariadb_holds(copies: Copies, rows: int) -> None:
    """Three or ten pages in two or five segments, with the pages and segments of the product."""
    copies.lab.seed(rows)
    try:
        run = copies.sync()
        assert (run.outcome, run.rows, run.error) == ("published", rows, None)
        assert run.changes is not None
        assert run.changes.inserted == rows
        assert copies.cache.snapshots.open().verify() == []
        assert copies.differences() == []
    finally:
        copies.lab.seed(2_000)


# -- what is moved


def test_nothing_changed_moves_nothing_and_makes_no_generation(copies: Copies) -> None:
    copies.sync()
    before = copies.cache.snapshots.head()
    run = copies.sync()
    after = copies.cache.snapshots.head()
    assert (run.outcome, run.exported_ranges, run.changes) == ("unchanged", 0, ChangeCounts())
    assert before is not None
    assert after is not None
    assert after.generation == before.generation
    assert after.verified_at > before.verified_at  # type: ignore[operator]


def test_an_hour_of_the_shop_is_counted_as_it_happened(copies: Copies) -> None:
    copies.sync()
    for hour in range(3):
        done = copies.lab.mutate(seed=hour)
        run = copies.sync()
        assert run.outcome == "published"
        assert run.changes == ChangeCounts(**done)
        assert copies.differences() == []


def test_only_ranges_that_differ_are_exported_and_written(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, f"note {i}") for i in range(100)])
    assert copies.sync(table).ranges == 10
    before = [segment.id for segment in copies.cache.snapshots.open().manifest.segments]
    copies.execute(f"UPDATE {table} SET note = 'new' WHERE id = 55")
    copies.execute(f"DELETE FROM {table} WHERE id = 31")
    run = copies.sync(table)
    after = [segment.id for segment in copies.cache.snapshots.open().manifest.segments]
    assert (run.exported_ranges, run.changes) == (2, ChangeCounts(updated=1, deleted=1))
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [3, 5]
    assert copies.differences(table) == []


def test_rows_beyond_the_last_range_and_before_the_first_are_seen(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(100)])
    copies.sync(table)
    copies.insert(table, [(-5, "before"), *((i, "after") for i in range(100, 125))])
    run = copies.sync(table)
    assert run.changes == ChangeCounts(inserted=26)
    assert run.exported_ranges == 2
    assert copies.differences(table) == []


def test_a_range_that_lost_all_its_rows_leaves_no_gap(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(100)])
    for gone in ("id < 20", "id >= 40 AND id < 60", "id >= 90", "TRUE"):
        copies.sync(table)
        copies.execute(f"DELETE FROM {table} WHERE {gone}")
        copies.sync(table, hold_back_below=0.0)
        assert copies.differences(table) == []
    copies.insert(table, [(45, "back"), (-1, "first"), (1000, "last")])
    assert copies.sync(table).changes == ChangeCounts(inserted=3)
    assert copies.differences(table) == []


def test_an_update_that_moves_a_key_is_followed(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(50)])
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET id = 1000 WHERE id = 7")
    assert copies.sync(table).changes == ChangeCounts(inserted=1, deleted=1)
    assert copies.differences(table) == []


def test_a_damaged_segment_is_written_again(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(30)])
    copies.sync(table)
    copies.cache.snapshots.open().paths(JSON)[1].write_bytes(b"{}")
    run = copies.sync(table)
    assert (run.error, run.exported_ranges) == (None, 1)
    assert copies.cache.snapshots.open().verify() == []
    assert copies.differences(table) == []


# -- keys


@pytest.mark.parametrize(
    ("definition", "keys"),
    [
        ("id BIGINT UNSIGNED PRIMARY KEY", [0, 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, *range(2**64 - 30, 2**64)]),
        ("id BIGINT PRIMARY KEY", [-(2**63), -(2**53) - 1, -1, 0, 1, *range(2**63 - 30, 2**63)]),
        ("id TINYINT PRIMARY KEY", list(range(-128, 128))),
        ("id TINYINT(1) PRIMARY KEY", [0, 1]),
        ("id INT(8) ZEROFILL PRIMARY KEY", list(range(40))),
        ("id INT NOT NULL UNIQUE", list(range(-20, 20))),
        ("id INT PRIMARY KEY", [5]),
        ("id INT PRIMARY KEY", []),
    ],
    ids=["unsigned", "signed", "tiny", "boolean", "zerofill", "unique", "one row", "empty"],
)
def test_a_table_with_an_integer_key_is_copied_and_followed(
    copies: Copies, small_pages: None, definition: str, keys: list[int]
) -> None:
    table = copies.table(f"{definition}, note VARCHAR(30)", [(key, f"n{key}") for key in keys])
    run = copies.sync(table)
    assert (run.error, run.changes) == (None, ChangeCounts(inserted=len(keys)))
    assert copies.differences(table) == []
    copies.execute(f"UPDATE {table} SET note = 'new' ORDER BY id DESC LIMIT 1")
    run = copies.sync(table)
    assert (run.error, run.changes) == (None, ChangeCounts(updated=min(1, len(keys))))
    assert copies.differences(table) == []


def test_a_composite_key_with_more_rows_of_one_key_than_a_page_is_copied(copies: Copies, small_pages: None) -> None:
    rows = [(i, j) for i, many in ((1, 3), (2, 35), (3, 10), (4, 1), (7, 12)) for j in range(many)]
    table = copies.table("a INT, b INT, note TEXT, PRIMARY KEY (a, b)", [(*row, "") for row in rows])
    assert copies.sync(table).changes == ChangeCounts(inserted=len(rows))
    assert copies.differences(table) == []
    copies.execute(f"UPDATE {table} SET note = 'new' WHERE a = 3 AND b = 3")
    copies.execute(f"DELETE FROM {table} WHERE a = 2 AND b = 33")
    assert copies.sync(table).changes == ChangeCounts(updated=1, deleted=1)
    assert copies.differences(table) == []


@pytest.mark.parametrize(
    "definition",
    ["a VARCHAR(20) PRIMARY KEY, b INT", "a DATE, b INT", "a VARCHAR(20), b INT UNIQUE"],
    ids=["text key", "no key", "unique but may be null"],
)
def test_a_table_without_an_integer_key_is_one_range(copies: Copies, small_pages: None, definition: str) -> None:
    table = copies.table(definition, [(f"2025-01-{i:02}", i) for i in range(1, 32)])
    run = copies.sync(table)
    assert (run.error, run.ranges, run.rows) == (None, 1, 31)
    assert copies.differences(table) == []
    copies.execute(f"DELETE FROM {table} WHERE b = 9")
    assert copies.sync(table).changes == ChangeCounts(deleted=1)
    assert copies.differences(table) == []


def test_equal_rows_never_cancel(copies: Copies) -> None:
    table = copies.table("a INT, b TEXT", [(1, "same")] * 2)
    copies.sync(table)
    for more, rows in ((2, 4), (4, 8)):
        copies.insert(table, [(1, "same")] * more)
        run = copies.sync(table)
        assert (run.rows, run.changes) == (rows, ChangeCounts(inserted=more))
    copies.execute(f"DELETE FROM {table} LIMIT 2")
    run = copies.sync(table)
    assert (run.rows, run.changes) == (6, ChangeCounts(deleted=2))
    copies.execute(f"UPDATE {table} SET b = 'other' LIMIT 2")  # a pair for a pair: the count stays
    assert copies.sync(table).outcome == "published"
    assert copies.differences(table) == []


# -- shapes and names


def test_a_column_that_is_renamed_added_or_retyped_gives_a_new_shape(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "1"), (2, "2")])
    copies.sync(table)
    for change in (
        "CHANGE note remark TEXT",
        "ADD paid TINYINT(1) DEFAULT 1",
        "MODIFY remark INT",
        "MODIFY paid TINYINT(1) NOT NULL",
        "DROP paid",
        "MODIFY id BIGINT",
        "CHANGE id number BIGINT",
        "DROP PRIMARY KEY",
    ):
        copies.execute(f"ALTER TABLE {table} {change}")
        run = copies.sync(table)
        assert (run.outcome, run.error) == ("published", None), change
        assert copies.differences(table) == [], change


def test_a_table_that_is_gone_fails_and_readers_keep_what_they_had(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "kept")])
    copies.sync(table)
    copies.execute(f"DROP TABLE {table}")
    run = copies.sync(table)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "no_table")
    assert json_rows(copies.cache.snapshots.open()) == [{"id": 1, "note": "kept"}]


def test_a_column_renamed_while_the_table_is_read_is_not_published(
    copies: Copies, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(50)])
    original = AssemblerThread.finish

    def finish(self: AssemblerThread) -> list[Segment]:
        if "note" in [name for name, *_ in copies.execute(f"DESCRIBE {table}")]:
            copies.execute(f"ALTER TABLE {table} CHANGE note remark TEXT")
        return original(self)

    monkeypatch.setattr(AssemblerThread, "finish", finish)
    run = copies.sync(table)
    assert run.error is not None
    assert run.error.code == "table_changed"
    assert copies.cache.snapshots.head() is None


def test_a_column_renamed_before_its_rows_are_asked_for_is_told_as_such(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(50)])
    original = HttpTransport.post

    def post(self: HttpTransport, url: str, form: Mapping[str, str], *arguments: Any, **options: Any) -> int:
        if "LIMIT" in form.get("sql_query", ""):
            copies.execute(f"ALTER TABLE {table} CHANGE IF EXISTS note remark TEXT")
        return original(self, url, form, *arguments, **options)

    monkeypatch.setattr(HttpTransport, "post", post)
    run = copies.sync(table)
    assert run.error is not None
    assert run.error.code == "table_changed"
    assert f"columns of {table} changed during the sync" in run.error.message
    assert copies.cache.snapshots.head() is None


@pytest.mark.parametrize("name", ["my orders", "back`tick", "select", "заказы 注文", "quo'te\"s", "<b>&amp;", "t.dot"])
def test_any_name_of_a_table_and_its_columns_works(copies: Copies, name: str) -> None:
    column = name.replace("`", "``")
    table = copies.table(f"`{column}` INT PRIMARY KEY, `x {column}` TEXT", [(1, "a"), (2, None)], name=name)
    run = copies.sync(table)
    assert (run.error, run.rows) == (None, 2)
    assert json_rows(copies.cache.snapshots.open()) == [{name: 1, f"x {name}": "a"}, {name: 2, f"x {name}": None}]


def test_columns_named_like_the_result_columns_do_no_harm(copies: Copies, small_pages: None) -> None:
    table = copies.table("c1 INT, c0 INT PRIMARY KEY, c2 TEXT", [(i, 100 - i, str(i)) for i in range(40)])
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET c2 = 'new' WHERE c0 = 70")
    assert copies.sync(table).changes == ChangeCounts(updated=1)
    assert copies.differences(table) == []


def test_tables_whose_names_differ_in_case_are_two(copies: Copies) -> None:
    lower = copies.table("id INT PRIMARY KEY, a TEXT", [(1, "lower")], name="twins")
    upper = copies.table("id INT PRIMARY KEY, b TEXT", [(1, "upper")], name="Twins")
    for table, row in ((lower, {"id": 1, "a": "lower"}), (upper, {"id": 1, "b": "upper"})):
        assert copies.sync(table).error is None
        assert json_rows(copies.cache.snapshots.open()) == [row]


def test_a_view_is_copied(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, f"{i}") for i in range(20)])
    copies.execute(f"CREATE OR REPLACE VIEW some AS SELECT * FROM {table} WHERE id > 10")
    try:
        run = copies.sync("some")
        assert (run.error, run.rows) == (None, 9)
        assert copies.differences("some") == []
    finally:
        copies.execute("DROP VIEW some")


@pytest.mark.parametrize("expression", ["RAND()", "UUID()"])
def test_a_view_that_gives_other_rows_each_time_is_named(copies: Copies, expression: str) -> None:
    copies.execute(f"CREATE VIEW restless AS SELECT id, {expression} AS lot FROM orders LIMIT 50")
    try:
        run = copies.sync("restless")
    finally:
        copies.execute("DROP VIEW restless")
    assert run.error
    assert run.error.message == "restless gives other rows each time that it is read."
    assert expression in run.error.advice


def test_a_view_whose_definer_is_gone_is_named(copies: Copies) -> None:
    copies.execute("CREATE USER author@localhost")
    copies.execute("CREATE DEFINER = author@localhost VIEW orphan AS SELECT id, name FROM orders")
    copies.execute("DROP USER author@localhost")
    try:
        run = copies.sync("orphan")
    finally:
        copies.execute("DROP VIEW orphan")
    assert run.error
    assert run.error.code == "view_broken"
    assert "definer" in run.error.advice


def test_a_limit_of_the_server_on_selects_cuts_nothing(copies: Copies) -> None:
    with copies.lab.faults.variables(sql_select_limit=20):
        run = copies.sync()
    assert (run.outcome, run.error) == ("published", None)
    assert copies.differences() == []


def test_a_table_of_one_column_keeps_null_and_empty_apart(copies: Copies) -> None:
    table = copies.table("a VARCHAR(9)", [(None,), ("",), ("NULL",), ("",), ("\\N",), ("x",)])
    assert copies.sync(table).error is None
    assert [row["a"] for row in json_rows(copies.cache.snapshots.open())] == [None, "", "NULL", "", "\\N", "x"]


def test_300_columns_are_copied(copies: Copies) -> None:
    columns = ", ".join(f"a{i} TEXT" for i in range(299))
    table = copies.table(f"id INT PRIMARY KEY, {columns}", [(n, *(f"{n}.{i}" for i in range(299))) for n in range(5)])
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


def test_a_long_cell_is_copied_or_refused_in_words(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, a LONGTEXT, b LONGBLOB", [(1, "ä" * 3_000_000, b"\0\xff" * 2_000_000)])
    run = copies.sync(table)
    assert run.error is None
    assert copies.differences(table) == []


# -- a table that shrinks


@pytest.mark.parametrize("kept", [0, 19])
def test_a_table_that_shrank_below_half_is_held_back_until_accepted(
    copies: Copies, small_pages: None, kept: int
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(40)])
    copies.sync(table)
    before = copies.cache.snapshots.head()
    copies.execute(f"DELETE FROM {table} WHERE id >= {kept}")
    for _ in range(2):  # it stays so, however often it is tried
        run = copies.sync(table)
        assert run.error is not None
        assert (run.outcome, run.error.code) == ("failed", "held_back")
        assert copies.cache.snapshots.head() == before

    worker = Worker()
    copies.cache.leadership.heartbeat(worker)
    task = copies.cache.runs.request("someone", accept=True)
    run = copies.sync(table)
    assert (run.error, run.outcome, run.asked_by) == (None, "published", ("someone",))
    assert copies.cache.runs.task(task.id).state == "completed"
    assert copies.differences(table) == []


def test_a_table_that_kept_half_of_its_rows_is_published(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(40)])
    copies.sync(table)
    copies.execute(f"DELETE FROM {table} WHERE id >= 20")
    assert copies.sync(table).outcome == "published"
    assert copies.differences(table) == []


# -- a weak server


def test_between_full_comparisons_only_new_and_recent_rows_are_compared(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(100)])
    copies.sync(table)
    whole = copies.cache.snapshots.head()
    assert whole is not None
    assert whole.checked_at is not None
    assert whole.checked_at == whole.verified_at
    copies.execute(f"UPDATE {table} SET note = 'seen' WHERE id IN (35, 99)")
    settings = copies.settings.model_copy(update={"phpmyadmin_table": table, "full_check_hours": 24.0})

    def scheduled() -> Run:
        return sync(copies.cache, settings, lambda _: copies.session, "schedule")

    assert scheduled().changes == ChangeCounts(updated=1)  # the newest
    head = copies.cache.snapshots.head()
    assert head is not None
    assert (head.verified, head.verified_at) == (True, whole.verified_at)
    assert head.checked_at is not None
    assert head.checked_at > whole.checked_at
    assert copies.sync(table, full_check_hours=24.0).changes == ChangeCounts(updated=1)  # all, since somebody asked
    copies.execute(f"UPDATE {table} SET note = 'again' WHERE id = 35")
    assert scheduled().changes == ChangeCounts(updated=1)  # that range changed lately
    assert copies.differences(table) == []
