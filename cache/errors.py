"""The one error family. Each error names what failed, and what to do next.

OrdersError                 every error of ours
|- SettingsInvalid          a setting is missing or does not parse
|- CacheError
|  |- NoSnapshot            nothing has been published yet
|  |- UnknownGeneration     that generation is not kept (any more)
|  |- ChangesGone           what changed since that generation is not known (any more)
|  |- NoKey                 the table has no key to tell changed rows by
|  |- SnapshotDamaged       a file of a generation is missing or has another size
|  |- CacheFormat           a newer version of the product wrote the cache
|  |- PublishConflict       the generation to grow from is no longer the newest
|  |- CacheUnwritable       the folder cannot be written, or the disk is full
|  |- SyncRunning           another process holds the sync lock
|  |- NoWorker              no scheduler is alive to run a refresh
|  |- UnknownTask           no refresh has that id
|  |- BadFilter             a filter names no column, or what its column does not take
|  |- ColumnMasked          a filter, sort or facet is on a column that is hidden from this key
|  |- BadKey                an API key's name is taken, unknown or none
|  |- QueryRefused          the engine that scans cannot run a query
|  |- TooManyRows           more rows than the format takes
|  |- QueryTimeout          a scan took too long
|  |- ScanFailed            the process that scans ended before it had answered
|  `- ScanBusy              every process that scans is at work for someone else
`- ScrapeError              see scraper/errors.py
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel


class Trouble(BaseModel, frozen=True):
    """An error as it is kept and shown: the same words in the log, `/status` and the dashboard."""

    code: str
    message: str
    advice: str
    transient: bool = False


class OrdersError(Exception):
    """Base of every error of ours.

    Parameters: `message` says in a sentence what failed and where; `advice` says what to do next (each class has a
    default). `code` is what programs read; `transient` tells whether the same call may succeed later by itself.
    """

    code: ClassVar[str] = "error"
    advice: str = "See the log for details."
    transient: ClassVar[bool] = False

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if advice is not None:
            self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"

    def trouble(self) -> Trouble:
        return Trouble(code=self.code, message=self.message, advice=self.advice, transient=self.transient)


class SettingsInvalid(OrdersError):
    code = "settings_invalid"
    advice = "Correct it in the environment or in .env; docs/configuration.md lists every setting."


class CacheError(OrdersError):
    code = "cache_error"


class NoSnapshot(CacheError):
    code = "no_snapshot"
    advice = "The first sync fills the cache: wait for it, press refresh, or run `python -m scraper sync`."
    transient = True


class UnknownGeneration(CacheError):
    code = "unknown_generation"
    advice = "Start again from the newest generation."


class ChangesGone(CacheError):
    code = "changes_gone"
    advice = "Load all rows again with GET /fetch-data, and ask from its generation on."


class NoKey(CacheError):
    code = "no_key"
    advice = "Load all rows with GET /fetch-data; its ETag tells whether anything changed."


class SnapshotDamaged(CacheError):
    code = "snapshot_damaged"
    advice = "The next sync writes what is missing again: press refresh or run `python -m scraper sync`."


class CacheFormat(CacheError):
    code = "cache_format"
    advice = "Run the same version everywhere; this one neither writes nor reads that cache."
    transient = True


class PublishConflict(CacheError):
    code = "publish_conflict"
    advice = "Another sync published meanwhile; nothing is lost, the next one starts from there."
    transient = True


class CacheUnwritable(CacheError):
    code = "cache_unwritable"
    advice = "Free disk space, or give this user write access to the cache folder (CACHE_URL)."
    transient = True


class SyncRunning(CacheError):
    code = "sync_running"
    advice = "Wait for it to end; its progress is on the dashboard and under GET /status."
    transient = True


class NoWorker(CacheError):
    code = "no_worker"
    advice = "Start the dashboard, the API or `python -m scraper worker` with SCHEDULER=auto."
    transient = True


class UnknownTask(CacheError):
    code = "unknown_task"
    advice = "Ask for a new refresh with POST /refresh."


class BadFilter(CacheError):
    code = "bad_filter"
    advice = "GET /fetch-data?metadata_only=true lists the columns and their types."


class ColumnMasked(CacheError):
    code = "column_masked"
    advice = "Leave it out, or use a key that is not masked."


class BadKey(CacheError):
    code = "bad_key"
    advice = "`python -m api keys list` shows the keys."


class QueryRefused(CacheError):
    code = "query_refused"
    advice = "Ask for fewer columns, a narrower filter or no sort."


class TooManyRows(CacheError):
    code = "too_many_rows"
    advice = "Filter the rows, ask for a page with limit and offset, or take format=csv."


class QueryTimeout(CacheError):
    code = "query_timeout"
    advice = "Filter by columns that hold numbers, dates or short texts, or take all rows and search in them."
    transient = True


class ScanFailed(CacheError):
    code = "scan_failed"
    advice = "Try again; the log has the cause."
    transient = True


class ScanBusy(CacheError):
    code = "scan_busy"
    advice = "Try again in a moment."
    transient = True
