"""Errors that the API itself raises. cache/errors.py has those of the cache.

OrdersError
`- ApiError
   |- BadRequest          400  the request is not valid HTTP
   |- ClientGone          400  the client disconnected before its request was complete
   |- ParameterInvalid    400  a parameter is unknown, missing, given twice, or does not parse
   |- Unauthorized        401  no key, or a wrong one
   |- SignatureInvalid    401  a signed address was changed, or its key is gone
   |- SignatureExpired    401  a signed address has expired
   |- Forbidden           403  the key lacks the scope
   |- NotFound            404  no such path
   |- UnknownFeed         404  no such feed, or no longer
   |- MethodNotAllowed    405  the path does not take this method
   |- RequestTooSlow      408  the request took too long to arrive
   |- BodyTooLarge        413  the body is too long
   |- RateLimited         429  too many requests, or too many wrong keys
   |- HeadTooLarge        431  address and headers are too long
   |- InternalError       500  a fault in the API
   |- SnapshotTooOld      503  syncs have been failing
   |- ShuttingDown        503  the API stops
   `- RefreshTimeout      504  a refresh takes longer than the request may wait
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cache.access.api_keys import Scope
from cache.access.client_limits import Refusal
from cache.errors import OrdersError, Trouble

_INVALID = 'Bearer error="invalid_token"'
_BASIC = 'Basic realm="orders", charset="UTF-8"'


class ApiError(OrdersError):
    """Base of the errors that the API raises.

    Attributes:
        status: The HTTP status.
        challenge: The header `WWW-Authenticate` of the response (RFC 6750, 3; RFC 7617, 2); empty: it has none.
    """

    status: ClassVar[int]
    challenge: str = ""


class BadRequest(ApiError):
    """The request is not valid HTTP."""

    code, status = "bad_request", 400
    advice = "GET /demo shows requests that work."

    def __init__(self) -> None:
        super().__init__(Refusal.NOT_HTTP.sentence)


class ClientGone(ApiError):
    """The client disconnected before its request was complete."""

    code, status = "client_gone", 400
    advice = "Send the whole request."

    def __init__(self) -> None:
        super().__init__("The client disconnected before its request was complete.")


class ParameterInvalid(ApiError):
    """A parameter is unknown, missing, given twice, or does not parse.

    The message names the parameter. The advice says what is accepted.
    """

    code, status = "parameter_invalid", 400


class Unauthorized(ApiError):
    """No key, a wrong key, or one that has expired. The message is fixed by the contract."""

    code, status = "unauthorized", 401
    advice = ""

    def __init__(self, is_wrong: bool = False, asks_for_basic: bool = False) -> None:
        """The error.

        Args:
            is_wrong: Whether the request has a key.
            asks_for_basic: Whether the client is one that asks its user for a password: a browser, a spreadsheet.
        """
        super().__init__("Unauthorized access")
        self.challenge = _BASIC if asks_for_basic else _INVALID if is_wrong else "Bearer"

    def __str__(self) -> str:
        return self.message


class SignatureInvalid(ApiError):
    """A signed address was changed, or its key is gone."""

    code, status, challenge = "signature_invalid", 401, _INVALID
    advice = "Sign the address again."

    def __init__(self) -> None:
        super().__init__("The signature does not match: the address was changed, or its key is gone.")


class SignatureExpired(ApiError):
    """A signed address has expired."""

    code, status, challenge = "signature_expired", 401, _INVALID
    advice = "Sign the address again."

    def __init__(self) -> None:
        super().__init__("This signed address has expired.")


class Forbidden(ApiError):
    """The key is right, but it lacks the scope."""

    code, status = "forbidden", 403

    def __init__(self, key_name: str, scope: Scope) -> None:
        action = "read rows" if scope == "read" else "request a refresh"
        super().__init__(
            f"The key '{key_name}' may not {action}.",
            f"Use a key with the scope `{scope}`: `python -m api keys add NAME --scope {scope}` makes one.",
        )
        self.challenge = f'Bearer error="insufficient_scope", scope="{scope}"'


class NotFound(ApiError):
    """There is no such path."""

    code, status = "not_found", 404
    advice = "GET /demo shows every endpoint."

    def __init__(self) -> None:
        super().__init__("There is nothing at this address.")


class UnknownFeed(ApiError):
    """There is no feed with that token: there never was, it was revoked, or it has expired."""

    code, status = "unknown_feed", 404
    advice = "Ask whoever gave it to you for a new one: `python -m api feeds add` makes one."

    def __init__(self) -> None:
        super().__init__("There is no feed at this address, or no longer.")


class MethodNotAllowed(ApiError):
    """The path does not take this method."""

    code, status = "method_not_allowed", 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"This address does not take {method}.", f"It takes {', '.join(allowed)}.")


class RequestTooSlow(ApiError):
    """The request took too long to arrive."""

    code, status = "too_slow", 408
    advice = "Try again."

    def __init__(self) -> None:
        super().__init__(Refusal.TOO_SLOW.sentence)


class BodyTooLarge(ApiError):
    """The body of the request is too long."""

    code, status = "body_too_large", 413
    advice = "No endpoint takes that much."

    def __init__(self) -> None:
        super().__init__(Refusal.BODY_TOO_LARGE.sentence)


class RateLimited(ApiError):
    """Too many requests, or too many wrong keys."""

    code, status = "rate_limited", 429

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many requests.", f"Wait {seconds} seconds, then send fewer.")


class HeadTooLarge(ApiError):
    """The address and the headers of the request are too long."""

    code, status = "head_too_large", 431
    advice = "Send fewer headers, or a shorter query."

    def __init__(self) -> None:
        super().__init__(Refusal.HEAD_TOO_LARGE.sentence)


class InternalError(ApiError):
    """A fault in the API. The log has the cause; the response has not."""

    code, status = "internal_error", 500
    advice = "Try again; the log has the cause."

    def __init__(self) -> None:
        super().__init__("The API failed to answer this request.")


class SnapshotTooOld(ApiError):
    """The last verification is so long ago that syncs must have been failing."""

    code, status = "too_old", 503
    advice = "See GET /status."

    def __init__(self, verified_at: str | None) -> None:
        super().__init__(
            f"The data was last verified at {verified_at}."
            if verified_at
            else "It is not known when the data was last verified: the recorded time lies in the future."
        )


class ShuttingDown(ApiError):
    """The API stops while a request waits for a refresh."""

    code, status, transient = "shutting_down", 503, True
    advice = "Connect again."

    def __init__(self) -> None:
        super().__init__("The API is shutting down.")


class RefreshTimeout(ApiError):
    """A refresh takes longer than SSE_TIMEOUT_SECONDS."""

    code, status = "timeout", 504

    def __init__(self, task_id: str) -> None:
        super().__init__(
            "The refresh has not completed in time. It continues in the background.", f"Follow it at /tasks/{task_id}."
        )


class RefreshFailed(Exception):
    """A refresh that `wait=true` waited for has failed, or has not ended in time.

    Args:
        task_id: The task of the refresh.
        trouble: Why it failed.
    """

    def __init__(self, task_id: str, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.task_id = task_id
        self.trouble = trouble
