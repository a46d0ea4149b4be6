"""Error responses.

All have one shape:

    {"status": "error", "message": "What failed. What to do next.", "code": "what_programs_read"}

`status` is "pending" while nothing has been cached yet. 503 and 429 carry `Retry-After`, 401 and `forbidden`
`WWW-Authenticate`, 405 `Allow`. The cause of an internal error goes to the log once, and never into a response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.contract import errors
from api.contract.error_codes import CODES, REFRESH_FAILED
from api.contract.json_response import JsonResponse
from api.contract.response_models import Error
from cache.errors import NoSnapshot, OrdersError

RETRY_SECONDS = 10  # for `Retry-After`: a first sync takes seconds to minutes


def refusal(
    error: OrdersError, headers: Mapping[str, str] | None = None, state: Literal["error", "pending"] = "error"
) -> Response:
    """The response for an error.

    Args:
        error: One whose code is in CODES.
        headers: Headers beside those that its status needs.
        state: The `status` of the body.
    """
    status = CODES[error.code].status
    needed = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    if isinstance(error, errors.ApiError) and error.challenge:
        needed["WWW-Authenticate"] = error.challenge
    return JsonResponse(Error(status=state, message=str(error), code=error.code), status, {**needed, **(headers or {})})


async def on_orders_error(_: Request, error: Exception) -> Response:
    """Handles the errors of this product. One without a code of the API is a fault: it is raised again."""
    assert isinstance(error, OrdersError)
    if error.code not in CODES:
        raise error
    return refusal(error, state="pending" if isinstance(error, NoSnapshot) else "error")


async def on_refresh_failed(_: Request, error: Exception) -> Response:
    """Handles a failed `wait=true`."""
    assert isinstance(error, errors.RefreshFailed)
    trouble = error.trouble
    own = trouble.code in (errors.RefreshTimeout.code, errors.ShuttingDown.code)
    body = Error(
        status="error", message=f"{trouble.message} {trouble.advice}", code=trouble.code, task_id=error.task_id
    )
    status = CODES[trouble.code].status if own else REFRESH_FAILED
    return JsonResponse(body, status, {"Location": f"/tasks/{error.task_id}"})


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handles what the router raises: an unknown path, or a method that the path does not take."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return refusal(errors.NotFound())
    if error.status_code != 405:
        raise error
    allowed = sorted(error.headers["Allow"].split(", ")) if error.headers else []
    return refusal(errors.MethodNotAllowed(request.method, allowed), {"Allow": ", ".join(allowed)})


async def on_client_gone(_: Request, __: Exception) -> Response:
    """Handles a client that disconnected. Nobody reads the response; the access log records it."""
    return refusal(errors.ClientGone())


async def on_internal_error(_: Request, __: Exception) -> Response:
    """Handles all other exceptions. The server logs the exception itself."""
    return refusal(errors.InternalError())
