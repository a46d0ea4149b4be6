"""Around a sync or an import: its Run, the generation that it grows from, and the one that it publishes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from cache.errors import OrdersError, UnknownGeneration
from cache.schema import Column
from cache.storage.change_log import ChangedRows
from cache.storage.records import Publication, Run, Task, now
from cache.storage.snapshot import Head, Manifest, Segment, Snapshot, Source
from cache.storage.store import Cache
from scraper.errors import ScrapeError
from scraper.sync.progress import Reporter

log = logging.getLogger(__name__)


def recorded(cache: Cache, trigger: str, work: Callable[[Reporter, Sequence[Task]], None], claim: bool = True) -> Run:
    """Does work under the cache's sync lock and returns how it went; a failure is an outcome, not an exception.

    Parameters: `work` is given the requests that it answers: none, unless it may `claim` them. Raises SyncRunning where
    another sync holds the lock.
    """
    with cache.sync_lock():
        run = Run(trigger=trigger)
        asked = cache.runs.begin(run, claim)
        run = run.model_copy(update={"asked_by": tuple(sorted({task.requested_by for task in asked}))})
        with Reporter(cache, run) as reporter:
            try:
                cache.snapshots.require_format()
                work(reporter, asked)
            except OrdersError as error:
                log.error("sync=%s failed code=%s %s", run.id, error.code, error)
                reporter.update(outcome="failed", error=error.trouble())
            except Exception as error:
                log.exception("sync=%s failed", run.id)
                trouble = ScrapeError(f"The sync failed unexpectedly ({type(error).__name__}).").trouble()
                reporter.update(outcome="failed", error=trouble)
        cache.runs.finish(reporter.run)
        return cache.runs.recent(1)[0]


def newest(cache: Cache) -> Snapshot | None:
    """The generation to grow from; whatever is damaged in the newest is a range that differs."""
    head = cache.snapshots.head()
    try:
        before = cache.snapshots.inspect(head.generation) if head else None
    except UnknownGeneration as error:
        log.warning("%s All is loaded again.", error.message)
        return None
    for segment, problem in before.faults.items() if before else ():
        log.warning("Segment %s %s. Its rows are loaded again.", segment, problem)
    return before


def publish(
    cache: Cache, reporter: Reporter, before: Snapshot | None, source: Source, columns: tuple[Column, ...],
    segments: list[Segment], changed: ChangedRows, keep_days: float, doubt: ScrapeError | None,
    as_of: datetime, proven_at: datetime | None = None,
) -> None:  # fmt: skip
    """Publishes segments as a generation, or confirms the one before where nothing changed.

    Parameters: `changed` are the rows that differ from it; `keep_days` is how long lists of changes
    stay. `doubt` is why the copy is not proven equal to the table, and the last verification stays; or None.
    `proven_at` is the moment from which all of it is proven, where it is not `as_of`.
    """
    last = cache.snapshots.head()
    same = before is not None and not before.faults and (tuple(segments), columns, _told(source)) == (
        before.manifest.segments, before.columns, _told(before.manifest.source))  # fmt: skip
    generation = (last.generation if last else 0) + (0 if same else 1)
    verified_at = last.verified_at if doubt and last else None if doubt else proven_at or as_of
    head = Head(generation=generation, as_of=as_of, verified=doubt is None, verified_at=verified_at,
                checked_at=verified_at if doubt else as_of, reason=doubt.message if doubt else None)  # fmt: skip
    if same:
        cache.snapshots.confirm(head)
    else:
        manifest = Manifest(
            generation=generation, parent=last.generation if last else None, created_at=now(), as_of=as_of,
            verified_at=verified_at, reason=head.reason, source=source, columns=columns, segments=tuple(segments),
            changes=changed.counts,
        )  # fmt: skip
        cache.snapshots.publish(Publication(manifest, head, changed, timedelta(days=keep_days)))
    reporter.update(
        outcome="unverified" if doubt else "unchanged" if same else "published",
        generation=generation, rows=sum(segment.rows for segment in segments), ranges=len(segments),
        changes=changed.counts, bytes=reporter.run.progress.bytes, error=doubt.trouble() if doubt else None,
    )  # fmt: skip


def _told(source: Source) -> tuple[object, ...]:
    """What of a source is part of a generation; the versions of servers are not."""
    return source.database, source.table, source.timezone, source.dialect
