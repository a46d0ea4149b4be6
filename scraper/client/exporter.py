"""One SELECT through phpMyAdmin's export form -> complete rows as text, or an error that says why.

phpMyAdmin says 200 and sends CSV headers whatever happened, so the body itself is judged here: its header line must be
the one that was asked for, its rows must parse, and errors that PHP or phpMyAdmin wrote into it are found. An answer
that ends early on a row boundary looks whole; only `checksums` and its callers, which know what to expect, can
tell.
"""

from __future__ import annotations

import html
import io
import json
import logging
import math
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from scraper.client import retry
from scraper.client.csv_parser import CsvParser, header_line, parse_csv
from scraper.client.gunzip import CompressionChoice, GunzipSink
from scraper.client.session import Session
from scraper.client.settings import ClientSettings
from scraper.client.transport import HttpTransport, Transport
from scraper.errors import (
    AnswerCut,
    RequestRefused,
    SessionLost,
    StatementBlocked,
    StatementRefused,
    Unreachable,
)  # fmt: skip

IN_MEMORY = 1 << 20  # a longer answer is spooled to disk
TELLING = 1 << 16  # bytes at either end of an answer that tell what is wrong with it

log = logging.getLogger(__name__)

_ALERT = re.compile(rb'<div class="alert alert-danger|<div class="error')
_LOGIN = re.compile(rb'name="pma_username"|id="input_username"')
# MySQL's errors that pass: shutdown, interrupted, too slow (two), gone away, lost, lock wait, too many connections.
_INTERRUPTED = re.compile(r"#(?:1053|1317|1969|3024|2006|2013|1205|1040)\b")
# A page of something in front, as it answers in phpMyAdmin's place.
_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|body|title)\b", re.IGNORECASE)
_CHALLENGE = re.compile(rb"just a moment|challenge|checking your browser|captcha|blocked|firewall|forbidden|denied",
                        re.IGNORECASE)  # fmt: skip
_CUT_BY_PHP = re.compile(rb"Fatal error|Maximum execution time|Allowed memory size")


class _Ends:
    """Of an answer whose rows are parsed as they arrive: how it begins and ends, which tells what went wrong."""

    def __init__(self, rows: CsvParser) -> None:
        self._rows = rows
        self._rows.reset()
        self._size = 0
        self._start = self._end = b""

    def write(self, piece: bytes) -> None:
        self._rows.feed(piece)
        self._size += len(piece)
        self._start += piece[: TELLING - len(self._start)]
        self._end = (self._end + piece[-TELLING:])[-TELLING:]

    def ends(self) -> tuple[bytes, bytes, int]:
        """Its first and last bytes, and its size."""
        return self._start, self._end, self._size

    def close(self) -> None: ...


class _Whole(tempfile.SpooledTemporaryFile[bytes]):
    """An answer as it came."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY)

    def ends(self) -> tuple[bytes, bytes, int]:
        """Its first and last bytes, and its size; what is read next is the beginning."""
        size = self.seek(0, io.SEEK_END)
        self.seek(max(0, size - TELLING))
        end = self.read()
        self.seek(0)
        start = self.read(TELLING)
        self.seek(0)
        return start, end, size


Body = TypeVar("Body", _Ends, _Whole)


class Exporter:
    """Runs SELECTs with a session, one at a time, with a rest between them. `received` counts bytes, as they are sent;
    `busy` counts seconds from the questions to the ends of their answers.

    Parameters: `session` from a login; `settings` name the database and the table (phpMyAdmin wants them in the form);
    `log_in_again` gives a new session where one ends in the middle of a sync.
    """

    def __init__(
        self, session: Session, settings: ClientSettings, log_in_again: Callable[[], Session] | None = None
    ) -> None:
        self._log_in_again = log_in_again
        self._settings = settings
        self._open(session)
        self._compression = CompressionChoice()
        self._ended = -math.inf
        self.received = 0
        self.busy = 0.0

    def _open(self, session: Session) -> None:
        settings = self._settings
        self._null = secrets.token_hex(8)  # unquoted; a value of the same text would come quoted
        self._host = urlsplit(settings.phpmyadmin_url).netloc
        self._form = {
            "what": "csv", "export_type": "table", "export_method": "quick", "quick_or_custom": "custom",
            "output_format": "sendit", "filename_template": "rows", "charset": "utf-8", "compression": "none",
            "db": settings.phpmyadmin_database, "table": settings.phpmyadmin_table, "single_table": "TRUE",
            "allrows": "1", "csv_structure_or_data": "data", "csv_separator": ",", "csv_enclosed": '"',
            "csv_escaped": '"', "csv_terminated": "\n", "csv_null": self._null, "csv_columns": "something",
            "server": session.server, "token": session.token,
        }  # fmt: skip
        self._url = session.export_url
        self._transport: Transport = session.page or HttpTransport(session.request_headers(), session.ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def select(self, sql: str, columns: int, alias: str = "c") -> pa.Table:
        """The rows of a SELECT, all as text, in columns c0 to c{columns-1}; at least two.

        Parameters: `alias` begins the names that the result's columns have in the statement, a number follows.
        Raises AnswerCut, SessionLost, StatementRefused, StatementBlocked, RequestRefused, Unreachable.
        """
        header = [f"{alias}{i}" for i in range(columns)]
        try:
            return self._selected(sql, header)
        except SessionLost:
            if not self.renew():
                raise
            return self._selected(sql, header)

    def _selected(self, sql: str, header: Sequence[str]) -> pa.Table:
        rows = CsvParser(header, self._null, pa.string())
        ends = self._answer(sql, lambda: _Ends(rows))
        try:
            return rows.table()
        except ValueError as error:  # of Arrow, too
            raise self._fault(ends) from error

    def batches(self, sql: str, columns: int, alias: str = "c") -> Iterator[pa.Table]:
        """The same rows piece by piece (one at least), for an answer that is too long to be held whole."""
        return self._batches(sql, [f"{alias}{i}" for i in range(columns)], pa.string())

    def raw(self, header: Sequence[str], sql: str = "") -> Iterator[pa.Table]:
        """Rows whose columns have the names in `header`, each value as its bytes, in columns c0, c1 and so on.

        Without `sql` phpMyAdmin exports the whole table in its own way: no statement is sent.
        """
        return self._batches(sql, header, pa.binary())

    def show(self, sql: str, first: str) -> list[dict[str, str | None]]:
        """The rows of a small result by the names of its columns, which differ between servers but for the `first`."""
        with self._answer(sql, _Whole) as body:
            line = body.readline().decode("utf-8", "replace").rstrip("\n")
            if not line.startswith(f'"{first}",'):
                raise self._fault(body)
            names = line[1:-1].split('","')
            try:
                found = pa.concat_tables(parse_csv(body, len(names), self._null, pa.string())).rename_columns(names)
            except ValueError as error:
                raise self._fault(body) from error
        return found.to_pylist()  # type: ignore[no-any-return]

    def structure(self) -> str:
        """phpMyAdmin's own export of the table's structure, as SQL; no statement is sent."""
        form = {"what": "sql", "sql_structure_or_data": "structure", "sql_create_table": "1", "sql_backquotes": "1",
                "sql_create_table_statements": "1", "sql_auto_increment": "1", "sql_compatibility": "NONE"}  # fmt: skip
        with self._answer("", _Whole, **form) as body:
            return body.read().decode("utf-8", "replace")

    def count(self) -> int:
        """Number of rows, as phpMyAdmin counts them for its list of tables; no statement is sent."""
        old = "route=" not in self._url
        page = "db_structure.php" if old else "index.php?route=/database/structure/real-row-count"
        wanted = ("db", "table", "server", "token")
        form = {**{name: self._form[name] for name in wanted}, "ajax_request": "true", "real_row_count": "true"}
        answer = bytearray()
        self._post(urljoin(self._url, page), form, answer.extend)
        try:
            return int(re.sub(r"\D", "", json.loads(answer)["real_row_count"]))
        except (ValueError, LookupError, TypeError) as error:
            raise StatementBlocked(f"{self._host} does not let phpMyAdmin count the rows.", "") from error

    def renew(self) -> bool:
        """Logs in again in place of a session that has ended, or may have; False where there is no way to."""
        if self._log_in_again is None:
            return False
        self._transport.close()
        self._open(self._log_in_again())
        return True

    def _batches(self, sql: str, header: Sequence[str], kind: pa.DataType) -> Iterator[pa.Table]:
        given = False
        try:
            with self._answer(sql, _Whole) as body:
                for rows in self._rows(body, header, kind):
                    given = True
                    yield rows
        except SessionLost:
            if given or not self.renew():
                raise
            with self._answer(sql, _Whole) as body:
                yield from self._rows(body, header, kind)

    def _answer(self, sql: str, keep: Callable[[], Body], **form: str) -> Body:
        """What is kept of an answer. What is refused once may pass: a proxy sends a page of its own while it starts,
        say. What is refused twice is a firewall's business.

        Parameters: `keep` makes what takes the body; `form` holds the fields that differ from those of rows.
        """
        try:
            return self._asked(sql, keep(), form)
        except StatementBlocked as error:
            log.warning("trying again in %g s: %s", retry.PAUSES[0], error.message)
            time.sleep(retry.PAUSES[0])
            return self._asked(sql, keep(), form)

    def _asked(self, sql: str, body: Body, form: dict[str, str]) -> Body:
        try:
            sent = {**self._form, **form, **({"sql_query": sql} if sql else {})}
            self._judge(self._receive(sent, body), body, sql)
        except BaseException:
            body.close()
            raise
        return body

    def _receive(self, form: dict[str, str], body: _Ends | _Whole) -> int:
        """The status of the answer."""
        unpacked = GunzipSink(body.write)
        before = self.busy
        packing = {"compression": "gzip"} if self._compression.enabled else {}
        status = self._post(self._url, {**form, **packing}, unpacked)
        unpacked.end()
        *_, size = body.ends()
        self._compression.learn(size, self.busy - before)
        return status

    def _post(self, url: str, form: dict[str, str], sink: Callable[[bytes], Any]) -> int:
        def take(piece: bytes) -> None:
            self.received += len(piece)
            sink(piece)

        time.sleep(max(0.0, self._ended + self._settings.sync_pause_seconds - time.monotonic()))
        began = time.monotonic()
        try:
            return self._transport.post(url, form, take)
        finally:
            self._ended = time.monotonic()
            self.busy += self._ended - began

    def _judge(self, status: int, body: _Ends | _Whole, sql: str) -> None:
        if status == 401:
            raise RequestRefused(f"{self._host} answered {status} to a statement.")
        start, *_ = body.ends()
        foreign = bool(_PAGE.match(start)) and not (_LOGIN.search(start) or _ALERT.search(start))
        if status in (403, 406) or (foreign and (status == 200 or _CHALLENGE.search(start))):
            said = f"{status}" if status in (403, 406) else f"{status} and a page of its own"
            raise StatementBlocked(f"{self._host} answered {said} to a statement.", sql)
        if status >= 500:
            raise Unreachable(f"{self._host} answered {status} to a statement.")
        if status in (301, 302, 303, 307, 308):
            raise SessionLost("phpMyAdmin sent the export back to its login page.")

    def _rows(self, body: _Whole, header: Sequence[str], kind: pa.DataType) -> Iterator[pa.Table]:
        line = header_line(header)
        if body.read(len(line)) != line:
            raise self._fault(body)
        try:
            yield from parse_csv(body, len(header), self._null, kind)
        except ValueError as error:  # of Arrow, too
            raise self._fault(body) from error

    def _fault(self, body: _Ends | _Whole) -> Exception:
        """Why a body is not the CSV that was asked for."""
        start, end, size = body.ends()
        text = start + end
        if _LOGIN.search(text):
            return SessionLost("phpMyAdmin asks to log in again in the middle of a sync.")
        if _CUT_BY_PHP.search(text):
            return AnswerCut("PHP ended an export with a fatal error (time or memory).")
        if _ALERT.search(text):
            said = _said(text)
            if _INTERRUPTED.search(said):
                return AnswerCut(f"The database ended a statement: {said}")
            return StatementRefused(f"The database refused a statement: {said}")
        return AnswerCut(f"An export ended in the middle of a row, or is no CSV ({size} bytes).")


def _said(page: bytes) -> str:
    """What the server said in an HTML alert: its own message, without the statement."""
    text = page[_ALERT.search(page).start() :].decode("utf-8", "replace")  # type: ignore[union-attr]
    said = re.search(r"<code>\s*(#\d+.*?)</code>", text, re.S)
    plain = html.unescape(re.sub(r"<[^>]+>", " ", said.group(1) if said else text))
    return " ".join(plain.split())[:300]
