"""One sync: the loop that makes the copy equal to the table, from login to publish.

A first load, an hourly refresh and a repair are the same loop: ask the server for the checksums of the ranges that are
held, export the ranges that differ, ask again for those alone, until they agree.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from cache.errors import UnknownGeneration
from cache.schema import Column
from cache.storage.documents import SETUP
from cache.storage.records import Run, Task, now
from cache.storage.snapshot import Draft, Segment, Snapshot, Source, StatementDialect
from cache.storage.store import Cache
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.client.session_pool import SessionPool
from scraper.errors import HeldBack, ScrapeError, StatementBlocked, StillMoving, TableChanged
from scraper.settings import ScraperSettings
from scraper.sync.progress import Reporter
from scraper.sync.publish import newest, publish, recorded
from scraper.sync.reconcile import NOTHING, Agreement, gap
from scraper.sync.row_diff import differences
from scraper.sync.segment_assembler import Assembler
from scraper.sync.unverified_copy import copy_counted
from scraper.table import firewall
from scraper.table.checksums import Range
from scraper.table.column_inference import ColumnInference
from scraper.table.describe import read_shape
from scraper.table.table import Table

DRAFT_SECONDS = 2  # how much of a first load a killed sync may lose


def sync(
    cache: Cache,
    settings: ScraperSettings,
    log_in: Callable[[ScraperSettings], Session],
    trigger: str = "command",
    accept: bool = False,
) -> Run:
    """Runs one sync under the cache's sync lock and returns how it went; a failure is an outcome, not an exception.

    Parameters: `accept` publishes a table that would be held back; a waiting request may say so as well.

    Raises SyncRunning where another sync holds the lock.
    """

    def work(reporter: Reporter, asked: Sequence[Task]) -> None:
        whole = bool(asked) or trigger != "schedule"  # a request completes only with a verification
        _Sync(cache, settings, reporter, accept or any(task.accept for task in asked), whole).run(log_in)

    return recorded(cache, trigger, work)


class _Sync:
    def __init__(self, cache: Cache, settings: ScraperSettings, reporter: Reporter, accept: bool, whole: bool) -> None:
        self._accept = accept
        self._whole = whole
        self._cache = cache
        self._settings = settings
        self._reporter = reporter

    def run(self, log_in: Callable[[ScraperSettings], Session]) -> None:
        with self._reporter.phase("login"):
            session = log_in(self._settings)
        with SessionPool(session, self._settings, functools.partial(log_in, self._settings)) as pool:
            export = pool.first
            before = newest(self._cache)
            dialect = firewall.remembered(before.manifest.source.dialect) if before else StatementDialect()
            renewed = False
            while True:
                try:
                    return self._copy(pool, session, before, dialect)
                except StatementBlocked as error:
                    pool.cancel()
                    if not renewed and firewall.shut(export) and export.renew():
                        renewed = True
                    else:
                        dialect = firewall.around(export, dialect, error)

    def _copy(self, pool: SessionPool, session: Session, before: Snapshot | None, dialect: StatementDialect) -> None:
        with self._cache.snapshots.workspace() as workspace:
            export = pool.first
            as_of = now()  # before the first statement: what was committed until here will be in
            table = self._table(export, dialect)
            source = self._source(table, session)
            draft = _Draft(self._cache, source, table) if before is None else None
            known, held = _held(before, source, table) if before else draft.found if draft else ((), [])
            inference = ColumnInference(table, known)
            with Assembler(
                table, inference, self._cache, workspace, source.timezone, [] if before else held,
                lambda segment: draft.add(segment, inference) if draft else None,
            ) as assembler:  # fmt: skip
                seconds = self._settings.statement_seconds
                unverified_reason: ScrapeError | None = firewall.unverified_reason(dialect)
                only: set[str] | None = None
                if unverified_reason is None:
                    loop = Agreement(pool, table, assembler, seconds, self._reporter)
                    only = self._lately(before, as_of) if held else None
                    segments, moving = loop.reach(held or [NOTHING], only)
                    if moving:
                        unverified_reason = StillMoving(f"Ranges that kept changing while they were read: {moving}.")
                else:
                    segments = copy_counted(pool, table, assembler, workspace, source.timezone, seconds, self._reporter)
                self._unchanged_shape(export, table)
                if before and before.manifest.source.table == table.name and not self._accept:
                    self._hold_back(before.rows, sum(segment.rows for segment in segments))
                with self._reporter.phase("publish"):
                    columns = inference.recorded()
                    changed = differences(before, source, columns, segments, assembler, table, self._cache)
                    proven_at = as_of if only is None else self._verified_at()
                    publish(
                        self._cache, self._reporter, before, source, columns, segments, changed,
                        self._settings.changes_days, unverified_reason, as_of, proven_at,
                    )  # fmt: skip

    # -- before and after

    def _table(self, export: Exporter, dialect: StatementDialect) -> Table:
        with self._reporter.phase("table"):
            return read_shape(export, self._settings.phpmyadmin_database, self._settings.phpmyadmin_table, dialect)

    def _unchanged_shape(self, export: Exporter, table: Table) -> None:
        """Once more after the last checksum: a column that was renamed meanwhile would go by another name here."""
        if self._table(export, table.dialect).columns != table.columns:
            raise TableChanged(f"The columns of {table.name} changed while it was read.")

    def _hold_back(self, before: int, rows: int) -> None:
        if rows < before * self._settings.hold_back_below:
            raise HeldBack(f"The table has {rows:,} rows now and had {before:,}: that may be a mistake.")

    def _source(self, table: Table, session: Session) -> Source:
        self._reporter.update(versions={"phpmyadmin": session.version, "server": table.server, "login": session.way})
        timezone = self._cache.documents.read(SETUP).source_timezone or self._settings.source_timezone
        return Source(
            database=table.database, table=table.name, timezone=timezone, server=table.server,
            phpmyadmin=session.version, dialect=table.dialect,
        )  # fmt: skip

    def _verified_at(self) -> datetime | None:
        head = self._cache.snapshots.head()
        return head.verified_at if head else None

    def _lately(self, before: Snapshot | None, at: datetime) -> set[str] | None:
        """The segments that this sync compares: those with the newest rows and those that changed in the last
        generation, where all were compared lately and nobody asked; else None, for all."""
        proven = self._verified_at()
        hours = timedelta(hours=self._settings.full_check_hours)
        if self._whole or before is None or proven is None or at - proven >= hours or not before.head.verified:
            return None
        segments = before.manifest.segments
        newest = {segment.id for segment in segments[-max(2, len(segments) // 10) :]}
        try:
            former = self._cache.snapshots.inspect(before.manifest.parent or 0).manifest.segments
        except UnknownGeneration:
            return newest
        return newest | {segment.id for segment in segments} - {segment.id for segment in former}


_Held = tuple[tuple[Column, ...], list[Segment]]


def _held(before: Snapshot, source: Source, table: Table) -> _Held:
    """The columns whose kinds stay, and the segments that can be kept if their checksums agree: none of either from
    another table, no segments where the rows would be written otherwise now.

    The place of a segment whose files are damaged is taken by a gap, so that its range differs.
    """
    then = before.manifest.source
    if (then.database, then.table) != (source.database, source.table):
        return (), []
    if (
        then.timezone != source.timezone
        or then.dialect.digest != source.dialect.digest
        or _shape(table.columns) != _shape(before.columns)
    ):
        return before.columns, []
    return before.columns, [s if before.holds(s) else gap(Range(s.low, s.high)) for s in before.manifest.segments]


class _Draft:
    """What an interrupted first load has written so far: the next sync goes on there, after the same comparison.

    Segments of a first load are finished in key order, so they cover all keys up to the last one's end.
    """

    def __init__(self, cache: Cache, source: Source, table: Table) -> None:
        self._cache = cache
        self._source = source
        self._done: list[Segment] = []
        self._saved = time.monotonic()
        self.found: _Held = ((), [])
        draft = cache.snapshots.draft()
        if draft is not None and _fits(draft, source, table):
            self._done = list(draft.segments)
            end = self._done[-1].high
            self.found = (draft.columns, [*self._done, *([] if end is None else [gap(Range(end, None))])])

    def add(self, segment: Segment, inference: ColumnInference) -> None:
        end = self._done[-1].high if self._done else None
        if segment.low != end or (self._done and end is None):
            return  # written again, in another round
        self._done.append(segment)
        if inference.contradicted:
            self._done.clear()
        if time.monotonic() - self._saved > DRAFT_SECONDS:
            self._saved = time.monotonic()
            draft = Draft(source=self._source, columns=inference.recorded(final=False), segments=tuple(self._done))
            self._cache.snapshots.save_draft(draft)


def _fits(draft: Draft, source: Source, table: Table) -> bool:
    then = draft.source
    same = (then.database, then.table, then.timezone) == (source.database, source.table, source.timezone)
    return same and then.dialect.digest == source.dialect.digest and _shape(draft.columns) == _shape(table.columns)


def _shape(columns: Iterable[Column]) -> list[tuple[str, str, int]]:
    return [(column.name, column.type, column.key) for column in columns]
