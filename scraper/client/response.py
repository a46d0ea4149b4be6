"""Responses of phpMyAdmin: their bodies, and what is wrong with them.

phpMyAdmin answers with status 200 and the headers of CSV whatever happened. So the body says whether it is the export
that was requested, a login page, an error message in the middle of the rows, or the page of a firewall.
"""

from __future__ import annotations

import html
import io
import re
import tempfile
from typing import TypeVar

from scraper.client.csv_parser import CsvParser
from scraper.errors import (
    AnswerCut,
    AnswerInvalid,
    RequestTooLong,
    ScrapeError,
    SessionLost,
    StatementBlocked,
    StatementRefused,
    TooManyRequests,
    ViewBroken,
    status_error,
)

IN_MEMORY = 1 << 20  # bytes; a longer body is spooled to disk
EXCERPT = 1 << 16  # bytes at either end of a body that are searched for errors
MESSAGE = 4096  # characters of HTML in which the text of a message is looked for

_LOGIN_FORM = re.compile(rb'name="pma_username"|id="input_username"')
_TOKEN = re.compile(rb'\btoken:"([^"]+)"')  # of the session, as phpMyAdmin passes it to its scripts
_ALERT = re.compile(rb'<div class="alert alert-danger|<div class="error')
_CODE = re.compile(rb"<code>\s*(#\d+.{,%d}?)</code>" % MESSAGE, re.DOTALL)
_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body|title)\b", re.IGNORECASE)
_FIREWALL_WORDS = re.compile(
    rb"just a moment|challenge|checking your browser|captcha|blocked|firewall|forbidden|denied", re.IGNORECASE
)
_PHP_FATAL = re.compile(rb"Fatal error|Maximum execution time|Allowed memory size")
# Error numbers of MySQL that pass: shutdown, interrupted, too slow (two), gone away, lost, lock wait, too many
# connections.
_VIEW_BROKEN = re.compile(r"#(?:1356|1449|1045)\b")  # 1045: MariaDB, where the definer is gone; the login itself works
_TOO_MANY_ROWS = re.compile(r"#1104\b")
_BIG_SELECTS = "Its max_join_size is small. Ask the host to raise it, or to set SQL_BIG_SELECTS for this user."
_NO_FIREWALL = (401, 404, 407, 408, 410, 425)  # of a client's errors; firewalls answer with any other one
_INTERRUPTED = re.compile(r"#(?:1053|1317|1969|3024|2006|2013|1205|1040)\b")


class RowsBody:
    """A body whose rows are parsed as they arrive. Only its beginning and its end are kept, for error messages.

    Args:
        parser: Takes the rows; it is reset first.
    """

    def __init__(self, parser: CsvParser) -> None:
        self._parser = parser
        self._parser.reset()
        self._size = 0
        self._start = b""
        self._end = bytearray()

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._parser.feed(chunk)
        self._size += len(chunk)
        self._start += chunk[: EXCERPT - len(self._start)]
        self._end += chunk[-EXCERPT:]
        if len(self._end) > 2 * EXCERPT:  # not at each chunk, which may be one byte
            del self._end[:-EXCERPT]

    def excerpt(self) -> tuple[bytes, bytes, int]:
        """The first bytes, the last bytes, and the size."""
        return self._start, bytes(self._end[-EXCERPT:]), self._size

    def close(self) -> None:
        """Does nothing: there is no file."""


class SpooledBody(tempfile.SpooledTemporaryFile[bytes]):
    """A whole body, in memory or on disk."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY)

    def excerpt(self) -> tuple[bytes, bytes, int]:
        """The first bytes, the last bytes, and the size. The next read starts at the beginning."""
        size = self.seek(0, io.SEEK_END)
        self.seek(max(0, size - EXCERPT))
        end = self.read()
        self.seek(0)
        start = self.read(EXCERPT)
        self.seek(0)
        return start, end, size


Body = TypeVar("Body", RowsBody, SpooledBody)


def check_response(status: int, body: RowsBody | SpooledBody, host: str, token: str, sql: str) -> None:
    """Checks that a response comes from a phpMyAdmin that is logged in.

    Args:
        status: The HTTP status.
        body: The whole body.
        host: For messages.
        token: Of the session.
        sql: The statement that was sent; empty where there was none.

    Raises:
        SessionLost: The body is a login page, the redirect to one, or a page of another session.
        StatementBlocked: A firewall refused the statement.
        RequestRefused: The web server wants a password.
        NotPhpMyAdmin: phpMyAdmin has gone from its address.
        Unreachable: The server answered with a server error.
        RequestTooLong: The web server takes no request of that length.
        TooManyRequests: The server asks for fewer requests.
    """
    start, *_ = body.excerpt()
    if status in (301, 302, 303, 307, 308):
        raise SessionLost(f"The phpMyAdmin session ended: {host} answered {status}, a redirect, to a request.")
    if _is_of_no_session(start, token):
        raise SessionLost("The phpMyAdmin session ended.")
    if status == 413:
        raise RequestTooLong(f"{host} answered 413: it takes no request of {len(sql):,} characters.")
    if status == 429:
        raise TooManyRequests(host)
    is_own = bool(_ALERT.search(start))
    if status in (403, 406) or (400 <= status < 500 and status not in _NO_FIREWALL and not is_own):
        raise StatementBlocked(f"{host} answered {status} to a request.", sql)
    if is_own:
        return
    if _HTML.match(start) and (status == 200 or (status != 404 and _FIREWALL_WORDS.search(start))):
        raise StatementBlocked(f"{host} answered {status} with a page that is not phpMyAdmin's.", sql)
    if status >= 300:
        raise status_error(status, f"{host} answered {status} to a request.")


def _is_of_no_session(start: bytes, token: str) -> bool:
    """Whether a body is phpMyAdmin's login page, a page of another session, or what a script gets in their place.

    A phpMyAdmin that asks for no login begins another session. Rows, which start with a quote, may contain the same
    words.
    """
    if start.startswith(b"{"):
        return b'"redirect_flag"' in start or b'"reload_flag"' in start
    if not start.lstrip().startswith(b"<"):
        return False
    other = _TOKEN.search(start)
    return bool(_LOGIN_FORM.search(start)) or (other is not None and other[1].decode("latin-1") != token)


def export_error(body: RowsBody | SpooledBody) -> ScrapeError:
    """The error for a body that is not the CSV that was requested."""
    start, end, size = body.excerpt()
    text = start + end
    if _PHP_FATAL.search(text):
        return AnswerCut("PHP ended an export with a fatal error (time or memory).")
    if match := _ALERT.search(text):
        message = _database_message(text[match.start() :])
        if _VIEW_BROKEN.search(message):
            return ViewBroken(f"The view is broken: {message}")
        if _TOO_MANY_ROWS.search(message):
            return AnswerCut(f"The database refused a statement over so many rows: {message}", _BIG_SELECTS)
        if _INTERRUPTED.search(message):
            return AnswerCut(f"The database ended a statement: {message}")
        return StatementRefused(f"The database refused a statement: {message}")
    return AnswerCut(f"An export ended in the middle of a row, or is not CSV ({size} bytes).")


def _database_message(alert: bytes) -> str:
    """The server's own message in an HTML alert, without the statement."""
    code = _CODE.search(alert)  # after the statement, which may be long
    return plain_text((code[1] if code else alert[:MESSAGE]).decode("utf-8", "replace"))


def integer(text: str | None) -> int:
    """Returns the number that a cell of an answer holds.

    Raises:
        AnswerInvalid: It holds something else.
    """
    try:
        return int(text or "")
    except ValueError as error:  # also a number of thousands of digits
        raise AnswerInvalid(f"The server sent {(text or 'NULL')[:40]!r} in place of a number.") from error


def plain_text(markup: str) -> str:
    """The text of HTML in one line, at most 300 characters."""
    return " ".join(html.unescape(re.sub(r"<[^<>]+>", " ", markup[:MESSAGE])).split())[:300]
