"""Where a firewall refuses statements, the sync names what was refused, goes round it, and says what is unproven."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from copies import EVERY_TYPE, EVERY_TYPE_ROWS, Copies
from long_cases import every_second, soak_but

from cache.storage.records import Publication
from cache.storage.source import StatementDialect
from lab import FaultProxy, LoginFixture
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.errors import StatementBlocked
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync
from scraper.table.describe import read_table

COUNTED = ["CONV("]  # refused, no checksum gets through
NO_SQL = ["SELECT", "SHOW"]  # refused, no statement does


@contextmanager
def behind(copies: Copies, refuse: Sequence[str], **options: Any) -> Iterator[Session]:
    """A login through a firewall that refuses forms with one of these texts."""
    with copies.lab.login_fixture("firewall", refuse=refuse, **options) as fixture:
        yield logged_in(fixture, copies.session)


def logged_in(fixture: LoginFixture, like: Session) -> Session:
    settings = fixture.settings()
    with httpx2.Client(base_url=fixture.url, trust_env=False, follow_redirects=True, timeout=60) as http:
        form = http.get("index.php").text.partition('id="login_form"')[2].partition("</form>")[0]
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        page = http.post(
            "index.php?route=/",
            data={
                **{name: html.unescape(value) for name, value in fields.items()},
                "pma_username": settings["PHPMYADMIN_USERNAME"],
                "pma_password": settings["PHPMYADMIN_PASSWORD"],
            },
        ).text
        token = re.findall(r'token:"([^"]+)"', page)[0]
        cookies = tuple((str(cookie.name), str(cookie.value)) for cookie in http.cookies.jar)
    return replace(like, export_url=f"{fixture.url}index.php?route=/export", cookies=cookies, token=token)


def dialect_of(copies: Copies) -> StatementDialect:
    return copies.cache.snapshots.open().manifest.source.dialect


@pytest.mark.parametrize(
    ("refuse", "options", "expected"),
    [
        pytest.param(["information_schema"], {}, {"shape": "SHOW"}, marks=pytest.mark.soak),
        (["_utf8mb4 X'", "SHOW "], {"status": 406}, {"shape": "export"}),
        pytest.param(["CONCAT_WS("], {"status": 406}, {"joiner": "CONCAT"}, marks=pytest.mark.soak),
        (["INTERVAL("], {}, {"grouped": False}),
        (["FROM (SELECT"], {"status": 200}, {"grouped": False}),
        pytest.param(["MD5("], {"status": 503}, {"digest": "SHA1"}, marks=pytest.mark.soak),
        (
            ["information_schema", "CONCAT_WS(", "WITH ROLLUP", "MD5("],
            {},
            {"shape": "SHOW", "joiner": "CONCAT", "grouped": False, "digest": "SHA1"},
        ),
    ],
)
def test_a_refused_form_gives_way_to_another_that_proves_as_much(
    copies: Copies, small_pages: None, refuse: list[str], options: dict[str, Any], expected: dict[str, object]
) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT, price DECIMAL(9,2)", [(n, f"n{n}", n) for n in range(60)])
    with behind(copies, refuse, **options) as session:
        first = copies.sync(table, session)
        copies.execute(f"UPDATE {table} SET note = 'other' WHERE id IN (3, 50)")
        second = copies.sync(table, session)

    assert [run.outcome for run in (first, second)] == ["published", "published"], (first.error, second.error)
    assert second.changes is not None and (second.changes.updated, second.changes.total) == (2, 2)
    assert copies.differences(table) == []
    head = copies.cache.snapshots.head()
    assert head is not None and head.verified
    found = dialect_of(copies).model_dump(exclude={"refused", "since"})
    assert found == {**StatementDialect().model_dump(exclude={"refused", "since"}), **expected}


@pytest.mark.parametrize("matching", soak_but(("CONV(",), ["information_schema", "CONV(", "utf8mb4) AS c1"]))
@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "id INT"], ids=["key", "no key"])
def test_a_page_that_is_sent_once_in_place_of_rows_is_no_firewall(copies: Copies, key: str, matching: str) -> None:
    table = copies.table(f"{key}, note TEXT", [(1, "a")])
    with FaultProxy(copies.session.export_url) as proxy:
        proxy.replace("<html><title>Just a moment...</title>", matching=matching, times=1)
        run = copies.sync(table, copies.through(proxy.url))

    assert run.outcome == "published", run.error
    assert dialect_of(copies) == StatementDialect()
    assert copies.differences(table) == []


def test_the_construct_that_was_refused_is_named(copies: Copies, caplog: pytest.LogCaptureFixture) -> None:
    with behind(copies, ["CONCAT_WS("]) as session:
        copies.sync(copies.table("id INT PRIMARY KEY, note TEXT", [(1, "a")]), session)

    assert dialect_of(copies).refused == ("CONCAT_WS",)
    assert "refused=CONCAT_WS ->" in caplog.text


def test_a_statement_of_which_no_part_is_refused_alone_gives_way_too(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(n, "a") for n in range(250)])
    with behind(copies, ["INTERVAL(t."]) as session:
        run = copies.sync(table, session)

    assert run.outcome == "published"
    assert (dialect_of(copies).grouped, dialect_of(copies).refused) == (False, ("grouped checksums",))
    assert copies.differences(table) == []


@pytest.mark.parametrize(
    ("refuse", "rows"), every_second([(COUNTED, "paged"), (["HEX("], "exported"), (NO_SQL, "exported")])
)
def test_a_copy_that_no_checksum_proves_is_counted_and_says_so(
    copies: Copies, small_pages: None, refuse: list[str], rows: str
) -> None:
    table = copies.table(EVERY_TYPE, EVERY_TYPE_ROWS)
    with behind(copies, refuse) as session:
        run = copies.sync(table, session)

    assert (run.outcome, run.rows) == ("unverified", 3), run.error
    assert run.error is not None and run.error.code == "unproven" and refuse[0].rstrip("(") in run.error.message
    head = copies.cache.snapshots.head()
    assert head is not None and (head.verified, head.verified_at, head.reason) == (False, None, run.error.message)
    assert dialect_of(copies).rows == rows
    assert copies.differences(table) == []


KEYED = {
    "MyISAM": ("id INT PRIMARY KEY, note TEXT", "ENGINE=MyISAM"),
    "composite": ("id INT, line INT, note TEXT, PRIMARY KEY (id, line)", ""),
    "text": ("name VARCHAR(20) PRIMARY KEY, note TEXT", ""),
    "none": ("id INT, note TEXT", ""),
}
PAGED = ("composite", "text")  # in `make test`, where the other tables are exported whole


@pytest.mark.parametrize(
    ("key", "refuse"),
    [
        pytest.param(key, refuse, marks=() if (refuse is COUNTED) == (key in PAGED) else pytest.mark.soak)
        for key in KEYED
        for refuse in (COUNTED, NO_SQL)
    ],
)
def test_tables_of_every_key_are_copied_by_counting(
    copies: Copies, small_pages: None, refuse: list[str], key: str
) -> None:
    definition, suffix = KEYED[key]
    wide = definition.count("INT") == 2
    rows = [(n // 25 if wide else n, n, f'{{"n": {n}}}')[:: 1 if wide else 2] for n in (*range(60, 75), *range(60))]
    table = copies.table(definition, rows, suffix=suffix)
    with behind(copies, refuse) as session:
        first, second = copies.sync(table, session), copies.sync(table, session)

    assert (first.outcome, first.rows, second.outcome) == ("unverified", 75, "unverified"), first.error
    assert first.generation == second.generation
    assert copies.differences(table) == []


def test_an_unverified_copy_is_verified_once_the_firewall_is_gone(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(n, "a") for n in range(250)])
    copies.sync(table)
    verified = copies.cache.snapshots.head()
    copies.execute(f"DELETE FROM {table} WHERE id = 7")
    with behind(copies, NO_SQL) as session:
        counted = copies.sync(table, session)
    head = copies.cache.snapshots.head()
    assert verified and head and (head.verified, head.verified_at) == (False, verified.verified_at)
    assert counted.changes is not None and (counted.changes.deleted, counted.changes.total) == (1, 1)

    forget(copies)
    proven = copies.sync(table)

    assert (proven.outcome, proven.exported_ranges) == ("published", 0)
    assert copies.cache.snapshots.open().manifest.source.dialect == StatementDialect()
    assert copies.differences(table) == []


def forget(copies: Copies) -> None:
    """As if the firewall had been met more than a day ago."""
    snapshot = copies.cache.snapshots.open()
    dialect = dialect_of(copies)
    assert dialect.since is not None
    old = dialect.model_copy(update={"since": dialect.since - timedelta(days=2)})
    number = snapshot.generation + 1
    manifest = snapshot.manifest.model_copy(
        update={
            "generation": number,
            "parent": snapshot.generation,
            "source": snapshot.manifest.source.model_copy(update={"dialect": old}),
        }
    )
    copies.cache.snapshots.publish(Publication(manifest, snapshot.head.model_copy(update={"generation": number})))


def test_what_was_refused_is_not_sent_again_for_a_day(copies: Copies, caplog: pytest.LogCaptureFixture) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "a")])
    with behind(copies, ["information_schema"]) as session:
        copies.sync(table, session)
        caplog.clear()
        again = copies.sync(table, session)
        assert (again.outcome, "refused=" in caplog.text) == ("unchanged", False)

        forget(copies)
        copies.sync(table, session)
        assert "refused=information_schema" in caplog.text


def test_a_firewall_that_blocks_all_is_an_error_and_the_last_copy_stays(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "a")])
    before = copies.sync(table)
    with behind(copies, ["shop"]) as session:
        run = copies.sync(table, session)

    assert run.outcome == "failed" and run.error is not None and run.error.code == "request_refused"
    head = copies.cache.snapshots.head()
    assert head is not None and (head.generation, head.verified) == (before.generation, True)


@pytest.mark.parametrize(
    ("refuse", "matching", "cut"),
    [
        (NO_SQL, "what=csv", {"rows": 40}),
        pytest.param(NO_SQL, "what=csv", {"size": 700}, marks=pytest.mark.soak),
        (NO_SQL, "what=sql", {"size": 200}),
        (COUNTED, "LIMIT", {"rows": 3}),
        (["information_schema"], "SHOW FULL COLUMNS", {"rows": 1}),
        pytest.param(["information_schema"], "SHOW INDEX", {"rows": 1}, marks=pytest.mark.soak),
        (["WITH ROLLUP"], "CONV(", {"rows": 0}),
    ],
)
def test_an_answer_that_is_cut_is_asked_for_again_in_every_form(
    copies: Copies, small_pages: None, refuse: list[str], matching: str, cut: dict[str, int]
) -> None:
    table = copies.table("id INT, line INT, note TEXT, PRIMARY KEY (id, line)", [(n, 1, "a") for n in range(60)])
    with behind(copies, refuse) as session, FaultProxy(session.export_url) as proxy:
        copies.sync(table, session)
        copies.execute(f"UPDATE {table} SET note = 'b' WHERE id > 30")
        proxy.cut(matching=matching, times=1, **cut)
        run = copies.sync(table, replace(session, export_url=proxy.url))

        forms = [" ".join(f"{name}={value}" for name, value in each.form.items()) for each in proxy.requests]
        assert sum(matching in form for form in forms) > 1
        assert run.outcome in ("published", "unverified"), run.error
        assert copies.differences(table) == []


def test_a_copy_of_which_the_count_is_always_wrong_is_not_published(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(n, "a") for n in range(60)])
    with behind(copies, NO_SQL) as session, FaultProxy(session.export_url) as proxy:
        first = copies.sync(table, session)
        proxy.cut(rows=40, matching="what=csv")
        run = copies.sync(table, replace(session, export_url=proxy.url))

    assert run.outcome == "failed" and run.error is not None and run.error.code == "answer_cut"
    head = copies.cache.snapshots.head()
    assert head is not None and head.generation == first.generation


@pytest.mark.parametrize("refuse", [COUNTED, pytest.param(NO_SQL, marks=pytest.mark.soak)])
def test_the_orders_are_copied_by_counting(copies: Copies, refuse: list[str]) -> None:
    with behind(copies, refuse) as session:
        assert copies.sync(session=session).outcome == "unverified"
    assert copies.differences() == []


def test_a_login_page_of_something_in_front_is_logged_in_at_again(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "a")])
    with behind(copies, ["shop"], status=200) as ended:
        logins = iter([ended, copies.session])
        run = sync(copies.cache, copies.settings.model_copy(update={"phpmyadmin_table": table}), lambda _: next(logins))

    assert run.outcome == "published", run.error
    assert dialect_of(copies) == StatementDialect()


def test_a_generated_column_missing_from_a_plain_export_is_an_error(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, twice INT AS (id * 2) STORED")
    with behind(copies, NO_SQL) as session:
        run = copies.sync(table, session)

    assert run.outcome == "failed" and run.error is not None and "column twice" in run.error.message


@pytest.mark.parametrize("shape", soak_but(("SHOW",), ["SHOW", "export"]))
def test_every_way_to_read_the_shape_finds_the_same(copies: Copies, shape: str) -> None:
    odd = (
        "`a``b` INT NOT NULL, `select` VARCHAR(9) NOT NULL DEFAULT '), x', `пол` TEXT, UNIQUE KEY k (`select`, `a``b`)"
    )
    for definition in (EVERY_TYPE, odd, "a INT, KEY (a)", "a INT PRIMARY KEY, b INT NOT NULL, UNIQUE (b)"):
        name = copies.table(definition)
        settings = copies.settings.model_copy(update={"phpmyadmin_table": name})
        with Exporter(copies.session, settings) as export:
            usual = read_table(export, "shop", name, StatementDialect())
            found = read_table(export, "shop", name, StatementDialect.model_validate({"shape": shape}))
        assert found.columns == usual.columns


def test_the_answer_of_a_firewall_holds_the_statement(
    session: Session, settings: ScraperSettings, copies: Copies
) -> None:
    with behind(copies, ["LENGTH("]) as blocked, Exporter(blocked, settings) as export:
        with pytest.raises(StatementBlocked, match="answered 403") as caught:
            export.select("SELECT LENGTH('a') AS c0, 0 AS c1", 2, 3000)
        assert caught.value.sql == "SELECT LENGTH('a') AS c0, 0 AS c1"
