"""Every way in which servers end early, fail or change their minds: nothing wrong is published, readers keep the last
good generation, and the next sync succeeds.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import cycle

import pytest
from copies import Copies, json_rows
from lab_fixtures import settings_of
from long_cases import soak_but

from cache.storage.records import Run
from lab import FaultProxy
from scraper.client.session import Session
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

ROWS = [(i, f"note {i}") for i in range(45)]
FATAL = "<br />\n<b>Fatal error</b>:  Maximum execution time of 30 seconds exceeded in <b>x.php</b> on line <b>1</b>"
ALERT = '<div class="alert alert-danger" role="alert"><code>#2006 - MySQL server has gone away</code></div>'

Lie = Callable[[Copies, FaultProxy, str], AbstractContextManager[object] | None]
LIES: dict[str, Lie] = {
    "query killed": lambda copies, _, what: copies.lab.faults.killing("QUERY", matching=what),
    "connection killed": lambda copies, _, what: copies.lab.faults.killing("CONNECTION", matching=what),
    "cut to its header": lambda _, proxy, what: proxy.cut(rows=0, matching=what),
    "cut within a row": lambda _, proxy, what: proxy.cut(size=14, matching=what),
    "empty": lambda _, proxy, what: proxy.cut(size=0, matching=what),
    "reset": lambda _, proxy, what: proxy.reset(size=14, matching=what),
    "stalled": lambda _, proxy, what: proxy.stall(2, size=14, matching=what),
    "PHP's fatal error inside": lambda _, proxy, what: proxy.append(FATAL, matching=what),
    "an alert inside": lambda _, proxy, what: proxy.append(ALERT, matching=what),
    "an alert as the body": lambda _, proxy, what: proxy.replace(ALERT, matching=what),
    "a server error": lambda _, proxy, what: proxy.fail(502, "Bad gateway", matching=what),
}


STATEMENTS = {"checksums": "MD5(", "rows": "LIMIT"}
SHORT = set(zip(LIES, cycle(STATEMENTS), strict=False))  # `make test` tells each lie about one of them
LIED_TO = [
    pytest.param(lie, what, marks=() if (lie, name) in SHORT else pytest.mark.soak, id=f"{lie}-{name}")
    for lie in LIES
    for name, what in STATEMENTS.items()
]


@pytest.fixture
def proxy(copies: Copies) -> Iterator[FaultProxy]:
    with FaultProxy(copies.session.export_url) as proxy:
        yield proxy


@contextmanager
def nothing_wrong(copies: Copies, table: str) -> Iterator[list[Run]]:
    """The syncs within leave what was published, or publish the table as it is; one without faults then succeeds."""
    head = copies.cache.snapshots.head()
    rows = json_rows(copies.cache.snapshots.open()) if head else None
    runs: list[Run] = []
    yield runs
    (run,) = runs
    if run.error is None:
        assert copies.differences(table) == []
    else:
        assert run.outcome == "failed"
        assert run.error.advice
        assert "<" not in run.error.message
        assert copies.cache.snapshots.head() == head
        assert (json_rows(copies.cache.snapshots.open()) if head else None) == rows
    assert copies.cache.snapshots.open().verify() == [] if copies.cache.snapshots.head() else True
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


@pytest.mark.parametrize(("lie", "what"), LIED_TO)
def test_an_answer_that_is_never_whole_fails_the_sync_and_changes_nothing(
    copies: Copies, small_pages: None, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, lie: str, what: str
) -> None:
    monkeypatch.setattr("scraper.client.transport.SILENT_SECONDS", 0.3)
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    assert copies.sync(table).error is None
    copies.execute(f"UPDATE {table} SET note = 'new' WHERE id IN (3, 33)")
    with nothing_wrong(copies, table) as runs:
        with LIES[lie](copies, proxy, what) or nullcontext():
            runs.append(copies.sync(table, copies.through(proxy.url)))
        if "killed" not in lie:  # a quick statement may escape
            assert runs[0].outcome == "failed"


@pytest.mark.parametrize("what", ["QUERY", "CONNECTION"])
def test_statements_that_are_killed_while_they_run_are_retried_then_fail(copies: Copies, what: str) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    copies.execute(f"CREATE OR REPLACE VIEW slow AS SELECT id, note, SLEEP(0.02) AS nap FROM {table}")
    try:
        with copies.lab.faults.killing(what, matching="slow", after=0.1) as killed:  # type: ignore[arg-type]
            run = copies.sync("slow")
    finally:
        copies.execute("DROP VIEW slow")
    # A killed query's rows look whole, and each of four tries to prove them is killed too; a lost connection is told.
    assert len(killed) == {"QUERY": 5, "CONNECTION": 4}[what]
    assert run.error is not None
    assert run.error.code == "answer_cut"
    assert copies.cache.snapshots.head() is None


def test_rows_that_net_write_timeout_cuts_are_gone_on_with(copies: Copies, proxy: FaultProxy) -> None:
    table = copies.table("id INT PRIMARY KEY, note LONGTEXT")
    for i in range(7):
        copies.execute(f"INSERT INTO {table} SELECT {i} * 100 + seq, REPEAT(MD5(seq), 1500) FROM seq_0_to_99")
    proxy.stall(2.5, size=1000, matching="LIMIT", times=1)
    with copies.lab.faults.variables(net_write_timeout=1), nothing_wrong(copies, table) as runs:
        runs.append(copies.sync(table, copies.through(proxy.url)))
    assert runs[0].error is None
    first = next(request for request in proxy.requests if "LIMIT" in request.statement)
    assert first.sent < 33_600_000  # the lie was told


# -- phpMyAdmin's and PHP's own limits, in a phpMyAdmin of their own


@contextmanager
def limited(copies: Copies, php: dict[str, str], **config: object) -> Iterator[Session]:
    with copies.lab.login_fixture("cookie", config=config, php=php) as fixture:
        yield log_in(settings_of(copies.lab, phpmyadmin_url=fixture.url))


def test_an_answer_that_php_ends_at_its_memory_limit_is_never_published(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note LONGTEXT", [(1, "short"), (2, "x" * 9_000_000)])
    with limited(copies, {"memory_limit": "24M"}, MemoryLimit="0") as session:
        run = copies.sync(table, session)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "answer_cut")
    assert copies.cache.snapshots.head() is None
    assert copies.sync(table).error is None
    assert copies.differences(table) == []


# -- the session, the disk, the table


@pytest.mark.parametrize("skip", soak_but((2,), [0, 2, 5]))
def test_a_session_that_ends_in_the_middle_is_renewed_by_one_login(
    copies: Copies, small_pages: None, proxy: FaultProxy, skip: int
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    logins: list[ScraperSettings] = []

    def log_in_again(settings: ScraperSettings) -> Session:
        logins.append(settings)
        return copies.through(proxy.url)

    proxy.replace('<form id="login_form"><input name="pma_username"></form>', skip=skip, times=1)
    chosen = copies.settings.model_copy(update={"phpmyadmin_table": table})
    assert sync(copies.cache, chosen, log_in_again).error is None
    assert len(logins) == 2
    assert copies.differences(table) == []


def test_a_disk_that_is_full_is_said_so_and_readers_keep_what_they_had(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    assert copies.sync(table).error is None
    copies.execute(f"INSERT INTO {table} SELECT 100 + seq, REPEAT(MD5(seq), 10) FROM seq_1_to_9000")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with nothing_wrong(copies, table) as runs:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            runs.append(copies.sync(table))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert runs[0].error is not None
    assert runs[0].error.code == "cache_unwritable"


@pytest.mark.parametrize(
    "change",
    [
        "CHANGE a c TEXT",
        "CHANGE id number INT",
        "DROP a",
        "CHANGE a b TEXT, CHANGE b a TEXT",  # every statement still works
        "MODIFY b VARCHAR(40)",
        "ADD c INT",
        "DROP PRIMARY KEY",
    ],
)
def test_a_shape_that_changes_between_two_pages_is_not_published(
    copies: Copies, small_pages: None, proxy: FaultProxy, change: str
) -> None:
    table = copies.table("id INT PRIMARY KEY, a TEXT, b TEXT", [(i, f"a{i}", f"b{i}") for i in range(45)])

    def alter(body: bytes) -> bytes:
        copies.execute(f"ALTER TABLE {table} {change}")
        return body

    proxy.transform(alter, matching="LIMIT", times=1)
    with nothing_wrong(copies, table) as runs:
        runs.append(copies.sync(table, copies.through(proxy.url)))
    assert runs[0].error is not None
    assert runs[0].error.code == "table_changed"


@pytest.mark.parametrize("again", soak_but((True,), [False, True]), ids=["dropped", "dropped and made anew"])
def test_a_table_that_is_dropped_between_two_pages(
    copies: Copies, small_pages: None, proxy: FaultProxy, again: bool
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", ROWS)
    copies.sync(table)
    copies.execute(f"UPDATE {table} SET note = 'new'")

    def drop(body: bytes) -> bytes:
        copies.execute(f"DROP TABLE {table}")
        if again:
            copies.table("id INT PRIMARY KEY, note TEXT", ROWS[:30], name=table)
        return body

    proxy.transform(drop, matching="LIMIT", times=1)
    head = copies.cache.snapshots.head()
    run = copies.sync(table, copies.through(proxy.url))
    if again:
        assert run.error is None
        assert copies.differences(table) == []
    else:
        assert run.error is not None
        assert run.error.code == "no_table"
        assert copies.cache.snapshots.head() == head
        assert [row["note"] for row in json_rows(copies.cache.snapshots.open())] == [note for _, note in ROWS]
