"""Every error of the API has one shape:

    {"status": "error", "message": "What failed. What to do next.", "code": "what_programs_read"}

`status` is "pending" instead where nothing has been cached yet. 503 carries `Retry-After`, 401 `WWW-Authenticate`,
405 `Allow`, 429 `Retry-After`. What went wrong inside goes to the log, once, and never into an answer.

api/contract/error_codes.py lists the codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.contract.error_codes import CODES, REFRESH_FAILED
from api.contract.json_response import Answer
from cache.errors import NoSnapshot, OrdersError, Trouble

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


def refusal(code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The one error shape. Parameters: `code` is one of CODES."""
    return Answer({"status": "error", "message": message, "code": code}, CODES[code].status, headers)


def unauthorized() -> Response:
    return refusal("unauthorized", "Unauthorized access", {"WWW-Authenticate": "Bearer"})


def pending(message: str) -> Response:
    """Nothing has been cached yet."""
    return Answer(
        {"status": "pending", "message": message, "code": NoSnapshot.code}, 503, {"Retry-After": str(RETRY_SECONDS)}
    )


async def on_own_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OrdersError)
    if isinstance(error, NoSnapshot):
        return pending(str(error))
    if error.code not in CODES:
        raise error
    status = CODES[error.code].status
    return refusal(error.code, str(error), {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None)


async def on_unfinished(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unfinished)
    trouble = error.trouble
    body = {"status": "error", "message": f"{trouble.message} {trouble.advice}", "code": trouble.code}
    status = CODES[trouble.code].status if trouble.code in ("timeout", "shutting_down") else REFRESH_FAILED
    return Answer(body | {"task_id": error.task}, status, {"Location": f"/tasks/{error.task}"})


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the router says of an address or a method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return refusal("not_found", CODES["not_found"].message)
    if error.status_code != 405:
        raise error
    taken = ", ".join(sorted(error.headers["Allow"].split(", "))) if error.headers else ""
    message = f"This address does not take {request.method}. It takes {taken}."
    return refusal("method_not_allowed", message, {"Allow": taken})


async def on_client_gone(_: Request, __: Exception) -> Response:
    """Nobody reads it; the access log has it."""
    return refusal("client_gone", CODES["client_gone"].message)


async def on_fault(_: Request, __: Exception) -> Response:
    """The exception itself goes on to the server, which logs it."""
    return refusal("internal_error", CODES["internal_error"].message)
