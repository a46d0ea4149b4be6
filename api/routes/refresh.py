"""Refreshes: requested by `POST /refresh` or by `?refresh=true` at page loads, followed under `/tasks/{id}`.

The API never runs a sync itself. It records a request in the cache, and the scheduler that leads runs the sync. A
request by `GET` is automatic: after a refused login it starts nothing. `POST /refresh` tries once.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import admission_of
from api.contract.json_response import JsonResponse
from api.contract.queries.parameters import read_parameters
from api.contract.response_models import ChangeCounts, ErrorDetail, Progress, RefreshResult, Task
from cache.errors import CacheUnwritable, NoSnapshot, NoWorker, Trouble
from cache.settings import Settings
from cache.storage import records
from cache.storage.store import Cache


@dataclass(frozen=True)
class AutomaticRefresh:
    """What became of `refresh=true`.

    Attributes:
        info: The same in a sentence, for `_info`.
        task: The refresh; None if none was requested.
        error: Why none could be requested.
    """

    info: str
    task: records.Task | None = None
    error: Trouble | None = None


def request_automatically(cache: Cache, settings: Settings) -> AutomaticRefresh:
    """Requests a refresh.

    None starts if the last verification was less than REFRESH_MIN_SECONDS ago, or if the last sync ended with an error
    that stops the schedule, such as a refused login.
    """
    status = cache.status()
    age = status.age_seconds(records.now())
    if age is not None and age < settings.refresh_min_seconds:
        seconds = f"{settings.refresh_min_seconds:g}"
        return AutomaticRefresh(f"No refresh was started: the data was verified within the last {seconds} seconds.")
    try:
        task = cache.runs.request("api, automatic", automatic=True)
    except (NoWorker, CacheUnwritable) as error:
        return AutomaticRefresh(f"No refresh was started. {error}", error=error.trouble())
    if task.error:
        reason = f"the last sync failed. {task.error.message} {task.error.advice}"
        return AutomaticRefresh(f"No refresh was started: {reason}", error=task.error)
    return AutomaticRefresh(_what_becomes_of_it(status), task)


def _what_becomes_of_it(status: records.Status) -> str:
    """What becomes of a request to refresh. `status` is that before the request."""
    if status.queued:
        return "A refresh is about to start, and answers this request too."
    if status.running:
        return "A refresh is running; another one follows for this request."
    return "A refresh was requested and runs in the background."


def no_snapshot_error(cache: Cache, refresh: AutomaticRefresh | None) -> NoSnapshot:
    """The error while nothing is cached yet. It says why the last sync failed, and what became of `refresh=true`."""
    last = cache.status().last
    advice = refresh.info if refresh else NoSnapshot.advice
    if last and last.error:
        advice = f"The last sync failed: {last.error.message} {last.error.advice} {advice}"
    return NoSnapshot(advice=advice)


class RefreshEndpoints:
    """`POST /refresh` and `GET /tasks/{id}`.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def post(self, request: Request) -> Response:
        """Requests a refresh.

        Raises:
            NoWorker: No scheduler is alive.
        """
        read_parameters(admission_of(request).query, request.url.path)
        return await run_in_threadpool(self._post)

    def _post(self) -> Response:
        status = self._cache.status()
        task = self._cache.runs.request("api")
        address = f"/tasks/{task.id}"
        result = RefreshResult(
            status="in_progress" if status.queued or status.running else "triggered",
            message=f"{_what_becomes_of_it(status)} Follow it at {address}.",
            task_id=task.id,
        )
        return JsonResponse(result, 202, {"Location": address})

    async def get_task(self, request: Request) -> Response:
        """The state of a refresh.

        Raises:
            UnknownTask: There is none with that id.
        """
        read_parameters(admission_of(request).query, request.url.path)
        return await run_in_threadpool(self._get_task, request.path_params["id"])

    def _get_task(self, id: str) -> Response:
        task = self._cache.runs.task(id)
        running = self._cache.status().running if task.state == "running" else None
        body = Task(
            task_id=task.id,
            status=task.state,
            requested_at=task.requested_at,
            finished_at=task.finished_at,
            progress=Progress.of(running) if running and running.id == task.run else None,
            generation=task.generation,
            changes=ChangeCounts.of(task.changes) if task.changes else None,
            error=ErrorDetail.of(task.error) if task.error else None,
        )
        return JsonResponse(body)
