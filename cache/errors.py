"""Errors. Each one says what failed and what to do next.

OrdersError                 base of all errors
|- SettingsInvalid          a setting is missing or does not parse
|- CacheError
|  |- NoSnapshot            nothing has been published yet
|  |  `- WarmingUp          this host is copying the first generation from the shared cache
|  |- UnknownGeneration     the generation is not kept
|  |- ChangesGone           the changes since a generation are no longer known
|  |- NoKey                 the table has no primary key
|  |- SnapshotDamaged       a generation is damaged
|  |  `- RangeDamaged       rows that the request needs are damaged
|  |- CacheFormat           a newer version of the product wrote the cache
|  |- PublishConflict       the parent generation is no longer the newest
|  |- CacheUnwritable       the cache cannot be written
|  |  |- DiskFull           its disk is full
|  |  |  `- CacheFull       the disk of the shared cache's server is full
|  |  |- CacheReadOnly      this process has no write access
|  |  `- CacheUnreachable   the database of the shared cache does not answer
|  |- PublishUnknown        the shared cache did not answer to a publish
|  |- BackupInvalid         a file is no backup, or is damaged
|  |- CacheNotEmpty         a backup would replace what the cache holds
|  |- SyncRunning           another process holds the sync lock
|  |- SyncLost              another host took over the sync
|  |- NoWorker              no scheduler is alive to run a refresh
|  |- UnknownTask           there is no refresh with that id
|  |- BadFilter             a filter, sort or facet does not fit the columns
|  |- ColumnMasked          the request needs a column that is hidden from the key
|  |- BadKey                an API key's name is taken, unknown or not allowed
|  |- BadFeed               a feed's name is taken, unknown or not allowed
|  |- NotSaved              a view, goal or note cannot be saved as it is
|  |- QueryRefused          the query engine cannot run the query
|  |- TooManyRows           the format cannot hold that many rows
|  |- QueryTimeout          a query took too long
|  |- ScanFailed            the process that runs a query ended
|  `- ScanBusy              all query processes are busy
`- ScrapeError              see scraper/errors.py

A message is made in its class, so that documents can show it as an example (api/contract/error_codes.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from pydantic import BaseModel

from cache.control_characters import without_controls


class Trouble(BaseModel, frozen=True):
    """An error as it is stored and shown: the same words in the log, `/status` and the dashboard.

    Its attributes are those of OrdersError.
    """

    code: str
    message: str
    advice: str
    transient: bool = False
    stops_schedule: bool = False


class OrdersError(Exception):
    """Base of all errors of this product.

    Args:
        message: A sentence that says what failed, and where. None: the default of the class. Control characters are
            removed.
        advice: What to do next. None: the default of the class.

    Attributes:
        code: What programs read.
        transient: Whether the same call may succeed later.
        stops_schedule: Whether no sync starts by itself after this error, until the process is restarted or a person
            asks for a refresh.
    """

    code: ClassVar[str] = "error"
    default_message: ClassVar[str] = "It failed."
    advice: str = "See the log for details."
    transient: ClassVar[bool] = False
    stops_schedule: ClassVar[bool] = False

    def __init__(self, message: str | None = None, advice: str | None = None) -> None:
        self.message = self.default_message if message is None else without_controls(message)
        super().__init__(self.message)
        if advice is not None:
            self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"

    def trouble(self) -> Trouble:
        """The error as it is stored."""
        return Trouble(
            code=self.code,
            message=self.message,
            advice=self.advice,
            transient=self.transient,
            stops_schedule=self.stops_schedule,
        )


class SettingsInvalid(OrdersError):
    """A setting is missing or does not parse."""

    code = "settings_invalid"
    advice = "Correct it in the environment or in .env; docs/configuration.md lists every setting."


class CacheError(OrdersError):
    """Base of the errors of the cache."""

    code = "cache_error"


class NoSnapshot(CacheError):
    """Nothing has been published yet. The API's contract fixes how the message begins."""

    code = "no_snapshot"
    default_message = "No cached data available."
    advice = "The first sync fills the cache: wait for it, press refresh, or run `python -m scraper sync`."
    transient = True


class WarmingUp(NoSnapshot):
    """This host is copying the first generation from the shared cache."""

    code = "warming_up"
    default_message = "This host is copying the orders from the shared cache."
    advice = "Try again in a few seconds."

    @classmethod
    def of(cls, done: int, total: int) -> Self:
        """The error for the bytes that are copied, and all of them."""
        return cls(f"This host is copying the orders: {done >> 20} of {total >> 20} MB.")


class UnknownGeneration(CacheError):
    """The generation is not kept."""

    code = "unknown_generation"
    advice = "Start again from the newest generation."

    @classmethod
    def of(cls, generation: int, advice: str | None = None) -> Self:
        """The error for a generation."""
        return cls(f"Generation {generation} is not kept.", advice)


class ChangesGone(CacheError):
    """The changes since a generation are no longer known."""

    code = "changes_gone"
    advice = "Load all rows again with GET /fetch-data, and ask from its generation on."

    @classmethod
    def since(cls, generation: int) -> Self:
        """The error where no change lists are kept from that generation on."""
        return cls(f"The changes since generation {generation} are not kept.")


class NoKey(CacheError):
    """The table has no primary key, so changed rows cannot be identified."""

    code = "no_key"
    advice = "Load all rows with GET /fetch-data; its ETag tells whether anything changed."

    @classmethod
    def of(cls, table: str) -> Self:
        """The error for a table."""
        return cls(f"The table {table} has no primary key, so changed rows cannot be identified.")


class SnapshotDamaged(CacheError):
    """A generation is damaged."""

    code = "snapshot_damaged"
    advice = "The next sync writes what is missing again: press refresh or run `python -m scraper sync`."

    @classmethod
    def without_changes(cls, generation: int) -> Self:
        """The error for a generation."""
        return cls(f"Generation {generation} is damaged, so its changes cannot be sent.")


class RangeDamaged(SnapshotDamaged):
    """Rows that the request needs are damaged: a file of their segment is missing, cut, or has another digest."""

    code = "range_damaged"
    advice = (
        "The next sync loads these rows again: press refresh or run `python -m scraper sync`. Until then, requests "
        "that need no damaged rows are answered."
    )

    @classmethod
    def of(cls, segment: str, fault: str) -> Self:
        """The error for a segment; `fault` is the rest of the sentence."""
        return cls(f"Rows are damaged: segment {segment} {fault}.")


class CacheFormat(CacheError):
    """A newer version of the product wrote the cache."""

    code = "cache_format"
    advice = "Run the same version everywhere. This version can neither read nor write that cache."
    transient = True

    @classmethod
    def of(cls, format: int, supported: int) -> Self:
        """The error for a format number."""
        return cls(f"The cache has format {format}; this version reads formats up to {supported}.")


class PublishConflict(CacheError):
    """The parent generation is no longer the newest."""

    code = "publish_conflict"
    advice = "Another sync published meanwhile. Nothing is lost: the next sync starts from there."
    transient = True


class CacheUnwritable(CacheError):
    """The cache cannot be written, for another reason than those below."""

    code = "cache_unwritable"
    advice = (
        "Check CACHE_URL and DATA_DIR, their disk, and the limits of this user. The last good snapshot is still served."
    )
    transient = True

    @classmethod
    def because(cls, reason: str) -> Self:
        """The error for a reason that the operating system gives."""
        return cls(f"The cache folder cannot be written: {reason}.")


class DiskFull(CacheUnwritable):
    """The disk of the cache is full, or the quota of this user."""

    code = "disk_full"
    default_message = "The disk is full, so the cache cannot be written."
    advice = "Free disk space. The last good snapshot is still served, and the next sync continues."


class CacheFull(DiskFull):
    """The disk of the server that holds the shared cache is full, or its quota."""

    code = "cache_full"
    default_message = "The database is full, so the shared cache cannot be written."
    advice = "Give the database more space. The last good snapshot is still served, and the next sync continues."


class CacheUnreachable(CacheUnwritable):
    """The database of the shared cache does not answer."""

    code = "cache_unreachable"
    advice = "Check the database and CACHE_URL. The last good snapshot is still served."

    @classmethod
    def at(cls, place: str, reason: str) -> Self:
        """The error for a server, without its user and password.

        Args:
            place: Host and port.
            reason: Why it does not answer; the rest of the sentence.
        """
        return cls(f"The shared cache at {place} does not answer: {reason}.")

    def again(self) -> Self:
        """The same error, to be raised once more."""
        return type(self)(self.message, self.advice)

    def with_copy(self, at: datetime | None) -> Self:
        """The error for readers, who see the copy of this host.

        Args:
            at: The time of that copy (UTC); None if there is none.
        """
        copy = f" You see this host's copy of {at:%Y-%m-%d %H:%M} UTC." if at else ""
        return type(self)(f"{self.message}{copy}", "Check the database and CACHE_URL.")


class CacheReadOnly(CacheUnwritable):
    """This process has no write access to the cache."""

    code = "cache_read_only"
    default_message = "The cache is read-only: it is served, and nothing can be written."
    advice = "Give this user write access to the cache folder (CACHE_URL) and to DATA_DIR, or run syncs elsewhere."
    transient = False


class BackupInvalid(CacheError):
    """A file is no backup, or is damaged."""

    code = "backup_invalid"
    advice = "Nothing was changed. Restore a file that `python -m cache backup` wrote, as a whole."


class CacheNotEmpty(CacheError):
    """A backup would replace what the cache holds."""

    code = "cache_not_empty"
    default_message = "The cache has rows already."
    advice = "Nothing was changed. Add `--replace` to restore over them, or set DATA_DIR to an empty folder."


class SyncRunning(CacheError):
    """Another process holds the sync lock."""

    code = "sync_running"
    advice = "Wait for it to end; its progress is on the dashboard and under GET /status."
    transient = True


class PublishUnknown(CacheError):
    """The database did not answer to a publish, and it is not known whether it was done."""

    code = "publish_unknown"
    default_message = "The shared cache did not answer when this sync published. Whether it did is not known."
    advice = "The next sync starts from what the cache has: nothing is lost."
    transient = True


class SyncLost(CacheError):
    """Another host took over the sync, because this one was silent for too long."""

    code = "sync_lost"
    default_message = "This process no longer holds the sync. Nothing of it was published."
    advice = "The next sync starts from the newest generation. If it repeats, check the load and network of that host."
    transient = True

    @classmethod
    def to(cls, host: str, time: str, lost_by: str, seconds: float) -> Self:
        """The error for a sync that was taken over.

        Args:
            host: The host that took over.
            time: When it did, as shown to people.
            lost_by: The host that was silent.
            seconds: The silence after which a sync may be taken over.
        """
        return cls(
            f"Host {host} took over this sync at {time} because {lost_by} was silent for {seconds:g} s. Nothing of it "
            "was published."
        )


class NoWorker(CacheError):
    """No scheduler is alive to run a refresh."""

    code = "no_worker"
    default_message = "No scheduler is alive, so a refresh would never run."
    advice = "Start the dashboard, the API or `python -m scraper worker` with SCHEDULER=auto."
    transient = True


class UnknownTask(CacheError):
    """There is no refresh with that id."""

    code = "unknown_task"
    default_message = "There is no refresh with that id."
    advice = "Request a new refresh with POST /refresh."


class BadFilter(CacheError):
    """A filter, sort or facet does not fit the columns."""

    code = "bad_filter"
    advice = "GET /fetch-data?metadata_only=true lists the columns and their types."

    @classmethod
    def value(cls, name: str, value: str, takes: str) -> Self:
        """The error for a value that a column, or an operator, does not take."""
        return cls(f"{name} does not take {value!r}.", f"It takes {takes}.")


class ColumnMasked(CacheError):
    """The request needs a column that is hidden from the key."""

    code = "column_masked"
    advice = "Leave it out, or use a key that is not masked."

    @classmethod
    def of(cls, column: str) -> Self:
        """The error for a column. Its values could be guessed by filters, sorts and facets."""
        return cls(f"Column '{column}' is hidden from this key, so it cannot be used in filters, sorts or facets.")


class BadKey(CacheError):
    """An API key's name is taken, unknown or not allowed."""

    code = "bad_key"
    advice = "`python -m api keys list` shows the keys."


class BadFeed(CacheError):
    """A feed's name is taken, unknown or not allowed."""

    code = "bad_feed"
    advice = "`python -m api feeds list` shows the feeds."


class NotSaved(CacheError):
    """A view, goal or note of the dashboard cannot be saved as it is."""

    code = "not_saved"
    advice = "Change what the message names, and save again."


class QueryRefused(CacheError):
    """The query engine cannot run the query."""

    code = "query_refused"
    advice = "Ask for fewer columns, a narrower filter or no sort."

    @classmethod
    def by_engine(cls, reason: str) -> Self:
        """The error for an exception of the engine."""
        return cls(f"The query engine refused the query ({reason}).")


class TooManyRows(CacheError):
    """The format cannot hold that many rows."""

    code = "too_many_rows"
    advice = "Filter the rows, request a page with limit and offset, or use format=csv."

    @classmethod
    def for_sheet(cls, rows: int, maximum: int) -> Self:
        """The error for a sheet of Excel."""
        return cls(f"An Excel sheet holds {maximum:,} rows; these are {rows:,}.")


class QueryTimeout(CacheError):
    """A query took too long."""

    code = "query_timeout"
    advice = "Filter by columns with numbers, dates or short texts, or load all rows and search them yourself."
    transient = True

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The error after that many seconds."""
        return cls(f"The query took longer than {seconds:g} seconds.")


class ScanFailed(CacheError):
    """The process that runs a query ended."""

    code = "scan_failed"
    default_message = "The process that runs the query ended unexpectedly."
    advice = "Try again; the log has the cause."
    transient = True


class ScanBusy(CacheError):
    """All query processes are busy."""

    code = "scan_busy"
    default_message = "All query processes are busy with other requests."
    advice = "Try again in a moment."
    transient = True
