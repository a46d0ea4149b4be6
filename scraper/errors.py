"""What can go wrong on the way from phpMyAdmin to the cache. The tree goes on from cache/errors.py.

ScrapeError
|- Unreachable        phpMyAdmin does not answer, or answers with a server error
|- NotPhpMyAdmin      the address shows no phpMyAdmin login
|- LoginRefused       phpMyAdmin refused user name or password
|- SessionLost        phpMyAdmin asks to log in again in the middle of a sync
|- BrowserFailed      Chrome or its driver does not start, hangs or died
|- RequestRefused     something in front of phpMyAdmin answered 401, 403 or 406
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


class LoginRefused(ScrapeError):
    code = "login_refused"
    advice = (
        "Correct PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD and restart, or press refresh. "
        "No further login is tried by itself, so that the account does not get locked."
    )


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


class TableChanged(ScrapeError):
    code = "table_changed"
    advice = "The next sync reads the table in its new shape."
    transient = True


class SyncTimedOut(ScrapeError):
    code = "sync_timed_out"
    advice = "Raise SYNC_TIMEOUT_MINUTES, or find out why the server is slow; the history shows seconds by phase."
    transient = True
