"""How things stand: `/status` for clients, `/health` and `/ready` for whoever runs the service."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.errors import RETRY_SECONDS, refusal
from api.contract.json_response import Answer, ctime, iso, iso_or_none
from api.contract.parameters import parameters
from api.routes.refresh import progress
from api.routes.snapshot_view import View, Views
from cache.errors import CacheError, NoSnapshot, NoWorker
from cache.settings import Settings
from cache.storage.records import Run, Status, now
from cache.storage.store import Cache
from cache.version import VERSION


class Reports:
    """The endpoints."""

    def __init__(self, cache: Cache, settings: Settings, views: Views) -> None:
        self._cache = cache
        self._views = views
        # Two intervals and a sync that used all its time: then syncs have been failing.
        minutes = 2 * settings.sync_interval_minutes + settings.sync_timeout_minutes
        self._too_old = timedelta(minutes=minutes)

    async def health(self, request: Request) -> Response:
        """Says that the process answers; touches nothing else."""
        parameters(request)
        at = now()
        return Answer({"status": "healthy", "timestamp": ctime(at), "timestamp_iso": iso(at)})

    async def status(self, request: Request) -> Response:
        parameters(request)
        status = await run_in_threadpool(self._cache.status)
        view = await self._view()
        return Answer(_status(status, view))

    async def ready(self, request: Request) -> Response:
        """200 where fresh data can be served and kept fresh; else 503 with the reason."""
        parameters(request)
        status = await run_in_threadpool(self._cache.status)
        view = await self._view()
        if view is None and (error := status.cache_error):
            return _not_ready(error.code, f"{error.message} {error.advice}")
        if view is None:
            return _not_ready(NoSnapshot.code, f"There is no cached data to serve. {NoSnapshot.advice}")
        if now() - view.head.updated_at > self._too_old:
            return _not_ready("too_old", f"The data was last verified at {iso(view.head.updated_at)}. See GET /status.")
        if not status.workers:
            return _not_ready(NoWorker.code, f"No scheduler is alive. {NoWorker.advice}")
        return Answer({"status": "ready", "generation": view.snapshot.generation, "timestamp_iso": iso(now())})

    async def _view(self) -> View | None:
        try:
            return await self._views.get()
        except CacheError:
            return None


def _not_ready(code: str, message: str) -> Response:
    return refusal(code, message, {"Retry-After": str(RETRY_SECONDS)})


def _status(status: Status, view: View | None) -> dict[str, Any]:
    at = now()
    updated_at = view.head.updated_at if view else None
    worker = status.leader or next(iter(status.workers), None)
    misfits: Counter[str] = Counter()
    zero_dates: Counter[str] = Counter()
    for segment in view.snapshot.manifest.segments if view else ():
        misfits.update(segment.misfits)
        zero_dates.update(segment.zero_dates)
    return {
        "api_status": "online",
        "cache_exists": view is not None,
        "cache_age_minutes": int((at - updated_at).total_seconds() // 60) if updated_at else None,
        # A refresh that waits for the leader's next look is under way for whoever polls.
        "update_in_progress": status.running is not None or (status.queued > 0 and worker is not None),
        "timestamp": ctime(at),
        "timestamp_iso": iso(at),
        "generation": view.snapshot.generation if view else None,
        "rows": view.snapshot.rows if view else None,
        "verified": view.head.verified if view else None,
        "reason": view.head.reason if view else None,
        "verified_at": iso_or_none(view.head.verified_at) if view else None,
        "checked_at": iso_or_none(view.head.checked_at) if view else None,
        "last_updated": ctime(updated_at) if updated_at else None,
        "last_updated_iso": iso_or_none(updated_at),
        "progress": progress(status.running) if status.running else None,
        "last_sync": _sync(status.last) if status.last else None,
        "next_sync": iso_or_none(status.next_sync),
        "worker": {"alive": worker is not None, "host": worker.host if worker else None},
        "cache_error": status.cache_error.model_dump() if status.cache_error else None,
        "misfits": dict(misfits),
        "zero_dates": dict(zero_dates),
        "version": VERSION,
    }


def _sync(run: Run) -> dict[str, Any]:
    return {
        "result": run.outcome,
        "started_at": iso(run.started_at),
        "finished_at": iso_or_none(run.finished_at),
        "seconds": round((run.finished_at - run.started_at).total_seconds(), 3) if run.finished_at else None,
        "generation": run.generation,
        "rows": run.rows,
        "changes": run.changes.model_dump() if run.changes else None,
        "error": run.error.model_dump() if run.error else None,
    }
