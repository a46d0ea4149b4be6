"""`/status` for clients; `/health` and `/ready` for the operator of the service.

Monitors add parameters of their own, so these ignore all parameters.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.error_responses import refusal
from api.contract.errors import SnapshotTooOld
from api.contract.json_response import JsonResponse, iso
from api.contract.response_models import ErrorDetail, Progress
from api.contract.status_models import FiguresStatus, Health, Ready, ServiceRestarts, Status, Sync, Worker
from api.routes.snapshot_view import SnapshotView, SnapshotViews
from cache.check_report import CheckReport
from cache.errors import CacheError, CacheFormat, CacheUnreachable, CacheUnwritable, NoSnapshot, NoWorker, WarmingUp
from cache.settings import Settings
from cache.storage import records
from cache.storage.documents import RESTARTS, Restarts
from cache.storage.records import known, now
from cache.storage.store import Cache
from cache.version import VERSION


class StatusEndpoints:
    """The endpoints.

    Args:
        cache: The cache.
        settings: Say how often syncs run and how long they may take.
        views: The open generations.
    """

    def __init__(self, cache: Cache, settings: Settings, views: SnapshotViews) -> None:
        self._cache = cache
        self._views = views
        # Two intervals and the time limit of a sync: after that, syncs must have been failing.
        minutes = 2 * settings.sync_interval_minutes + settings.sync_timeout_minutes
        self._max_age = timedelta(minutes=minutes)

    async def health(self, _: Request) -> Response:
        """Says that the process answers. It reads nothing from the cache."""
        at = now()
        return JsonResponse(Health(status="healthy", timestamp=at, timestamp_iso=at))

    async def status(self, _: Request) -> Response:
        """The state of the cache and of syncs."""
        status = await run_in_threadpool(self._cache.status)
        restarts = await run_in_threadpool(self._cache.documents.read, RESTARTS)
        return JsonResponse(_status(status, restarts, await self._newest_view()))

    async def ready(self, _: Request) -> Response:
        """200 if fresh rows can be served and kept fresh; else 503 with the reason."""
        status = await run_in_threadpool(self._cache.status)
        view = await self._newest_view()
        if view is None and status.cache_error and status.cache_error.code == CacheFormat.code:
            return refusal(CacheFormat(status.cache_error.message, status.cache_error.advice))
        if view is None:
            return refusal(await run_in_threadpool(self._why_nothing))
        updated_at = known(view.head.updated_at)
        if updated_at is None or now() - updated_at > self._max_age:
            return refusal(SnapshotTooOld(iso(updated_at) if updated_at else None))
        if not status.workers and not _is_unreachable(status):  # a host goes on with its copy, until that is too old
            return refusal(await run_in_threadpool(self._why_no_worker))
        return JsonResponse(Ready(status="ready", generation=view.generation, timestamp_iso=now()))

    def _why_nothing(self) -> CacheError:
        try:
            self._cache.snapshots.open()
        except WarmingUp as error:
            return error
        except CacheError:
            pass
        return NoSnapshot()

    def _why_no_worker(self) -> CacheError:
        try:
            self._cache.runs.require_writable()
        except CacheUnwritable as error:
            return error
        return NoWorker()

    async def _newest_view(self) -> SnapshotView | None:
        try:
            return await self._views.get()
        except CacheError:
            return None


def _is_unreachable(status: records.Status) -> bool:
    return status.cache_error is not None and status.cache_error.code == CacheUnreachable.code


def _status(status: records.Status, restarts: Restarts, view: SnapshotView | None) -> Status:
    at = now()
    head = view.head if view else None
    updated_at = known(head.updated_at) if head else None
    worker = status.leader or next(iter(status.workers), None)
    misfits: Counter[str] = Counter()
    zero_dates: Counter[str] = Counter()
    for segment in view.snapshot.manifest.segments if view else ():
        misfits.update(segment.misfits)
        zero_dates.update(segment.zero_dates)
    return Status(
        api_status="online",
        cache_exists=view is not None,
        cache_age_minutes=max(0, int((at - updated_at).total_seconds() // 60)) if updated_at else None,
        # For clients that poll, a refresh that the scheduler has not yet seen is under way as well.
        update_in_progress=status.running is not None or (status.queued > 0 and worker is not None),
        timestamp=at,
        timestamp_iso=at,
        generation=view.generation if view else None,
        rows=view.rows if view else None,
        verified=head.verified if head else None,
        reason=head.reason if head else None,
        verified_at=known(head.verified_at) if head else None,
        checked_at=known(head.checked_at) if head else None,
        last_updated=updated_at,
        last_updated_iso=updated_at,
        progress=Progress.of(status.running) if status.running else None,
        last_sync=Sync.of(status.last) if status.last else None,
        next_sync=status.next_sync,
        worker=Worker(alive=worker is not None, host=worker.host if worker else None),
        cache_error=ErrorDetail.of(status.cache_error) if status.cache_error else None,
        misfits=dict(misfits),
        zero_dates=dict(zero_dates),
        figures=_figures(view.checks) if view and view.checks else None,
        restarts=tuple(ServiceRestarts.of(each) for each in restarts.recent(at)),
        version=VERSION,
    )


def _figures(report: CheckReport) -> FiguresStatus:
    return FiguresStatus(
        ok=report.ok,
        reading="confirmed" if report.confirmed else "open",
        failing=report.failing,
        questions=report.questions,
    )
