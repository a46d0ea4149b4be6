"""Sends requests to phpMyAdmin, for rows (through its export form), the table's structure, and the number of rows.

A response that is cut at the end of a row looks complete. Callers detect this by checksums or row counts.
"""

from __future__ import annotations

import json
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from scraper.client.bounds import CHECKSUMS, COLUMNS, DESCRIPTION, NUMBER, Bound, disk_bound, row_bound
from scraper.client.csv_parser import CsvParser, header_line, parse_csv
from scraper.client.gunzip import CompressionChoice, GunzipSink
from scraper.client.logout import log_out
from scraper.client.response import Body, RowsBody, SpooledBody, check_response, export_error, plain_text
from scraper.client.session import Session
from scraper.client.settings import ClientSettings
from scraper.client.transport import HttpTransport, Transport
from scraper.errors import (
    AnswerCut,
    AnswerInvalid,
    ScrapeError,
    SessionLost,
    StatementBlocked,
    StatementRefused,
    TooManyRequests,
)

Result = TypeVar("Result")
log = logging.getLogger(__name__)

PAUSES = (1.0, 4.0, 12.0)  # seconds before each retry
WAITS = 3  # for a server with too many requests, before each request
SHOW_COLUMNS = 64  # a SHOW statement has about ten
PLAIN_SELECT = "SELECT 1 AS c0, 0 AS c1"
_ROWS_FORM = {
    "what": "csv",
    "export_type": "table",
    "export_method": "quick",
    "quick_or_custom": "custom",
    "output_format": "sendit",
    "filename_template": "rows",
    "charset": "utf-8",
    "compression": "none",
    "single_table": "TRUE",
    "allrows": "1",
    "csv_structure_or_data": "data",
    "csv_separator": ",",
    "csv_enclosed": '"',
    "csv_escaped": '"',
    "csv_terminated": "\n",
    "csv_columns": "something",
}
_STRUCTURE_FIELDS = {
    "what": "sql",
    "sql_structure_or_data": "structure",
    "sql_create_table": "1",
    "sql_backquotes": "1",
    "sql_create_table_statements": "1",
    "sql_auto_increment": "1",
    "sql_compatibility": "NONE",
}


@dataclass(frozen=True)
class _Request:
    """An export of a statement (`sql`), an export of the table (no `sql`), or a request for the row count."""

    sql: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Form fields that differ from an export of rows."""
    counts: bool = False
    bound: Bound = DESCRIPTION


class Exporter:
    """Sends requests in one session, one at a time, with a pause between them.

    All requests pass through `_respond`, the only place that logs in again after the session has ended.

    Attributes:
        received: Size of all responses in bytes, before decompression.
        row_bound: The most bytes that a row, or a page of rows, may have.
        busy: Total duration in seconds of all requests, each up to the end of its response.

    Args:
        session: A session that a login opened.
        settings: The database and the table for phpMyAdmin's forms, and the pause between requests.
        log_in_again: Opens a new session after the old one has ended. If it is None, SessionLost is raised instead.
    """

    def __init__(
        self, session: Session, settings: ClientSettings, log_in_again: Callable[[], Session] | None = None
    ) -> None:
        self._log_in_again = log_in_again
        self._settings = settings
        self._host = urlsplit(settings.phpmyadmin_url).netloc
        self.row_bound = row_bound(settings.sync_memory_mb)
        self._null = secrets.token_hex(8)  # NULL, when unquoted; a value with the same text is quoted
        self._use(session)
        self._renewed_when_blocked = False
        self._compression = CompressionChoice()
        self._ended = -math.inf
        self.received = 0
        self.busy = 0.0

    def _use(self, session: Session) -> None:
        self._session = session
        self._transport: Transport = session.page or HttpTransport(session.request_headers(), session.ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session on the server, and closes the connections."""
        log_out(self._session, self._transport)
        self._transport.close()

    # -- requests

    def select(self, sql: str, columns: int, rows: int, alias: str = "c", bound: Bound = CHECKSUMS) -> pa.Table:
        """Runs a SELECT.

        Args:
            sql: The statement. Its columns must be named c0, c1 and so on.
            columns: Number of columns, at least two.
            rows: The most rows that it may return.
            alias: Prefix of the column names in the statement.
            bound: The most bytes that the answer may have.

        Returns:
            The rows, all values as text, in columns c0, c1 and so on.

        Raises:
            AnswerCut: The response ended too early.
            AnswerTooLarge: The response is longer than the bound.
            AnswerInvalid: There are more rows.
            SessionLost: The session ended, and the new session ended too.
            LoginRefused: The session ended, and the new login was refused.
            StatementRefused: The database refused the statement.
            StatementBlocked: A firewall refused the statement, twice.
            RequestRefused: The web server refused the request.
            Unreachable: The server does not answer, or answers with a server error.
        """
        parser = CsvParser([f"{alias}{i}" for i in range(columns)], self._null, pa.string(), rows, bound)
        body = self._respond(_Request(sql, bound=bound), lambda: RowsBody(parser))
        try:
            return parser.table()
        except ValueError as error:  # Arrow's errors too
            raise export_error(body) from error

    def batches(self, sql: str, columns: int, alias: str = "c") -> Iterator[pa.Table]:
        """Runs a SELECT whose result may be larger than memory; see `select`.

        Yields:
            The rows in batches, at least one.
        """
        return self._batches(sql, [f"{alias}{i}" for i in range(columns)], pa.string())

    def raw(self, header: Sequence[str], sql: str = "") -> Iterator[pa.Table]:
        """Exports rows with each value as bytes; see `select` for errors.

        Args:
            header: The names of the columns.
            sql: The statement. If it is empty, phpMyAdmin exports the whole table.

        Yields:
            The rows in batches, at least one, in columns c0, c1 and so on.
        """
        return self._batches(sql, header, pa.binary())

    def show(self, sql: str, first: str) -> list[dict[str, str | None]]:
        """Runs a SHOW statement; see `select` for errors.

        Args:
            sql: The statement.
            first: The name of its first column. The other columns differ between servers.

        Returns:
            The rows, each as a dictionary from column name to value.
        """
        with self._respond(_Request(sql), SpooledBody) as body:
            line = body.readline().decode("utf-8", "replace").rstrip("\n")
            if not line.startswith(f'"{first}",'):
                raise export_error(body)
            names = line[1:-1].split('","', SHOW_COLUMNS)
            try:
                rows = pa.concat_tables(parse_csv(body, len(names), self._null, pa.string(), DESCRIPTION))
            except ValueError as error:
                raise export_error(body) from error
        if len(rows) > COLUMNS:
            raise AnswerInvalid(f"The server sent more than {COLUMNS:,} rows to describe the table.")
        return rows.rename_columns(names).to_pylist()  # type: ignore[no-any-return]

    def structure(self) -> str:
        """Returns the structure of the table as SQL, exported by phpMyAdmin; see `select` for errors."""
        with self._respond(_Request(fields=_STRUCTURE_FIELDS), SpooledBody) as body:
            return body.read().decode("utf-8", "replace")

    def count(self) -> int:
        """Returns the number of rows that phpMyAdmin counts for its list of tables; see `select` for errors."""
        with self._respond(_Request(counts=True, bound=NUMBER), SpooledBody) as body:
            response = body.read()
        try:
            answer = json.loads(response)
            if "error" in answer:
                raise StatementRefused(f"phpMyAdmin cannot count the rows: {plain_text(str(answer['error']))}")
            return int(re.sub(r"\D", "", answer["real_row_count"]))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise AnswerCut(f"{self._host} did not answer with a number of rows.") from error

    def _batches(self, sql: str, header: Sequence[str], kind: pa.DataType) -> Iterator[pa.Table]:
        with self._respond(_Request(sql, bound=disk_bound()), SpooledBody) as body:
            line = header_line(header)
            if body.read(len(line)) != line:
                raise export_error(body)
            try:
                yield from parse_csv(body, len(header), self._null, kind, self.row_bound)
            except ValueError as error:  # Arrow's errors too
                raise export_error(body) from error

    # -- sending

    def retry(self, step: Callable[[], Result], before_retry: Callable[[], None] = lambda: None) -> Result:
        """Runs a step that sends requests, and runs it again after growing pauses while its error is transient.

        A lost session is not retried: `_respond` has already logged in again once.

        Args:
            step: What may fail.
            before_retry: Runs before each retry, for example to ask for fewer rows.

        Raises:
            ScrapeError: The step failed with an error that is not transient, or failed on the last retry too.
        """
        for pause in PAUSES:
            try:
                return step()
            except ScrapeError as error:
                if not error.transient or isinstance(error, SessionLost):
                    raise
                log.warning("trying again in %g s: %s", pause, error.message)
                before_retry()
                time.sleep(pause)
        return step()

    def _respond(self, request: _Request, open_body: Callable[[], Body]) -> Body:
        """Sends a request; logs in again and sends it once more if the session has ended.

        A firewall, or a control panel with its own login page, returns pages that are not from phpMyAdmin. If even
        PLAIN_SELECT is blocked, the session may have ended. One new login is tried in this case.
        """
        try:
            return self._send_twice(request, open_body)
        except SessionLost as error:
            if self._log_in_again is None:
                raise
            log.warning("logging in again: %s", error.message)
        except StatementBlocked as error:
            if self._log_in_again is None or self._renewed_when_blocked or self._passes(PLAIN_SELECT, request):
                raise
            self._renewed_when_blocked = True
            log.warning("logging in again, since no statement passes: %s", error.message)
        self._transport.close()
        self._use(self._log_in_again())
        return self._send_twice(request, open_body)

    def _passes(self, sql: str, blocked: _Request) -> bool:
        """Returns whether a statement passes; False if it is the statement that was blocked."""
        if blocked.sql == sql:
            return False
        try:
            self._send_twice(_Request(sql), SpooledBody).close()
        except (StatementBlocked, SessionLost):
            return False
        return True

    def _send_twice(self, request: _Request, open_body: Callable[[], Body]) -> Body:
        """Sends a request, and once more if it is blocked.

        The first block may be temporary, such as the page of a proxy that is starting. A firewall blocks both times.
        """
        try:
            return self._send_patiently(request, open_body)
        except StatementBlocked as error:
            log.warning("trying again in %g s: %s", PAUSES[0], error.message)
            time.sleep(PAUSES[0])
            return self._send_patiently(request, open_body)

    def _send_patiently(self, request: _Request, open_body: Callable[[], Body]) -> Body:
        """Sends a request, and again after the time that a server with too many requests asks for."""
        for _ in range(WAITS):
            try:
                return self._send(request, open_body())
            except TooManyRequests as error:
                log.warning("waiting %g s: %s", error.seconds, error.message)
                time.sleep(error.seconds)
        return self._send(request, open_body())

    def _send(self, request: _Request, body: Body) -> Body:
        try:
            decompressed = GunzipSink(request.bound.counting(body.write))
            busy_before = self.busy
            status = self._post(*self._prepared(request), decompressed)
            if status < 300:  # else the status says more than a body that ends early
                decompressed.end()
            *_, size = body.excerpt()
            self._compression.learn(size, self.busy - busy_before)
            check_response(status, body, self._host, self._session.token, request.sql)
        except BaseException:
            body.close()
            raise
        return body

    def _prepared(self, request: _Request) -> tuple[str, dict[str, str]]:
        """Returns the URL and the form fields of a request."""
        url = self._session.export_url
        form = {
            "db": self._settings.phpmyadmin_database,
            "table": self._settings.phpmyadmin_table,
            "server": self._session.server,
            "token": self._session.token,
        }
        if request.counts:
            old = "route=" not in url  # phpMyAdmin 5.0 and before
            page = "db_structure.php" if old else "index.php?route=/database/structure/real-row-count"
            return urljoin(url, page), form | {"ajax_request": "true", "real_row_count": "true"}
        form |= {**_ROWS_FORM, "csv_null": self._null, **request.fields}
        if request.sql:
            form["sql_query"] = request.sql
        if self._compression.enabled:
            form["compression"] = "gzip"
        return url, form

    def _post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        def take(chunk: bytes) -> None:
            self.received += len(chunk)
            sink(chunk)

        time.sleep(max(0.0, self._ended + self._settings.sync_pause_seconds - time.monotonic()))
        began = time.monotonic()
        try:
            return self._transport.post(url, form, take)
        finally:
            self._ended = time.monotonic()
            self.busy += self._ended - began
