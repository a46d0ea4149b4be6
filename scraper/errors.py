"""Errors of the scraper. Each login step has errors of its own, in its file in scraper/login/steps.

The tree goes on from cache/errors.py:

ScrapeError
|- Unreachable
|- TooManyRequests
|- RequestTooLong
|- NotPhpMyAdmin
|  `- BrowserNeeded
|- LoginRefused
|- CertificateRefused
|- SessionLost
|- BrowserFailed
|- RequestRefused
|  `- StatementBlocked
|- Unproven
|- FileRefused
|- StatementRefused
|  `- ViewBroken
|- NoTable
|- AnswerCut
|- AnswerTooLarge
|- AnswerInvalid
|- SyncMemoryExceeded
|- Unconfirmed
|- StillMoving
|- HeldBack
|- TableChanged
|- SyncInterrupted
`- SyncTimedOut
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cache.errors import OrdersError

DEFAULT_WAIT, LONGEST_WAIT = 5.0, 120.0  # seconds that a server may ask to wait, before the next request


class ScrapeError(OrdersError):
    """A sync failed on the way from phpMyAdmin to the cache.

    The next scheduled sync comes after a pause, unless the error stops the schedule. `transient` tells whether the same
    request may be repeated at once.
    """

    code = "scrape_error"


class Unreachable(ScrapeError):
    """phpMyAdmin does not answer, or answers with a server error."""

    code = "unreachable"
    advice = "Open PHPMYADMIN_URL in a browser on this machine; check the address, the network and the web server."
    transient = True


class TooManyRequests(ScrapeError):
    """The server asks for fewer requests.

    Args:
        host: The server.
        retry_after: Its header `Retry-After`: seconds, or a date.
    """

    code = "too_many_requests"
    advice = "Raise SYNC_PAUSE_SECONDS, so that requests come more slowly, or ask the host to allow more of them."
    transient = True

    def __init__(self, host: str, retry_after: str | None = None) -> None:
        self.seconds = min(_seconds(retry_after or ""), LONGEST_WAIT)
        super().__init__(f"{host} answered 429: too many requests. It asks to wait {self.seconds:.0f} s.")


def _seconds(retry_after: str) -> float:
    """Seconds that a header `Retry-After` asks for."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    return DEFAULT_WAIT


class RequestTooLong(ScrapeError):
    """The web server in front of phpMyAdmin takes no request of that length."""

    code = "request_too_long"
    advice = "Ask the host to raise client_max_body_size (nginx) or LimitRequestBody (Apache) to 1 MB."
    transient = True


class NotPhpMyAdmin(ScrapeError):
    """The address shows no phpMyAdmin login."""

    code = "not_phpmyadmin"
    advice = "Set PHPMYADMIN_URL to the page on which a browser shows phpMyAdmin's login form."


class BrowserNeeded(NotPhpMyAdmin):
    """A page before phpMyAdmin redirects by JavaScript, and the login goes over plain HTTP."""

    code = "browser_needed"
    advice = "Install Chrome or Chromium and its driver, and set PHPMYADMIN_LOGIN to `browser` or `auto`."


class LoginRefused(ScrapeError):
    """phpMyAdmin, its web server or its control panel refused the user name or password.

    Further attempts with the same password could lock the account.
    """

    code = "login_refused"
    advice = (
        "Correct PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD and restart, or press refresh. "
        "Scheduled syncs are paused until then, so that the account does not get locked."
    )
    stops_schedule = True


class CertificateRefused(ScrapeError):
    """The TLS certificate of phpMyAdmin's server is not trusted."""

    code = "certificate_refused"
    advice = "Set PHPMYADMIN_CA_FILE to the certificate of the private CA, or renew the server's certificate."


class SessionLost(ScrapeError):
    """phpMyAdmin's session ended, and the one after it too."""

    code = "session_lost"
    advice = "The next sync logs in again. If this repeats, raise LoginCookieValidity in phpMyAdmin's configuration."
    transient = True


class BrowserFailed(ScrapeError):
    """Chrome or its driver did not start, hung or crashed."""

    code = "browser_failed"
    advice = (
        "Check that Chrome and its driver have the same version and enough free memory. With PHPMYADMIN_LOGIN=http, "
        "Chrome is not needed."
    )
    transient = True


class RequestRefused(ScrapeError):
    """Something in front of phpMyAdmin refused a request."""

    code = "request_refused"
    advice = "A firewall or a password of the web server protects phpMyAdmin. Ask the host to let these requests pass."


class StatementBlocked(RequestRefused):
    """A firewall in front of phpMyAdmin refused a statement.

    Args:
        message: What was answered.
        sql: The statement; empty for a request of phpMyAdmin's own that contains none.
    """

    def __init__(self, message: str, sql: str) -> None:
        super().__init__(message)
        self.sql = sql


def status_error(status: int, message: str) -> ScrapeError:
    """The error for an HTTP status with which phpMyAdmin sends none of its pages.

    Args:
        status: The status, from 300 on. The page itself says nothing that is known.
        message: What was requested, and the status.
    """
    if status == 407:
        return Unreachable(message, "A proxy asks for a login of its own: write it in HTTP_PROXY, or set NO_PROXY.")
    if status in (408, 425) or status >= 500:
        return Unreachable(message)
    if status == 413:
        return RequestTooLong(message)
    return RequestRefused(message) if status >= 400 and status not in (404, 410) else NotPhpMyAdmin(message)


class Unproven(ScrapeError):
    """A firewall refuses the checksums, so the rows were only counted."""

    code = "unproven"
    advice = "The newest rows are shown, marked as not verified. Ask the host to let these SQL constructs pass."


class FileRefused(ScrapeError):
    """A CSV file that was exported by hand is cut or damaged, or does not fit the table."""

    code = "file_refused"
    advice = (
        'Export the table again in phpMyAdmin: CSV, all rows, comma and double quotes, "Put columns names in the first '
        'row" ticked (or name them with --columns).'
    )


class StatementRefused(ScrapeError):
    """The database refused a statement: a missing privilege, or an SQL error."""

    code = "statement_refused"
    advice = "Check PHPMYADMIN_DATABASE and PHPMYADMIN_TABLE, and that the user may SELECT from the table."


class ViewBroken(StatementRefused):
    """The view cannot be read: its definer, or a table or column that it names, is gone."""

    code = "view_broken"
    advice = "Create the view again, with a definer that exists and may read what it names."


class NoTable(ScrapeError):
    """The user sees no such table."""

    code = "no_table"
    advice = "Check PHPMYADMIN_DATABASE and PHPMYADMIN_TABLE. `python -m scraper doctor` lists the tables it sees."


class AnswerCut(ScrapeError):
    """A response ended too early."""

    code = "answer_cut"
    advice = "The server ended an answer early (a time limit or a restart). The next sync tries again."
    transient = True


class AnswerTooLarge(ScrapeError):
    """A response is longer than a sync reads; see scraper/client/bounds.py."""

    code = "answer_too_large"
    advice = "phpMyAdmin sends no such answers. Check what answers at PHPMYADMIN_URL."


class AnswerInvalid(ScrapeError):
    """A response is complete, and not what phpMyAdmin answers: too many rows, or a text in place of a number."""

    code = "answer_invalid"
    advice = "phpMyAdmin sends no such answers. Check what answers at PHPMYADMIN_URL."


class SyncMemoryExceeded(ScrapeError):
    """The sync needed more memory than SYNC_MEMORY_MB."""

    code = "sync_memory_exceeded"
    default_message = "The sync needed more memory than SYNC_MEMORY_MB allows."
    advice = "Raise SYNC_MEMORY_MB if the machine has more memory. Long rows and many columns need more of it."


class Unconfirmed(ScrapeError):
    """The rows as received and the server's checksum keep differing, although neither changes."""

    code = "unconfirmed"
    advice = (
        "Nothing was published. A cell may be longer than the server's max_allowed_packet; see the log for the range."
    )


class StillMoving(ScrapeError):
    """Rows kept changing while they were read, so no checksum confirms them."""

    code = "still_moving"
    advice = "The newest rows are shown, marked as not verified. The next sync tries again."
    transient = True


class HeldBack(ScrapeError):
    """The table has far fewer rows than before (HOLD_BACK_BELOW)."""

    code = "held_back"
    advice = (
        "The last good data is served. If rows were deleted on purpose, accept the smaller table: on the dashboard, or "
        "with `python -m scraper accept`."
    )


class TableChanged(ScrapeError):
    """Columns or key changed while the table was read."""

    code = "table_changed"
    advice = "The next sync reads the table with its new columns."
    transient = True


class SyncInterrupted(ScrapeError):
    """Somebody ended the sync with Ctrl-C."""

    code = "sync_interrupted"
    default_message = "The sync was interrupted with Ctrl-C. Nothing was published."
    advice = "The next sync begins where a first load ended."
    transient = True


class SyncTimedOut(ScrapeError):
    """The sync took longer than SYNC_TIMEOUT_MINUTES."""

    code = "sync_timed_out"
    advice = "Raise SYNC_TIMEOUT_MINUTES, or find out why the server is slow; the history shows seconds by phase."
    transient = True
