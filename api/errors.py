"""Every error of the API has one shape:

    {"status": "error", "message": "What failed. What to do next.", "code": "what_programs_read"}

`status` is "pending" instead where nothing has been cached yet. 503 carries `Retry-After`, 401 `WWW-Authenticate`,
405 `Allow`, 429 `Retry-After`. What went wrong inside goes to the log, once, and never into an answer.

| code | HTTP | |
| --- | --- | --- |
| bad_request, client_gone | 400 | what arrived is no HTTP request, or not whole |
| parameter_invalid | 400 | a parameter is unknown, given twice, or does not parse |
| bad_filter, query_refused, too_many_rows | 400 | what the columns, the engine or the format do not take |
| unauthorized | 401 | no key, a wrong one, or one that has expired |
| signature_invalid, signature_expired | 401 | a signed address was changed, or its time is over |
| forbidden, column_masked | 403 | the key lacks the scope, or may not see the column |
| not_found, unknown_task | 404 | no such address, no such refresh |
| method_not_allowed | 405 | the address exists, the method does not |
| too_slow, body_too_large, head_too_large | 408, 413, 431 | the request is beyond api/connection.py's bounds |
| no_key | 409 | the table has no key, so its changes cannot be told |
| unknown_generation, changes_gone | 410 | what was asked for is not kept any more |
| rate_limited | 429 | too many requests, or too many wrong keys |
| unknown_generation | 410 | that generation is no longer kept |
| internal_error | 500 | a fault of ours |
| the code of what failed | 502 | the refresh that `wait` asked for; with `task_id` and `Location` |
| no_snapshot, no_worker, too_old, snapshot_damaged, cache_unwritable | 503 | see the message |
| query_timeout, scan_failed, scan_busy | 503 | a scan did not come to its end, or to its turn |
| timeout | 504 | the refresh that `wait` asked for goes on; with `task_id` and `Location` |
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer
from cache.errors import (
    BadFilter,
    CacheError,
    ChangesGone,
    ColumnMasked,
    NoKey,
    NoSnapshot,
    OrdersError,
    QueryRefused,
    SyncRunning,
    TooManyRows,
    Trouble,
    UnknownGeneration,
    UnknownTask,
)

RETRY_SECONDS = 10  # what `Retry-After` says: a first sync takes seconds to minutes


class ParameterInvalid(OrdersError):
    """A parameter is unknown or does not parse. The message names it, the advice what is taken."""

    code = "parameter_invalid"


class Forbidden(OrdersError):
    """The key is right, and lacks the scope."""

    code = "forbidden"


class Unfinished(Exception):
    """A refresh that `wait=true` asked for has failed, or not ended in time. Parameters: its task, what went wrong."""

    def __init__(self, task: str, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.task = task
        self.trouble = trouble


_STATUS: dict[type[OrdersError], int] = {
    BadFilter: 400, QueryRefused: 400, TooManyRows: 400, Forbidden: 403, ColumnMasked: 403, UnknownTask: 404,
    UnknownGeneration: 410, ChangesGone: 410, NoKey: 409, SyncRunning: 409, CacheError: 503,
}  # fmt: skip


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The one error shape."""
    return Answer({"status": "error", "message": message, "code": code}, status, headers)


def unauthorized() -> Response:
    return refusal(401, "unauthorized", "Unauthorized access", {"WWW-Authenticate": "Bearer"})


def pending(message: str) -> Response:
    """Nothing has been cached yet."""
    return Answer(
        {"status": "pending", "message": message, "code": NoSnapshot.code}, 503, {"Retry-After": str(RETRY_SECONDS)}
    )


async def on_own_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OrdersError)
    if isinstance(error, NoSnapshot):
        return pending(str(error))
    if isinstance(error, ParameterInvalid):
        return refusal(400, error.code, str(error))
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    return refusal(status, error.code, str(error), {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None)


async def on_unfinished(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unfinished)
    trouble = error.trouble
    body = {"status": "error", "message": f"{trouble.message} {trouble.advice}", "code": trouble.code}
    status = {"timeout": 504, "shutting_down": 503}.get(trouble.code, 502)
    return Answer(body | {"task_id": error.task}, status, {"Location": f"/tasks/{error.task}"})


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    if error.status_code == 404:
        return refusal(404, code, "There is nothing at this address. GET /demo shows every endpoint.")
    if error.status_code == 405:
        taken = ", ".join(sorted(error.headers["Allow"].split(", "))) if error.headers else ""
        message = f"This address does not take {request.method}. It takes {taken}."
        return refusal(405, code, message, {"Allow": taken})
    return refusal(error.status_code, code, f"{phrase}. GET /demo shows every endpoint.", error.headers)


async def on_client_gone(_: Request, __: Exception) -> Response:
    """Nobody reads it; the access log has it."""
    return refusal(400, "client_gone", "The client went away before its request had arrived.")


async def on_fault(_: Request, __: Exception) -> Response:
    """The exception itself goes on to the server, which logs it."""
    return refusal(500, "internal_error", "The API failed to answer this request. Try again; the log has the cause.")
