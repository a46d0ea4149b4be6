"""The frame of a sync or an import: records its run, finds the last generation, and publishes the new one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from cache.errors import OrdersError, UnknownGeneration
from cache.schema import Column
from cache.storage.change_log import ChangedRows
from cache.storage.records import CheckGeneration, Publication, Run, Task, known, now
from cache.storage.snapshot import Head, Manifest, Segment, Snapshot
from cache.storage.source import Source
from cache.storage.store import Cache
from scraper.errors import ScrapeError, SyncInterrupted, SyncMemoryExceeded
from scraper.sync.progress import Reporter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableCopy:
    """A copy of the table, to be published.

    Attributes:
        before: The generation that it started from; None if there was none.
        source: The table that the rows were copied from.
        columns: The columns, as the manifest records them.
        segments: All rows, in key order.
        changed_rows: The rows that differ from `before`.
        as_of: The moment before the first statement (UTC).
        proven_at: The time for `Head.verified_at`: `as_of`, or the time of the last full comparison if only recent
            segments were compared now. None if the rows are not proven.
        unverified_reason: Why the rows are not proven equal to the table; None if they are.
    """

    before: Snapshot | None
    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]
    changed_rows: ChangedRows
    as_of: datetime
    proven_at: datetime | None
    unverified_reason: ScrapeError | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the copy equals the previous generation, whose files are intact. Server versions are not compared."""
        if self.before is None or self.before.faults:
            return False
        former = self.before.manifest
        return (self.segments, self.columns, _identity(self.source)) == (
            former.segments,
            former.columns,
            _identity(former.source),
        )


_INTERRUPTED = SyncInterrupted().trouble()


def recorded(cache: Cache, trigger: str, work: Callable[[Reporter, Sequence[Task]], None], claim: bool = True) -> Run:
    """Does work under the sync lock of the cache and records it as a run. A failure is recorded, not raised.

    Args:
        cache: Where the run is recorded.
        trigger: What started the work, for the history.
        work: Does the work. Its arguments are the reporter and the requests that the run answers.
        claim: Whether the run answers the waiting requests.

    Returns:
        The record of the run, with its outcome.

    Raises:
        SyncRunning: Another sync holds the lock.
    """
    with cache.sync_lock():
        run = Run(trigger=trigger)
        requests = cache.runs.begin(run, claim)
        run = run.model_copy(update={"asked_by": tuple(sorted({request.requested_by for request in requests}))})
        with Reporter(cache, run) as reporter:
            try:
                cache.snapshots.require_format()
                cache.snapshots.catch_up(to_repair=True)
                work(reporter, requests)
            except OrdersError as error:
                log.error("sync=%s failed code=%s %s", run.id, error.code, error)
                reporter.update(outcome="failed", error=error.trouble())
            except KeyboardInterrupt:
                cache.runs.finish(reporter.run.model_copy(update={"outcome": "failed", "error": _INTERRUPTED}))
                raise
            except (MemoryError, duckdb.OutOfMemoryException):
                log.error("sync=%s failed code=%s", run.id, SyncMemoryExceeded.code)
                reporter.update(outcome="failed", error=SyncMemoryExceeded().trouble())
            except Exception as error:
                log.exception("sync=%s failed", run.id)
                trouble = ScrapeError(f"The sync failed unexpectedly ({type(error).__name__}).").trouble()
                reporter.update(outcome="failed", error=trouble)
        cache.runs.finish(reporter.run)
        return cache.runs.recent(1)[0]


def newest(cache: Cache) -> Snapshot | None:
    """Returns the newest generation, even if some of its files are damaged: their ranges are exported again."""
    head = cache.snapshots.head()
    try:
        before = cache.snapshots.inspect(head.generation) if head else None
    except UnknownGeneration as error:
        log.warning("%s All rows are loaded again.", error.message)
        return None
    for segment, fault in before.faults.items() if before else ():
        log.warning("Segment %s %s. Its rows are loaded again.", segment, fault)
    return before


def publish(
    cache: Cache, reporter: Reporter, copy: TableCopy, keep_changes: timedelta, check: CheckGeneration | None = None
) -> None:
    """Publishes a copy as a generation, or confirms the previous generation if nothing changed.

    Args:
        cache: The cache in which the copy is published.
        reporter: Records the outcome.
        copy: The copy.
        keep_changes: How long lists of changes are kept.
        check: Checks the generation; None: it is published without checks.

    Raises:
        CacheError: Publishing failed (see `Snapshots.publish` and `Snapshots.confirm`).
    """
    last = cache.snapshots.head()
    number = last.generation if last and copy.unchanged else cache.snapshots.next_number()
    head = _next_head(number, last, copy)
    if copy.unchanged:
        cache.snapshots.confirm(head)
    else:
        manifest = Manifest(
            generation=head.generation,
            parent=last.generation if last else None,
            created_at=now(),
            as_of=copy.as_of,
            verified_at=head.verified_at,
            reason=head.reason,
            source=copy.source,
            columns=copy.columns,
            segments=copy.segments,
            changes=copy.changed_rows.counts,
        )
        checks = check(copy.before, cache.snapshots.unpublished(manifest, head), copy.changed_rows) if check else None
        cache.snapshots.publish(Publication(manifest, head, copy.changed_rows, keep_changes, checks))
    reason = copy.unverified_reason
    reporter.update(
        outcome="unverified" if reason else "unchanged" if copy.unchanged else "published",
        generation=head.generation,
        rows=sum(segment.rows for segment in copy.segments),
        ranges=len(copy.segments),
        changes=copy.changed_rows.counts,
        bytes=reporter.run.progress.bytes,
        error=reason.trouble() if reason else None,
    )


def _next_head(generation: int, last: Head | None, copy: TableCopy) -> Head:
    """Returns the pointer to the copy. If the copy is not proven, `verified_at` does not change."""
    if copy.unverified_reason is None:
        return Head(
            generation=generation,
            as_of=copy.as_of,
            verified=True,
            verified_at=copy.proven_at,
            checked_at=copy.as_of,
        )
    verified_at = known(last.verified_at) if last else None
    return Head(
        generation=generation,
        as_of=copy.as_of,
        verified=False,
        verified_at=verified_at,
        checked_at=verified_at,
        reason=copy.unverified_reason.message,
    )


def _identity(source: Source) -> tuple[object, ...]:
    return source.database, source.table, source.timezone, source.dialect
