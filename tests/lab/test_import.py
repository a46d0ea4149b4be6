"""An export that someone made by hand is taken in as it is, said to be unproven, and refused where it is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cache_factory import confirm
from copies import EVERY_TYPE, EVERY_TYPE_ROWS, Copies

from cache.storage.records import Run
from scraper.sync.csv_import import import_file

SMALL = [(n, f'{{"n": {n}}}', n) for n in range(1, 41)]
DEFINITION = "id INT PRIMARY KEY, note TEXT, price DECIMAL(9,2) NOT NULL"


def exported(copies: Copies, table: str, **changes: str) -> Path:
    """The file that phpMyAdmin gives to someone who exports a table as CSV and leaves everything as it is."""
    form = {
        "db": "shop",
        "table": table,
        "single_table": "1",
        "export_type": "table",
        "export_method": "quick",
        "quick_or_custom": "quick",
        "what": "csv",
        "output_format": "sendit",
        "filename_template": "@TABLE@",
        "charset": "utf-8",
        "compression": "none",
        "allrows": "1",
        "csv_separator": ",",
        "csv_enclosed": '"',
        "csv_escaped": '"',
        "csv_terminated": "AUTO",
        "csv_null": "NULL",
        "csv_columns": "something",
        "csv_structure_or_data": "data",
        "token": copies.session.token,
        "server": copies.session.server,
    }
    cookies = "; ".join(f"{name}={value}" for name, value in copies.session.cookies)
    answer = httpx2.post(copies.session.export_url, data={**form, **changes}, headers={"Cookie": cookies}, timeout=60)
    assert answer.headers["content-type"].startswith("text/comma-separated-values")
    path = Path("by hand.csv")
    path.write_bytes(answer.content)
    return path


def taken_in(copies: Copies, table: str, path: Path, *names: str, accept: bool = False) -> Run:
    settings = copies.settings.model_copy(update={"phpmyadmin_table": table})
    return import_file(copies.cache, settings, path, names or None, accept)


def refused(run: Run) -> str:
    assert run.outcome == "failed" and run.error is not None
    assert run.error.code == "file_refused"
    assert run.error.advice
    return run.error.message


def test_it_works(copies: Copies, small_pages: None) -> None:
    table = copies.table(EVERY_TYPE, EVERY_TYPE_ROWS[:2])
    copies.sync(table)
    verified = copies.cache.snapshots.head()
    copies.insert(table, EVERY_TYPE_ROWS[2:])

    run = taken_in(copies, table, exported(copies, table))

    assert (run.outcome, run.rows) == ("unverified", 3), run.error
    assert run.changes is not None and (run.changes.inserted, run.changes.total) == (1, 1)
    assert copies.differences(table) == []
    head = copies.cache.snapshots.head()
    assert verified and head and not head.verified
    assert head.verified_at == verified.verified_at
    assert head.reason is not None and "by hand.csv" in head.reason


def test_the_sync_after_an_import_verifies_it_and_exports_only_differences(copies: Copies, small_pages: None) -> None:
    table = copies.table(DEFINITION, SMALL, suffix="ENGINE=MyISAM")
    copies.sync(table)
    copies.execute(f"INSERT INTO {table} VALUES (0, NULL, 1.5)")
    taken_in(copies, table, exported(copies, table))

    run = copies.sync(table)

    assert (run.outcome, run.exported_ranges) == ("unchanged", 0)
    head = copies.cache.snapshots.head()
    assert head is not None and head.verified
    assert copies.differences(table) == []


def test_without_a_snapshot_all_columns_are_text_but_json(copies: Copies) -> None:
    table = copies.table(DEFINITION, [(1, '{"a": 1}', 2), (2, None, 3)])

    run = taken_in(copies, table, exported(copies, table))

    snapshot = copies.cache.snapshots.open()
    assert run.outcome == "unverified"
    assert [(c.name, c.type, c.kind) for c in snapshot.columns] == [
        ("id", "text", "text"),
        ("note", "text", "json"),
        ("price", "text", "text"),
    ]
    assert b"".join(snapshot.json_slices()) == (
        b'{"id":"1","note":{"a":1},"price":"2.00"},{"id":"2","note":null,"price":"3.00"}'
    )
    assert copies.sync(table).outcome == "published"
    assert copies.differences(table) == []


def test_columns_may_stand_in_another_order_and_their_names_be_given(copies: Copies, here: Path) -> None:
    table = copies.table(DEFINITION, SMALL)
    copies.sync(table)
    path = here / "turned.csv"
    lines = [f'"{price}.00","{note}","{key}"'.replace('{"n":', '{""n"":') for key, note, price in SMALL]
    path.write_text("\r\n".join(lines) + "\r\n")

    assert "lacks the columns" in refused(taken_in(copies, table, path))
    run = taken_in(copies, table, path, "price", "note", "id")

    assert (run.outcome, run.changes and run.changes.total) == ("unverified", 0), run.error
    assert copies.differences(table) == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_file_that_ends_inside_of_a_row_is_refused_with_the_line(copies: Copies, cut: int) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "a"), (2, "two\r\nlines, " * 6)])
    path = exported(copies, table)
    path.write_bytes(path.read_bytes()[:-cut])

    assert "by hand.csv, line 3: " in refused(taken_in(copies, table, path))
    assert copies.cache.snapshots.head() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"id","note","price"\n"1","a","1"\n"2","b"\n', "line 3: 2 values instead of 3"),
        ('"id","note","price"\n"1","a\nb","1"\n\n"2","b","3","4"\n', "line 5: 4 values instead of 3"),
        ('"id","note","price"\n"1","a","1"\n"x","b","2"\n', "row 2: the value of id is not of its type"),
        ('"id","note","price"\n"1","a",NULL\n', "row 1: the value of price is not of its type"),
        ('"id","note","price"\n"1","a","1"\n"1","b","2"\n', "rows with the same id"),
        ('"id","note"\n"1","a"\n', "lacks the columns price"),
        ('"id","note","price","more"\n"1","a","1","2"\n', "has columns that the table does not have: more"),
        ('"id","id","price"\n', "does not hold the names of the columns"),
        ("", "does not hold the names of the columns"),
        ('"id";"note";"price"\n', "lacks the columns id, note, price"),
        ('"id","note","price"\n"1","a","1"\n', "has 1 rows. The cache has 40"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_table_is_refused(
    copies: Copies, here: Path, text: str, said: str
) -> None:
    table = copies.table(DEFINITION, SMALL)
    before = copies.sync(table)
    path = here / "some.csv"
    path.write_text(text, newline="")

    assert said in refused(taken_in(copies, table, path))
    head = copies.cache.snapshots.head()
    assert head is not None and (head.generation, head.verified) == (before.generation, True)


def test_text_that_is_not_utf8_and_a_missing_file_are_refused(copies: Copies, here: Path) -> None:
    path = here / "latin1.csv"
    path.write_bytes(b'"id"\n"\xe9"\n')

    assert "not UTF-8" in refused(taken_in(copies, "orders", path))
    assert "cannot be read" in refused(taken_in(copies, "orders", here / "none.csv"))


def test_a_file_that_is_older_or_far_smaller_must_be_accepted(copies: Copies) -> None:
    table = copies.table(DEFINITION, SMALL)
    copies.sync(table)
    copies.execute(f"DELETE FROM {table} WHERE id > 3")
    path = exported(copies, table)
    assert "has 3 rows. The cache has 40" in refused(taken_in(copies, table, path))

    old = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    os.utime(path, (old, old))
    assert "older than the last verification" in refused(taken_in(copies, table, path))

    run = taken_in(copies, table, path, accept=True)
    assert (run.outcome, run.rows) == ("unverified", 3)
    assert copies.differences(table) == []


def test_the_command_says_what_it_did(copies: Copies, child_environment: Callable[..., dict[str, str]]) -> None:
    path = exported(copies, "orders")
    command = [sys.executable, "-m", "scraper", "import"]

    done = subprocess.run([*command, path], env=child_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "unverified: " in done.stdout) == (3, True), done.stderr
    path.write_bytes(path.read_bytes()[:-2])
    done = subprocess.run([*command, path], env=child_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "line " in done.stderr) == (1, True), done.stderr


def test_a_verification_in_the_future_holds_no_file_back(copies: Copies) -> None:
    table = copies.table(DEFINITION, SMALL)
    copies.sync(table)
    confirm(copies.cache, datetime.now(UTC) + timedelta(days=1))
    path = exported(copies, table)
    run = taken_in(copies, table, path)
    head = copies.cache.snapshots.head()
    assert run.outcome == "unverified"
    assert head is not None
    assert (head.verified_at, head.checked_at) == (None, None)
