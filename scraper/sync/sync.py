"""One sync: makes the copy equal to the table, from login to publish.

A first load, an hourly refresh and a repair run the same loop (`reconcile`): compare the checksums of the copy with the
checksums of the server, export the ranges that differ, and compare again until all ranges agree.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cache.errors import UnknownGeneration
from cache.storage.documents import SETUP
from cache.storage.records import CheckGeneration, Run, Task, known, now
from cache.storage.snapshot import Segment, Snapshot
from cache.storage.source import Source, StatementDialect
from cache.storage.store import Cache
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.client.session_pool import SessionPool
from scraper.errors import HeldBack, ScrapeError, StatementBlocked, StatementRefused, StillMoving, TableChanged
from scraper.settings import ScraperSettings
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.draft import CachedRows, DraftLoad, cached_in_snapshot
from scraper.sync.progress import Reporter
from scraper.sync.publish import TableCopy, newest, publish, recorded
from scraper.sync.reconcile import EMPTY_TABLE, Reconciliation
from scraper.sync.row_diff import row_changes
from scraper.sync.segment_assembler import SegmentAssembler
from scraper.sync.unverified_copy import copy_counted
from scraper.table import firewall
from scraper.table.describe import read_table
from scraper.table.table import Table


def sync(
    cache: Cache,
    settings: ScraperSettings,
    log_in: Callable[[ScraperSettings], Session],
    trigger: str = "command",
    accept: bool = False,
    check: CheckGeneration | None = None,
) -> Run:
    """Runs one sync under the sync lock of the cache. A failed sync has the outcome `failed` and raises no exception.

    Args:
        cache: The cache that stores the copy.
        settings: Login, table and limits.
        log_in: Opens a phpMyAdmin session.
        trigger: Why the sync runs, for the history. A sync by `schedule` may skip old segments.
        accept: Whether to publish a table that lost so many rows that it would be held back. A waiting request can set
            this, too.
        check: Checks the generation before it is published; None: it is published without checks.

    Returns:
        The record of the sync, with its outcome.

    Raises:
        SyncRunning: Another sync holds the lock.
    """

    def work(reporter: Reporter, requests: Sequence[Task]) -> None:
        compare_all = bool(requests) or trigger != "schedule"  # requests wait for a full verification
        accepted = accept or any(request.accept for request in requests)
        _Sync(cache, settings, reporter, accepted, compare_all, check).run(log_in)

    return recorded(cache, trigger, work)


class _Sync:
    def __init__(
        self,
        cache: Cache,
        settings: ScraperSettings,
        reporter: Reporter,
        accept: bool,
        compare_all: bool,
        check: CheckGeneration | None,
    ) -> None:
        self._check = check
        self._accept = accept
        self._compare_all = compare_all
        self._cache = cache
        self._settings = settings
        self._reporter = reporter

    def run(self, log_in: Callable[[ScraperSettings], Session]) -> None:
        with self._reporter.phase("login"):
            session = log_in(self._settings)
        with SessionPool(session, self._settings, functools.partial(log_in, self._settings)) as pool:
            before = newest(self._cache)
            dialect = firewall.remembered(before.manifest.source.dialect) if before else StatementDialect()
            while True:
                try:
                    with self._cache.snapshots.workspace() as workspace:
                        return self._copy(pool, session, before, dialect, workspace)
                except StatementBlocked as error:
                    pool.cancel()
                    dialect = firewall.next_dialect(pool.first, dialect, error)

    def _copy(
        self, pool: SessionPool, session: Session, before: Snapshot | None, dialect: StatementDialect, workspace: Path
    ) -> None:
        as_of = now()  # before the first statement: the copy will contain everything committed by now
        table = self._table(pool.first, dialect)
        source = self._source(table, session)
        draft = DraftLoad(self._cache.snapshots, source, table.columns) if before is None else None
        cached = self._cached(before, draft, source, table)
        assembler = SegmentAssembler(
            table,
            cached.columns,
            self._cache.snapshots,
            workspace,
            source.timezone,
            cached=cached.segments,
            on_segment=draft.add if draft else None,
        )
        with AssemblerThread(assembler) as thread:
            only = self._recent_segments(before, as_of) if cached.segments else None
            try:
                segments, unverified_reason = self._segments(
                    pool, table, thread, cached.segments, only, workspace, source.timezone
                )
            except StatementRefused:  # a column was renamed, or the table is gone
                pool.cancel()
                self._refuse_changed_columns(pool.first, table)
                raise
            self._refuse_changed_columns(pool.first, table)
            if before and before.manifest.source.table == table.name and not self._accept:
                self._hold_back(before.rows, sum(segment.rows for segment in segments))
            with self._reporter.phase("publish"):
                columns = thread.columns()
                copy = TableCopy(
                    before=before,
                    source=source,
                    columns=columns,
                    segments=tuple(segments),
                    changed_rows=row_changes(before, source, columns, segments, table, self._cache.snapshots),
                    as_of=as_of,
                    proven_at=as_of if only is None else self._verified_at(),
                    unverified_reason=unverified_reason,
                )
                keep_changes = timedelta(days=self._settings.changes_days)
                publish(self._cache, self._reporter, copy, keep_changes, self._check)

    def _segments(
        self,
        pool: SessionPool,
        table: Table,
        assembler: AssemblerThread,
        cached: Sequence[Segment],
        only: set[str] | None,
        workspace: Path,
        timezone: str,
    ) -> tuple[list[Segment], ScrapeError | None]:
        """Returns segments of all rows; if they are not proven equal to the table, also the reason."""
        seconds = self._settings.statement_seconds
        unverified_reason = firewall.unverified_reason(table.dialect)
        if unverified_reason is not None:
            copied = copy_counted(pool, table, assembler, workspace, timezone, seconds, self._reporter)
            return copied, unverified_reason
        reconciliation = Reconciliation(pool, table, self._cache.snapshots, assembler, seconds, self._reporter)
        segments, unconfirmed = reconciliation.run(cached or [EMPTY_TABLE], only)
        if unconfirmed:
            return segments, StillMoving(f"Key ranges that kept changing during the sync: {unconfirmed}.")
        return segments, None

    # -- before and after

    def _cached(self, before: Snapshot | None, draft: DraftLoad | None, source: Source, table: Table) -> CachedRows:
        if before is not None:
            return cached_in_snapshot(self._cache.snapshots, before, source, table.columns)
        return draft.cached if draft is not None else CachedRows()

    def _table(self, exporter: Exporter, dialect: StatementDialect) -> Table:
        with self._reporter.phase("table"):
            return read_table(exporter, self._settings.phpmyadmin_database, self._settings.phpmyadmin_table, dialect)

    def _refuse_changed_columns(self, exporter: Exporter, table: Table) -> None:
        """Reads the columns again after the last checksum. A column renamed during the sync would keep its old name."""
        if self._table(exporter, table.dialect).columns != table.columns:
            raise TableChanged(f"The columns of {table.name} changed during the sync.")

    def _hold_back(self, rows_before: int, rows: int) -> None:
        if rows < rows_before * self._settings.hold_back_below:
            raise HeldBack(f"The table has {rows:,} rows now. It had {rows_before:,}. This may be a mistake.")

    def _source(self, table: Table, session: Session) -> Source:
        self._reporter.update(versions={"phpmyadmin": session.version, "server": table.server, "login": session.method})
        return Source(
            database=table.database,
            table=table.name,
            timezone=self._cache.documents.read(SETUP).source_timezone or self._settings.source_timezone,
            server=table.server,
            phpmyadmin=session.version,
            dialect=table.dialect,
        )

    def _verified_at(self) -> datetime | None:
        head = self._cache.snapshots.head()
        return known(head.verified_at) if head else None

    def _recent_segments(self, before: Snapshot | None, at: datetime) -> set[str] | None:
        """Returns the ids of the segments to compare; None: all.

        A scheduled sync compares only the segments with the newest rows and the segments that the last generation
        changed, if a sync verified all segments within the last FULL_CHECK_HOURS.
        """
        verified_at = self._verified_at()
        hours = timedelta(hours=self._settings.full_check_hours)
        if self._compare_all or before is None or verified_at is None or at - verified_at >= hours:
            return None
        if not before.head.verified:
            return None
        segments = before.manifest.segments
        newest_rows = {segment.id for segment in segments[-max(2, len(segments) // 10) :]}
        try:
            former = self._cache.snapshots.inspect(before.manifest.parent or 0).manifest.segments
        except UnknownGeneration:
            return newest_rows
        return newest_rows | {segment.id for segment in segments} - {segment.id for segment in former}
