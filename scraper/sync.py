"""One sync: the loop that makes the copy equal to the table, from login to publish.

A first load, an hourly refresh and a repair are the same loop: ask the server for the checksums of the ranges that are
held, export the ranges that differ, ask again for those alone, until they agree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from cache.errors import OrdersError, UnknownGeneration
from cache.snapshot import Changes, Head, Manifest, Segment, Snapshot, Source
from cache.store import Run, Store, now
from scraper.changes import compare
from scraper.errors import AnswerCut, ScrapeError, StillMoving, TableChanged, Unconfirmed
from scraper.export import Exporter
from scraper.load import Loader
from scraper.login import Session
from scraper.ranges import WHOLE, Range, server_checksums
from scraper.report import Reporter
from scraper.settings import ScraperSettings
from scraper.table import Table, read_table

log = logging.getLogger(__name__)

ROUNDS = 4  # on a busy table: exports of ranges that still differ, before they are published as unverified


def sync(
    store: Store, settings: ScraperSettings, log_in: Callable[[ScraperSettings], Session], trigger: str = "command"
) -> Run:
    """Runs one sync under the cache's sync lock and returns how it went; a failure is an outcome, not an exception.

    Raises SyncRunning where another sync holds the lock.
    """
    with store.sync_lock():
        run = Run(trigger=trigger)
        store.begin(run)
        with Reporter(store, run) as reporter:
            try:
                _Sync(store, settings, reporter).run(log_in)
            except OrdersError as error:
                log.error("sync=%s failed code=%s %s", run.id, error.code, error)
                reporter.update(outcome="failed", error=error.trouble())
            except Exception as error:
                log.exception("sync=%s failed", run.id)
                trouble = ScrapeError(f"The sync failed unexpectedly ({type(error).__name__}).").trouble()
                reporter.update(outcome="failed", error=trouble)
        store.finish(reporter.run)
        return store.runs(1)[0]


class _Sync:
    def __init__(self, store: Store, settings: ScraperSettings, reporter: Reporter) -> None:
        self._store = store
        self._settings = settings
        self._reporter = reporter

    def run(self, log_in: Callable[[ScraperSettings], Session]) -> None:
        with self._reporter.phase("login"):
            session = log_in(self._settings)
        with Exporter(session, self._settings) as export, self._store.workspace() as workspace:
            as_of = now()  # before the first statement: what was committed until here will be in
            table = self._table(export)
            source = self._source(table, session)
            before = self._before()
            loader = Loader(
                export, table, before.columns if before else (), self._store, workspace, source.timezone,
                lambda rows: self._reporter.advance(rows, export.received),
            )  # fmt: skip
            with closing(loader):
                segments, moving = self._agree(export, table, loader, _held(before, table, source))
            self._unchanged_shape(export, table)
            with self._reporter.phase("publish"):
                self._publish(before, table, source, loader, segments, moving, as_of)

    # -- the loop

    def _agree(
        self, export: Exporter, table: Table, loader: Loader, segments: list[Segment]
    ) -> tuple[list[Segment], int]:
        """Segments that cover the table from end to end, and the number of ranges that the server did not confirm."""
        moving = self._differing(export, table, segments) if segments else {WHOLE: _Pair(None, table.estimate, None)}
        stale: dict[Range, _Pair] = {}
        rounds = 0
        while stale or (moving and rounds < ROUNDS):
            rounds += 1
            todo = moving | stale
            fresh = self._export(loader, todo)
            segments = sorted([*(s for s in segments if _range(s) not in todo), *fresh], key=_place)
            asked = self._differing(export, table, fresh)
            still = [part for part, pair in asked.items() if moving.get(part) == pair]
            if still:
                raise Unconfirmed(f"Rows of {table.name} in {_words(still[0])} do not arrive as the server has them.")
            moving = asked
            stale = {_range(s): _Pair(None, s.rows, None) for s in segments if s.id in loader.stale}
            loader.stale.clear()
        if moving and table.range_key is None:
            raise AnswerCut(f"{table.name} changes faster than it can be read whole, or its export is cut.")
        return segments, len(moving)

    def _differing(self, export: Exporter, table: Table, segments: Sequence[Segment]) -> dict[Range, _Pair]:
        with self._reporter.phase("checksums", total=sum(s.rows for s in segments)):
            totals = server_checksums(export, table, [_range(s) for s in segments])
        both = zip(segments, totals, strict=True)
        return {_range(s): _Pair(s.checksum, t.rows, t.checksum) for s, t in both if (s.rows, s.checksum) != t}

    def _export(self, loader: Loader, todo: dict[Range, _Pair]) -> list[Segment]:
        self._reporter.update(exported_ranges=self._reporter.run.exported_ranges + len(todo))
        with self._reporter.phase("rows", total=sum(pair.rows for pair in todo.values())):
            return [segment for part in sorted(todo, key=_low) for segment in loader.load(part)]

    # -- before and after

    def _table(self, export: Exporter) -> Table:
        with self._reporter.phase("table"):
            return read_table(export, self._settings.phpmyadmin_database, self._settings.phpmyadmin_table)

    def _unchanged_shape(self, export: Exporter, table: Table) -> None:
        """Once more after the last checksum: a column that was renamed meanwhile would go by another name here."""
        if self._table(export).columns != table.columns:
            raise TableChanged(f"The columns of {table.name} changed while it was read.")

    def _source(self, table: Table, session: Session) -> Source:
        self._reporter.update(versions={"phpmyadmin": session.version, "server": table.server})
        return Source(
            database=table.database, table=table.name, timezone=self._settings.source_timezone, server=table.server,
            phpmyadmin=session.version,
        )  # fmt: skip

    def _before(self) -> Snapshot | None:
        """The generation to grow from; whatever is damaged in the newest is a range that differs."""
        head = self._store.head()
        try:
            return self._store.inspect(head.generation) if head else None
        except UnknownGeneration as error:
            log.warning("%s All is loaded again.", error.message)
            return None

    def _publish(
        self, before: Snapshot | None, table: Table, source: Source, loader: Loader, segments: list[Segment],
        moving: int, as_of: datetime,
    ) -> None:  # fmt: skip
        segments = _joined(segments)
        last = self._store.head()
        generation = last.generation if last else 0
        verified_at = last.verified_at if moving and last else None if moving else as_of
        busy = (
            StillMoving(f"{moving} of {len(segments)} ranges kept changing while they were read.") if moving else None
        )
        rows = sum(segment.rows for segment in segments)
        changes = Changes()
        same = before is not None and (tuple(segments), loader.columns) == (before.manifest.segments, before.columns)
        if not same:
            changes = compare(before, segments, loader.written, table)
            generation += 1
        head = Head(generation=generation, as_of=as_of, verified=not moving, verified_at=verified_at,
                    reason=busy.message if busy else None)  # fmt: skip
        if same:
            self._store.confirm(head)
        else:
            manifest = Manifest(
                generation=generation, parent=last.generation if last else None, created_at=now(), as_of=as_of,
                verified_at=verified_at, source=source, columns=loader.columns, segments=tuple(segments),
                changes=changes,
            )  # fmt: skip
            self._store.publish(manifest, head)
        self._reporter.update(
            outcome="unverified" if moving else "unchanged" if same else "published",
            generation=generation, rows=rows, ranges=len(segments), changes=changes,
            bytes=self._reporter.run.progress.bytes, error=busy.trouble() if busy else None,
        )  # fmt: skip


class _Pair(NamedTuple):
    """What we hold of a range, and what the server says: its checksum here, its rows and checksum there."""

    held: int | None
    rows: int
    checksum: int | None


def _held(before: Snapshot | None, table: Table, source: Source) -> list[Segment]:
    """The segments that can be kept if their checksums agree; none where the rows would be written otherwise now.

    The place of a segment whose files are damaged is taken by one without rows, so that its range differs.
    """
    if before is None:
        return []
    then, now_ = before.manifest.source, source
    shape = [(c.name, c.type, c.key) for c in table.columns]
    if (then.database, then.table, then.timezone) != (now_.database, now_.table, now_.timezone):
        return []
    if shape != [(c.name, c.type, c.key) for c in before.columns]:
        return []
    return [segment if before.holds(segment) else _empty(_range(segment)) for segment in before.manifest.segments]


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    """Without the segments that have no rows: their ranges go to the neighbour, so that all keys stay covered."""
    joined: list[Segment] = []
    low: int | None = None
    for segment in segments:
        if segment.rows:
            joined.append(segment.model_copy(update={"low": low}))
        elif joined:
            joined[-1] = joined[-1].model_copy(update={"high": segment.high})
        low = segment.high if joined else None
    return joined


def _empty(part: Range) -> Segment:
    return Segment(id="", rows=0, low=part.low, high=part.high, checksum=0, files={})


def _range(segment: Segment) -> Range:
    return Range(segment.low, segment.high)


def _low(part: Range) -> tuple[bool, int]:
    """The order of ranges: the one that is open below comes first."""
    return (part.low is not None, part.low or 0)


def _place(segment: Segment) -> tuple[bool, int]:
    return _low(_range(segment))


def _words(part: Range) -> str:
    return f"keys {'' if part.low is None else part.low} to {'' if part.high is None else part.high - 1}"
