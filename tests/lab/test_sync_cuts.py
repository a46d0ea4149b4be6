"""An answer that was cut, though it looks whole, is continued or refused; what is published is always the table."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from copies import Copies, json_rows
from long_cases import soak_but

from cache.storage.records import Run
from lab import FaultProxy
from scraper.sync.keyset_pager import Pager


@pytest.fixture
def proxy(copies: Copies) -> Iterator[FaultProxy]:
    with FaultProxy(copies.session.export_url) as proxy:
        yield proxy


@contextmanager
def statements_end_after(copies: Copies, seconds: float) -> Iterator[None]:
    """Statements of new connections are ended by the server after so long, as weak hosts do."""
    copies.execute("SET GLOBAL max_statement_time = %s", seconds)
    try:
        yield
    finally:
        copies.execute("SET GLOBAL max_statement_time = 0")


def keeping(share: float) -> Callable[[bytes], bytes]:
    """Keep a share of the rows of an answer without line breaks in its values, and its header; cut at least one row."""

    def cut(body: bytes) -> bytes:
        header, *rows = body.splitlines(keepends=True)
        return header + b"".join(rows[: min(int(len(rows) * share), len(rows) - 1)] if rows else [])

    return cut


def code(run: Run) -> str | None:
    return run.error.code if run.error else None


ROWS = [(i, f"note {i}") for i in range(45)]


@pytest.mark.parametrize("keep", soak_but((0.5,), [0, 0.5, 1]), ids=["header only", "half", "all but the last row"])
def test_a_cut_in_any_answer_of_a_first_load_publishes_nothing_wrong(
    copies: Copies, small_pages: None, proxy: FaultProxy, keep: float
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    session = copies.through(proxy.url)
    outcomes = []
    for n in range(100):
        proxy.clear()
        proxy.requests.clear()
        proxy.transform(keeping(keep), skip=n, times=1)
        copies.insert(table, [(100 + n, "another")])  # so that each time something must be published
        run = copies.sync(table, session)
        outcomes.append(code(run))
        if run.error is None:
            assert copies.differences(table) == []
        if len(proxy.statements) <= n:
            break
    else:
        raise AssertionError("the sync had no end")
    assert set(outcomes) <= {None, "table_changed"}  # what was cut once is asked for again, or continued


def test_from_whichever_answer_on_all_are_cut_nothing_wrong_is_published(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    session = copies.through(proxy.url)
    outcomes = []
    for n in range(100):
        proxy.clear()
        proxy.requests.clear()
        proxy.transform(keeping(0.5), skip=n)
        copies.insert(table, [(100 + n, "another")])
        before = copies.cache.snapshots.head()
        run = copies.sync(table, session)
        outcomes.append(code(run))
        if run.error is None:
            assert copies.differences(table) == []
        else:
            assert copies.cache.snapshots.head() == before
        if len(proxy.statements) <= n:
            break
    assert "answer_cut" in outcomes
    assert outcomes[-1] is None


@pytest.mark.parametrize("which", ["information_schema.columns", "information_schema.statistics"])
@pytest.mark.parametrize("keep", soak_but((1,), [0, 0.5, 1]))
def test_a_cut_description_of_the_table_is_refused(copies: Copies, proxy: FaultProxy, which: str, keep: float) -> None:
    table = copies.table("a INT, b INT, note TEXT, PRIMARY KEY (a, b)", [(1, 2, "x")])
    proxy.transform(keeping(keep), matching=re.compile(f"AS c2.*FROM {re.escape(which)}", re.DOTALL))
    assert code(copies.sync(table, copies.through(proxy.url))) == "answer_cut"
    assert copies.cache.snapshots.head() is None


@pytest.mark.parametrize("keep", soak_but((1,), [0, 0.5, 1]))
def test_a_cut_checksum_answer_is_refused(copies: Copies, small_pages: None, proxy: FaultProxy, keep: float) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    assert copies.sync(table).error is None
    copies.execute(f"DELETE FROM {table} WHERE id = 44")
    proxy.transform(keeping(keep), matching="INTERVAL(")
    before = copies.cache.snapshots.head()
    assert code(copies.sync(table, copies.through(proxy.url))) == "answer_cut"
    assert copies.cache.snapshots.head() == before
    assert len(json_rows(copies.cache.snapshots.open())) == 45


@pytest.mark.parametrize("most", soak_but((4,), [1, 4, 9]))
def test_pages_that_are_always_cut_are_continued_until_all_rows_are_there(
    copies: Copies, small_pages: None, proxy: FaultProxy, most: int
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    proxy.cut(rows=most, matching="LIMIT")
    assert copies.sync(table, copies.through(proxy.url)).error is None
    assert copies.differences(table) == []


def test_a_cut_within_the_rows_of_one_key_is_refused_after_a_few_retries(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("a INT, b INT, PRIMARY KEY (a, b)", [(1, i) for i in range(8)])
    proxy.transform(keeping(0.5), matching="LIMIT")
    assert code(copies.sync(table, copies.through(proxy.url))) == "answer_cut"
    assert sum("LIMIT" in sql for sql in proxy.statements) <= 4
    assert copies.cache.snapshots.head() is None


def test_a_table_without_a_key_that_is_always_cut_is_never_published(copies: Copies, proxy: FaultProxy) -> None:
    table = copies.table("a INT, note TEXT", ROWS)
    proxy.transform(keeping(1), matching=re.compile(r"AS c1 FROM `shop`.`t\d+` AS t$"))
    run = copies.sync(table, copies.through(proxy.url))
    assert code(run) in ("answer_cut", "unconfirmed")
    assert copies.cache.snapshots.head() is None


def test_an_answer_that_was_changed_on_the_way_is_never_published(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    proxy.transform(lambda body: body.replace(b"note 7", b"note 8"))
    assert code(copies.sync(table, copies.through(proxy.url))) == "unconfirmed"
    assert copies.cache.snapshots.head() is None


# -- by the server itself


def test_a_checksum_that_reaches_max_statement_time_is_refused(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    copies.execute(f"CREATE OR REPLACE VIEW slow AS SELECT id, note, SLEEP(0.05) AS nap FROM {table}")
    try:
        with statements_end_after(copies, 0.5):
            run = copies.sync("slow")
    finally:
        copies.execute("DROP VIEW slow")
    assert code(run) in ("answer_cut", "statement_refused")
    assert copies.cache.snapshots.head() is None


def test_an_export_that_reaches_max_statement_time_is_refused(copies: Copies) -> None:
    """The view is slow for the export alone, so that its checksum arrives whole."""
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    copies.execute(
        "CREATE OR REPLACE FUNCTION nap() RETURNS INT NOT DETERMINISTIC READS SQL DATA RETURN IF(EXISTS(SELECT * FROM "
        "information_schema.processlist WHERE id = CONNECTION_ID() AND info LIKE '%MD5(%'), 0, SLEEP(0.02))"
    )
    copies.execute(f"GRANT EXECUTE ON FUNCTION nap TO '{copies.settings.phpmyadmin_username}'@'127.0.0.1'")
    copies.execute(f"CREATE OR REPLACE VIEW slow AS SELECT id, note, nap() AS nap FROM {table}")
    try:
        assert copies.sync("slow").error is None  # slow, but whole
        head = copies.cache.snapshots.head()
        copies.insert(table, [(1000, "one more")])
        with statements_end_after(copies, 0.5):
            run = copies.sync("slow")
    finally:
        copies.execute("DROP VIEW slow")
        copies.execute("DROP FUNCTION nap")
    assert code(run) in ("answer_cut", "unconfirmed")
    assert copies.cache.snapshots.head() == head
    assert len(json_rows(copies.cache.snapshots.open())) == 45


def test_pages_that_reach_max_statement_time_are_continued(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads nothing for a while, so that the server cannot send, until it ends the statement."""
    table = copies.table("id INT PRIMARY KEY, note LONGTEXT")
    for i in range(7):
        copies.execute(f"INSERT INTO {table} SELECT {i} * 100 + seq, REPEAT(MD5(seq), 1500) FROM seq_0_to_99")
    pages = []
    original = Pager._select

    def page(self: Pager, *arguments: object) -> object:
        answer = original(self, *arguments)  # type: ignore[arg-type]
        pages.append(len(answer[0]))
        return answer

    monkeypatch.setattr(Pager, "_select", page)
    with FaultProxy(copies.session.export_url) as proxy:
        proxy.stall(2.6, size=1000, matching="LIMIT", times=1)
        with statements_end_after(copies, 2):
            run = copies.sync(table, copies.through(proxy.url))
    assert run.error is None
    assert 0 < pages[0] < 700
    assert sum(pages) == 700
    assert copies.differences(table) == []


@pytest.mark.parametrize("seconds", soak_but((0.000_5, 0.003), [0.000_1, 0.000_5, 0.001, 0.003, 0.01]))
def test_whatever_the_time_limit_of_statements_nothing_wrong_is_published(copies: Copies, seconds: float) -> None:
    with statements_end_after(copies, seconds):
        run = copies.sync()
    assert copies.cache.snapshots.head() is None or copies.differences() == []
    assert (run.error is None) == (copies.cache.snapshots.head() is not None)


def test_after_a_database_killed_during_rows_the_next_sync_succeeds(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)

    def kill(body: bytes) -> bytes:
        if copies.lab.running()["database"]:
            copies.lab.stop_database(kill=True)
        return body

    proxy.transform(kill, matching="LIMIT")
    try:
        run = copies.sync(table, copies.through(proxy.url))
    finally:
        copies.lab.start_database()
    assert run.outcome == "failed"
    assert copies.cache.snapshots.head() is None
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


def test_the_login_ending_in_the_middle_is_told_as_such(copies: Copies, small_pages: None, proxy: FaultProxy) -> None:
    page = '<html><form id="login_form"><input name="pma_username" id="input_username"></form></html>'
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    proxy.replace(page, matching="LIMIT", skip=2)
    assert code(copies.sync(table, copies.through(proxy.url))) == "session_lost"
    assert copies.cache.snapshots.head() is None


# -- a table that moves


def test_rows_that_change_while_they_are_read_are_read_again(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    numbers = itertools.count(100)

    def write(body: bytes) -> bytes:
        number = next(numbers)
        copies.execute(f"UPDATE {table} SET note = 'changed {number}' WHERE id = 3")
        copies.execute(f"INSERT INTO {table} VALUES ({number}, 'new')")
        return body

    proxy.transform(write, matching="LIMIT", times=3)
    run = copies.sync(table, copies.through(proxy.url))
    assert (run.outcome, run.error) == ("published", None)
    assert copies.differences(table) == []


def test_a_range_that_keeps_changing_is_published_as_unverified(
    copies: Copies, small_pages: None, proxy: FaultProxy
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)

    def write(body: bytes) -> bytes:
        copies.execute(f"UPDATE {table} SET note = %s WHERE id = 3", str(time.time_ns()))
        return body

    proxy.transform(write)
    run = copies.sync(table, copies.through(proxy.url))
    head = copies.cache.snapshots.head()
    assert head is not None
    assert (run.outcome, code(run), head.verified, head.verified_at) == ("unverified", "still_moving", False, None)
    assert head.reason == "Key ranges that kept changing during the sync: 1."
    assert [row["note"] for row in json_rows(copies.cache.snapshots.open())][4:] == [note for _, note in ROWS[4:]]
    assert copies.sync(table).outcome == "published"
    assert copies.differences(table) == []


@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "id VARCHAR(9) PRIMARY KEY"], ids=["integer", "text"])
def test_a_first_load_that_failed_in_its_second_round_is_resumed(
    copies: Copies, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both rounds wrote of the one range is not taken for two."""
    monkeypatch.setattr("scraper.sync.draft.DRAFT_SECONDS", 0)
    table = copies.table(f"{key}, note TEXT", ROWS)
    with FaultProxy(copies.session.export_url) as proxy:
        session = copies.through(proxy.url)
        proxy.append('"99","too much"\n', matching="utf8mb4) AS c1", times=1)
        proxy.fail(401, matching="information_schema", skip=2)
        assert code(copies.sync(table, session)) == "request_refused"
        proxy.clear()
        assert code(copies.sync(table, session)) is None
    assert copies.differences(table) == []
