"""What can go wrong on the way from phpMyAdmin to the cache. The tree goes on from cache/errors.py.

ScrapeError
|- Unreachable        phpMyAdmin does not answer, or answers with a server error
|- NotPhpMyAdmin      the address shows no phpMyAdmin login
|  `- BrowserNeeded   a page on the way to it goes on by JavaScript, and plain HTTP was to log in
|- CertificateRefused the certificate of phpMyAdmin's server is not trusted
|- LoginRefused       phpMyAdmin, or what stands in front of it, refused user name or password
|  |- SecondFactorRefused  the code of an authenticator app is missing or wrong
|  |- CaptchaShown    the login form wants a captcha solved
|  `- PasswordExpired the database wants another password first
|- ServerChoiceNeeded phpMyAdmin offers several servers, and none of them is named
|- SessionLost        phpMyAdmin asks to log in again in the middle of a sync
|- BrowserFailed      Chrome or its driver does not start, hangs or died
|- RequestRefused     something in front of phpMyAdmin wants a password of its own (401)
|  `- StatementBlocked a firewall in front of phpMyAdmin refused a statement: 403, 406, or a page of its own
|- Unproven           a firewall refuses what would prove the copy; it was only counted
|- FileRefused        an export that was made by hand is cut or damaged, or does not fit the table
|- StatementRefused   the database refused a statement: no such table, no privilege, an SQL error
|- NoTable            this login sees no such table
|- AnswerCut          an answer ended before its end
|- Unconfirmed        rows as they arrived and the server's checksum differ, and neither moves
|- TableChanged       columns or key changed while the table was read
`- SyncTimedOut       the sync took longer than SYNC_TIMEOUT_MINUTES
"""

from __future__ import annotations

from cache.errors import OrdersError


class ScrapeError(OrdersError):
    code = "scrape_error"


class Unreachable(ScrapeError):
    code = "unreachable"
    advice = "Open PHPMYADMIN_URL in a browser on this machine; check the address, the network and the web server."
    transient = True


class NotPhpMyAdmin(ScrapeError):
    code = "not_phpmyadmin"
    advice = "Set PHPMYADMIN_URL to the page on which a browser shows phpMyAdmin's login form."


class BrowserNeeded(NotPhpMyAdmin):
    code = "browser_needed"
    advice = "Install Chrome or Chromium and its driver, and set PHPMYADMIN_LOGIN to browser (or to auto)."


class LoginRefused(ScrapeError):
    code = "login_refused"
    advice = (
        "Correct PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD and restart, or press refresh. "
        "No further login is tried by itself, so that the account does not get locked."
    )


class CertificateRefused(ScrapeError):
    code = "certificate_refused"
    advice = "Set PHPMYADMIN_CA_FILE to the certificate of the private CA, or have the server's certificate renewed."


class SecondFactorRefused(LoginRefused):
    code = "second_factor_refused"


class CaptchaShown(LoginRefused):
    code = "captcha_shown"
    advice = "Have the captcha switched off for this login or address, or let phpMyAdmin be reached another way."


class PasswordExpired(LoginRefused):
    code = "password_expired"
    advice = "Set a new password (`ALTER USER`, or phpMyAdmin's own page) and correct PHPMYADMIN_PASSWORD."


class ServerChoiceNeeded(ScrapeError):
    code = "server_choice_needed"
    advice = "Set PHPMYADMIN_SERVER to one of the numbers or names."


class SessionLost(ScrapeError):
    code = "session_lost"
    advice = "The next sync logs in again; if it repeats, raise LoginCookieValidity in phpMyAdmin's configuration."
    transient = True


class BrowserFailed(ScrapeError):
    code = "browser_failed"
    advice = "Run `python -m scraper doctor`; it needs Chrome or Chromium, its driver, and about 400 MB of free memory."
    transient = True


class RequestRefused(ScrapeError):
    code = "request_refused"
    advice = "A firewall or a password of the web server stands in front of phpMyAdmin; ask the host to let this in."


class StatementBlocked(RequestRefused):
    """Parameters: `sql` is the statement, empty for phpMyAdmin's own export of the whole table."""

    def __init__(self, message: str, sql: str) -> None:
        super().__init__(message)
        self.sql = sql


class Unproven(ScrapeError):
    code = "unproven"
    advice = "The newest rows are shown, marked as unverified. Ask the host to let these constructs through."


class FileRefused(ScrapeError):
    code = "file_refused"
    advice = (
        'Export the table again in phpMyAdmin: CSV, all rows, comma and double quotes, "Put columns names in the first '
        'row" ticked (or name them with --columns).'
    )


class StatementRefused(ScrapeError):
    code = "statement_refused"
    advice = "Check PHPMYADMIN_DATABASE, PHPMYADMIN_TABLE and that the login may SELECT from it."


class NoTable(ScrapeError):
    code = "no_table"
    advice = "Check PHPMYADMIN_DATABASE and PHPMYADMIN_TABLE; `python -m scraper doctor` lists what this login sees."


class AnswerCut(ScrapeError):
    code = "answer_cut"
    advice = "The server ended a statement early (a time limit, or it was restarted); the next sync tries again."
    transient = True


class Unconfirmed(ScrapeError):
    code = "unconfirmed"
    advice = (
        "Nothing was published. A cell may be longer than the server's max_allowed_packet; see the log for the range."
    )


class StillMoving(ScrapeError):
    code = "still_moving"
    advice = "The newest rows are shown, marked as unverified; the next sync tries again."
    transient = True


class HeldBack(ScrapeError):
    code = "held_back"
    advice = (
        "The last good data is served. If rows were deleted on purpose, accept the smaller table: on the dashboard, or "
        "with `python -m scraper accept`."
    )


class TableChanged(ScrapeError):
    code = "table_changed"
    advice = "The next sync reads the table in its new shape."
    transient = True


class SyncTimedOut(ScrapeError):
    code = "sync_timed_out"
    advice = "Raise SYNC_TIMEOUT_MINUTES, or find out why the server is slow; the history shows seconds by phase."
    transient = True
