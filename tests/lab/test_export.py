"""One SELECT comes back as complete rows of text, or as an error that says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from copies import Copies
from web_server import Handler, serving

from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.errors import (
    AnswerCut,
    RequestRefused,
    ScrapeError,
    SessionLost,
    StatementBlocked,
    StatementRefused,
    Unreachable,
)
from scraper.settings import ScraperSettings


@pytest.fixture
def export(session: Session, settings: ScraperSettings) -> Iterator[Exporter]:
    with Exporter(session, settings) as export:
        yield export


def test_it_works(export: Exporter) -> None:
    rows = export.select("SELECT 1 AS c0, 'a' AS c1 UNION ALL SELECT 2, NULL", 2, 3000)
    assert rows.to_pylist() == [{"c0": "1", "c1": "a"}, {"c0": "2", "c1": None}]
    assert export.received > 0


def test_null_empty_and_the_text_null_are_three_things(export: Exporter) -> None:
    rows = export.select("SELECT NULL AS c0, '' AS c1, 'NULL' AS c2, '\\\\N' AS c3", 4, 3000)
    assert list(rows.to_pylist()[0].values()) == [None, "", "NULL", "\\N"]


def test_a_value_that_looks_like_the_mark_of_null_is_a_value(export: Exporter) -> None:
    assert export.select(f"SELECT '{export._null}' AS c0, NULL AS c1", 2, 3000).to_pylist() == [
        {"c0": export._null, "c1": None}
    ]


def test_a_result_without_rows_has_its_columns(export: Exporter) -> None:
    rows = export.select("SELECT 1 AS c0, 2 AS c1 FROM orders WHERE FALSE", 2, 3000)
    assert (len(rows), rows.column_names) == (0, ["c0", "c1"])


def test_a_long_result_comes_in_batches(export: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.client.csv_parser.BLOCK", 10_000)
    batches = list(
        export.batches(
            "SELECT seq AS c0, REPEAT(CONCAT('x', CHAR(13, 10 USING utf8mb4)), seq % 50) AS c1 FROM seq_1_to_5000", 2
        )
    )
    assert len(batches) > 5
    assert [int(n.as_py()) for batch in batches for n in batch.column(0)] == list(range(1, 5001))
    assert all(row["c1"] == "x\r\n" * (int(row["c0"]) % 50) for batch in batches for row in batch.to_pylist())


def test_a_result_larger_than_memory_allows_is_spooled(export: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.client.response.IN_MEMORY", 1000)
    assert len(export.select("SELECT seq AS c0, 'some text' AS c1 FROM seq_1_to_3000", 2, 3000)) == 3000


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 AS c0, nothing AS c1 FROM orders", "#1054"),
        ("SELECT 1 AS c0, 2 AS c1 FROM no_such_table", "#1146"),
        ("SELECT 1 AS c0, 2 AS c1 FROM mysql.user", "#1142"),
        ("SELECT 1 AS c0, , 2 AS c1", "#1064"),
    ],
)
def test_a_statement_that_the_database_refuses_is_told_in_its_words(export: Exporter, sql: str, said: str) -> None:
    with pytest.raises(StatementRefused, match=said) as caught:
        export.select(sql, 2, 3000)
    assert "<" not in caught.value.message


def test_a_result_with_other_columns_than_asked_for_is_no_answer(export: Exporter) -> None:
    with pytest.raises(ScrapeError):
        export.select("SELECT 1 AS c0, 2 AS c1, 3 AS c2", 2, 3000)
    with pytest.raises(ScrapeError):
        export.select("SELECT 1 AS c0, 2 AS other", 2, 3000)


@pytest.mark.parametrize("broken", ["cookies", "token and cookies"])
def test_a_login_that_has_ended_is_told_as_such(session: Session, settings: ScraperSettings, broken: str) -> None:
    ended = replace(session, cookies=(), token="" if "token" in broken else session.token)
    with Exporter(ended, settings) as export, pytest.raises(SessionLost):
        export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)


def test_a_phpmyadmin_that_is_down_is_unreachable(copies: Copies, export: Exporter) -> None:
    copies.lab.stop_phpmyadmin()
    try:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1") as caught:
            export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)
    finally:
        copies.lab.start_phpmyadmin()
    assert caught.value.transient
    assert len(export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)) == 1


# -- answers of servers in trouble


@contextmanager
def answers(status: int, body: bytes, length: int | None = None) -> Iterator[str]:
    """A server that gives one answer to everything; `length` is what it claims to send."""

    class Answering(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "text/csv")
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

    with serving(Answering) as url:
        yield f"{url}/index.php?route=/export"


HEAD = b'"c0","c1"\n'


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", RequestRefused),
        (403, b"<h1>Forbidden</h1>", StatementBlocked),
        (406, b"", StatementBlocked),
        (500, b"", Unreachable),
        (503, b"busy", Unreachable),
        (302, b"", SessionLost),
        (200, b"", AnswerCut),
        (200, b'"c0"', AnswerCut),
        (200, b"<html>It works!</html>", StatementBlocked),
        (503, b"<!doctype html><title>Just a moment...</title>", StatementBlocked),
        (503, b"<html><h1>503 Service Unavailable</h1></html>", Unreachable),
        (200, b'<input name="pma_username">', SessionLost),
        (200, HEAD + b'"1","a', AnswerCut),
        (200, HEAD + b'"1","a"', AnswerCut),
        (200, HEAD + b'"1","a\n', AnswerCut),
        (200, HEAD + b'"1","a""\n', AnswerCut),
        (200, HEAD + b'"1"\n', AnswerCut),
        (200, HEAD + b'"1","a"\n<br />\n<b>Fatal error</b>: Maximum execution time of 30 seconds exceeded', AnswerCut),
        (200, HEAD + b'"1","a"\n<br />\n<b>Fatal error</b>: Allowed memory size of 1 bytes exhausted', AnswerCut),
        (200, b'<div class="alert alert-danger" role="alert"><code>#2006 - gone away</code></div>', AnswerCut),
        (
            200,
            b'<div class="alert alert-danger">' + b"<p>SELECT</p>" * 900 + b"<code>#2006 - away</code></div>",
            AnswerCut,
        ),
        (200, HEAD + b'"1","a"\n<div class="alert alert-danger">#1317 - interrupted</div>', AnswerCut),
        (200, HEAD + b'"1","\xff\xfe"\n', AnswerCut),
    ],
)
def test_what_is_no_whole_answer_is_an_error(
    session: Session, settings: ScraperSettings, status: int, body: bytes, error: type[ScrapeError]
) -> None:
    with answers(status, body) as url, Exporter(replace(session, export_url=url), settings) as export:
        with pytest.raises(error) as caught:
            export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)
        assert type(caught.value) is error


def test_an_answer_shorter_than_announced_is_cut(session: Session, settings: ScraperSettings) -> None:
    with (
        answers(200, HEAD + b'"1","a"\n', length=1000) as url,
        Exporter(replace(session, export_url=url), settings) as export,
        pytest.raises(AnswerCut),
    ):
        export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)


def test_a_silent_server_is_unreachable(
    session: Session, settings: ScraperSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.client.transport.SILENT_SECONDS", 0.2)
    with (
        answers(200, HEAD, length=1000) as url,
        Exporter(replace(session, export_url=url), settings) as export,
        pytest.raises((Unreachable, AnswerCut)),
    ):
        export.select("SELECT 1 AS c0, 2 AS c1", 2, 3000)
