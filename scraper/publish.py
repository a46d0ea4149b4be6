"""Around a sync or an import: its Run, the generation that it grows from, and the one that it publishes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from cache.errors import OrdersError, UnknownGeneration
from cache.snapshot import Changes, Column, Head, Manifest, Segment, Snapshot, Source
from cache.store import Run, Store, Task, now
from scraper.assemble import Assembler
from scraper.errors import ScrapeError
from scraper.marks import Marks, count_changes
from scraper.report import Reporter
from scraper.table import Table

log = logging.getLogger(__name__)


def recorded(store: Store, trigger: str, work: Callable[[Reporter, Sequence[Task]], None], claim: bool = True) -> Run:
    """Does work under the cache's sync lock and returns how it went; a failure is an outcome, not an exception.

    Parameters: `work` is given the requests that it answers: none, unless it may `claim` them. Raises SyncRunning where
    another sync holds the lock.
    """
    with store.sync_lock():
        run = Run(trigger=trigger)
        asked = store.begin(run, claim)
        run = run.model_copy(update={"asked_by": tuple(sorted({task.requested_by for task in asked}))})
        with Reporter(store, run) as reporter:
            try:
                work(reporter, asked)
            except OrdersError as error:
                log.error("sync=%s failed code=%s %s", run.id, error.code, error)
                reporter.update(outcome="failed", error=error.trouble())
            except Exception as error:
                log.exception("sync=%s failed", run.id)
                trouble = ScrapeError(f"The sync failed unexpectedly ({type(error).__name__}).").trouble()
                reporter.update(outcome="failed", error=trouble)
        store.finish(reporter.run)
        return store.runs(1)[0]


def newest(store: Store) -> Snapshot | None:
    """The generation to grow from; whatever is damaged in the newest is a range that differs."""
    head = store.head()
    try:
        return store.inspect(head.generation) if head else None
    except UnknownGeneration as error:
        log.warning("%s All is loaded again.", error.message)
        return None


def count_from(
    before: Snapshot | None, segments: list[Segment], assembler: Assembler, table: Table, store: Store
) -> Changes:
    """Rows that differ from the generation before. Segments that both hold are not read."""
    then = before.manifest.segments if before else ()
    held, ids = {s.id for s in then}, {s.id for s in segments}
    rendered = before is not None and before.manifest.source.forms.digest != table.forms.digest

    def marks(segment: Segment) -> Marks:
        return Marks.rendered(store.segment(segment), table) if rendered else assembler.marks(segment)

    old = Marks.joined(marks(s) for s in then if s.id not in ids and before and before.holds(s))
    new = Marks.joined(marks(s) for s in segments if s.id not in held)
    return count_changes(old, new, table.range_key is not None and table.unique)


def publish(
    store: Store, reporter: Reporter, before: Snapshot | None, source: Source, columns: tuple[Column, ...],
    segments: list[Segment], changes: Changes, doubt: ScrapeError | None, as_of: datetime,
    proven_at: datetime | None = None,
) -> None:  # fmt: skip
    """Publishes segments as a generation, or confirms the one before where nothing changed.

    Parameters: `doubt` is why the copy is not proven equal to the table, and the last verification stays; or None.
    `proven_at` is the moment from which all of it is proven, where it is not `as_of`.
    """
    last = store.head()
    same = before is not None and (tuple(segments), columns, source.forms) == (
        before.manifest.segments, before.columns, before.manifest.source.forms)  # fmt: skip
    generation = (last.generation if last else 0) + (0 if same else 1)
    verified_at = last.verified_at if doubt and last else None if doubt else proven_at or as_of
    head = Head(generation=generation, as_of=as_of, verified=doubt is None, verified_at=verified_at,
                checked_at=verified_at if doubt else as_of, reason=doubt.message if doubt else None)  # fmt: skip
    if same:
        store.confirm(head)
    else:
        manifest = Manifest(
            generation=generation, parent=last.generation if last else None, created_at=now(), as_of=as_of,
            verified_at=verified_at, source=source, columns=columns, segments=tuple(segments), changes=changes,
        )  # fmt: skip
        store.publish(manifest, head)
    reporter.update(
        outcome="unverified" if doubt else "unchanged" if same else "published",
        generation=generation, rows=sum(segment.rows for segment in segments), ranges=len(segments),
        changes=changes, bytes=reporter.run.progress.bytes, error=doubt.trouble() if doubt else None,
    )  # fmt: skip
