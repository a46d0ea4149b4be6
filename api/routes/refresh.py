"""Refreshes: asked for by POST, or by `?refresh=true` at page loads; followed under `/tasks/{id}`.

A reader never runs a sync. It records a request in the cache, and whoever leads runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.errors import pending
from api.contract.json_response import Answer, iso, iso_or_none
from api.contract.parameters import parameters
from cache.errors import NoSnapshot, NoWorker, Trouble
from cache.settings import Settings
from cache.storage.records import Run, Task, now
from cache.storage.store import Cache


@dataclass(frozen=True)
class Asked:
    """What became of an automatic request: a task, or nothing since the data is new enough, or an error."""

    info: str
    task: Task | None = None
    error: Trouble | None = None


def ask_automatically(cache: Cache, settings: Settings) -> Asked:
    """`?refresh=true`: starts nothing within REFRESH_MIN_SECONDS of the last verification."""
    status = cache.status()
    age = status.age_seconds(now())
    if age is not None and age < settings.refresh_min_seconds:
        least = f"{settings.refresh_min_seconds:g}"
        return Asked(f"No refresh was started: the data was verified within the last {least} seconds.")
    try:
        task = cache.runs.request("api, automatic")
    except NoWorker as error:
        return Asked(f"No refresh was started. {error}", error=error.trouble())
    if status.queued:
        return Asked("A refresh is about to start, and answers this request too.", task)
    if status.running:
        return Asked("A refresh is running; another one follows for this request.", task)
    return Asked("A refresh was requested and runs in the background.", task)


def nothing_cached(cache: Cache, asked: Asked | None) -> Response:
    """503 until the first sync has published; says what is known of it."""
    last = cache.status().last
    parts = ["No cached data available."]
    if last and last.error:
        parts.append(f"The last sync failed: {last.error.message} {last.error.advice}")
    parts.append(asked.info if asked else NoSnapshot.advice)
    return pending(" ".join(parts))


class Refresh:
    """The endpoints `POST /refresh` and `GET /tasks/{id}`."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def post(self, request: Request) -> Response:
        parameters(request)
        return await run_in_threadpool(self._post)

    def _post(self) -> Response:
        running = self._cache.status().running
        task = self._cache.runs.request("api")
        if running:
            state, message = "in_progress", "A refresh is running; another one follows for this request."
        else:
            state, message = "triggered", "A refresh was requested and runs in the background."
        address = f"/tasks/{task.id}"
        body = {"status": state, "message": f"{message} Follow it at {address}.", "task_id": task.id}
        return Answer(body, 202, {"Location": address})

    async def get(self, request: Request) -> Response:
        parameters(request)
        return await run_in_threadpool(self._get, request.path_params["id"])

    def _get(self, id: str) -> Response:
        task = self._cache.runs.task(id)
        running = self._cache.status().running if task.state == "running" else None
        body = {
            "task_id": task.id,
            "status": task.state,
            "requested_at": iso(task.requested_at),
            "finished_at": iso_or_none(task.finished_at),
            "progress": progress(running) if running and running.id == task.run else None,
            "generation": task.generation,
            "changes": task.changes.model_dump() if task.changes else None,
            "error": task.error.model_dump() if task.error else None,
        }
        return Answer(body)


def progress(run: Run) -> dict[str, Any]:
    """How far a sync is: rows of how many (0: not known yet), bytes received, and the fraction done, if known."""
    at = run.progress
    return {"phase": at.phase, "rows": at.done, "total": at.total, "bytes": at.bytes, "fraction": at.fraction}
