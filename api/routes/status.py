"""`/status` for clients; `/health` and `/ready` for the operator of the service.

Monitors add parameters of their own, so these ignore all parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.error_responses import refusal
from api.contract.errors import SnapshotTooOld
from api.contract.json_response import JsonResponse, dump_model, iso
from api.contract.response_models import ErrorDetail, Progress
from api.contract.status_models import FiguresStatus, Health, Ready, ServiceRestarts, Status, Sync, Worker
from api.http.headers import HeaderBlock
from api.http.prepared_response import PreparedResponse
from api.routes.snapshot_view import SnapshotView, SnapshotViews
from cache.check_report import CheckReport
from cache.errors import CacheError, CacheFormat, CacheUnreachable, CacheUnwritable, NoSnapshot, NoWorker, WarmingUp
from cache.settings import Settings
from cache.storage import records
from cache.storage.documents import RESTARTS, RESTARTS_SHOWN, Restarts
from cache.storage.records import AHEAD, known, now
from cache.storage.store import Cache
from cache.version import VERSION

PATH = "/status"
MINUTE = timedelta(minutes=1)
SECONDS_KEPT = 2  # as often as workers say that they are alive
_HEADERS = HeaderBlock({"Content-Type": "application/json", "Cache-Control": "no-store"})


class _State(NamedTuple):
    """What a status is made from.

    Attributes:
        mark: What differs if it has changed; None if that cannot be told.
        read_at: When it was read.
        status: The state of the cache.
        restarts: What crashed.
        view: The newest generation.
    """

    mark: object
    read_at: datetime
    status: records.Status
    restarts: Restarts
    view: SnapshotView | None


class _Kept(NamedTuple):
    """A response that is kept.

    Attributes:
        response: The response.
        state: What it was made from.
        since: When it was made. A clock that was set back is before that.
        until: When it says something else though nothing has changed.
    """

    response: PreparedResponse
    state: _State
    since: datetime
    until: datetime


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
        self._kept: _Kept | None = None
        self._reading = asyncio.Lock()
        # Two intervals and the time limit of a sync: after that, syncs must have been failing.
        minutes = 2 * settings.sync_interval_minutes + settings.sync_timeout_minutes
        self._max_age = timedelta(minutes=minutes)

    async def health(self, _: Request) -> Response:
        """Says that the process answers. It reads nothing from the cache."""
        at = now()
        return JsonResponse(Health(status="healthy", timestamp=at, timestamp_iso=at))

    def try_prepared(self) -> PreparedResponse | None:
        """Returns the response to `GET /status` from what was last read, if nothing has changed since, else None.

        Ages and times in it are those of now. What only silence shows, such as a worker that was killed, is read again
        after SECONDS_KEPT: then one request gets None, and reads while the others are served from memory.
        """
        kept, at = self._kept, now()
        if kept is None or kept.state.mark != self._mark():
            return None
        if not _is_fresh(kept.state, at, 2 if self._reading.locked() else 1):
            return None
        if not kept.since <= at < kept.until:
            kept = self._kept = _render(kept.state, at)
        return kept.response

    async def status(self, _: Request) -> PreparedResponse:
        """The state of the cache and of syncs."""
        async with self._reading:  # many clients poll: one of them reads, and the others wait for it
            kept = self._kept
            if kept is None or kept.state.mark != self._mark() or not _is_fresh(kept.state, now()):
                kept = _render(await self._read(), now())
                self._kept = kept if kept.state.mark else None
        return self.try_prepared() or kept.response

    async def _read(self) -> _State:
        mark, at = self._mark(), now()  # first: what changes from now on makes the rest outdated
        status = await run_in_threadpool(self._cache.status)
        restarts = await run_in_threadpool(self._cache.documents.read, RESTARTS)
        return _State(mark, at, status, restarts, await self._newest_view())

    def _mark(self) -> object | None:
        """What differs if the cache has changed. It takes microseconds. None if it cannot be read."""
        try:
            version, pointer = self._cache.runs.known_version(), self._cache.snapshots.pointer()
        except CacheError:
            return None
        view = self._views.open_view()
        return version, pointer, view.generation if view else None

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


def _is_fresh(state: _State, at: datetime, periods: int = 1) -> bool:
    return 0 <= (at - state.read_at).total_seconds() < SECONDS_KEPT * periods


def _render(state: _State, at: datetime) -> _Kept:
    body = dump_model(_status(state.status, state.restarts, state.view, at))
    until = min(moment for moment in _next_moments(state.view, state.restarts, at) if moment > at)
    return _Kept(PreparedResponse(200, _HEADERS, [], [body]), state, at, until)


def _next_moments(view: SnapshotView | None, restarts: Restarts, at: datetime) -> Iterator[datetime]:
    """When a status says something else though nothing has changed; some of them are in the past."""
    yield at.replace(microsecond=0) + timedelta(seconds=1)
    yield from (each.last_at + RESTARTS_SHOWN for each in restarts.services)
    for moment in (view.head.updated_at, view.head.verified_at, view.head.checked_at) if view else ():
        if moment:
            yield moment - AHEAD  # from then on it is known
    if view:
        age = max(timedelta(), at - view.head.updated_at)
        yield view.head.updated_at + (age // MINUTE + 1) * MINUTE


def _status(status: records.Status, restarts: Restarts, view: SnapshotView | None, at: datetime) -> Status:
    head = view.head if view else None
    updated_at = known(head.updated_at) if head else None
    worker = status.leader or next(iter(status.workers), None)
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
        misfits=view.misfits if view else {},
        zero_dates=view.zero_dates if view else {},
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
