"""The id of a request: log, response and error name it, so that they can be found by it.

It is `X-Request-ID` of the request, else the trace id of its `traceparent` (https://www.w3.org/TR/trace-context/), else
a new one. The response has it as `X-Request-ID`, and the `traceparent` of the request as it was.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.machine.logs import REQUEST_ID

IDENTITY = "orders.request_id"  # the key of a RequestIdentity in an ASGI scope
_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,128}")  # what needs no escape in a log
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\w-]{0,64})?"
)
_process = secrets.token_hex(6)
_numbers = itertools.count(1)


class RequestIdentity(NamedTuple):
    """How a request is called.

    Attributes:
        id: Its id.
        trace_id: The trace that it belongs to, if it says so.
        headers: What the response says of it.
    """

    id: str
    trace_id: str | None
    headers: list[tuple[bytes, bytes]]


def identify(headers: Mapping[bytes, bytes]) -> RequestIdentity:
    """Finds the identity of a request, and makes it that of whatever is logged from now on in this context.

    Args:
        headers: Of the request, by their names in lower case.
    """
    given, parent = headers.get(b"x-request-id", b""), headers.get(b"traceparent", b"")
    trace = _TRACEPARENT.fullmatch(parent) if parent else None
    trace_id = trace[1].decode() if trace else None
    known = given.decode() if given and _GIVEN.fullmatch(given) else trace_id
    id = known or f"{_process}{next(_numbers):08x}"
    REQUEST_ID.set(id)
    answered = [(b"x-request-id", id.encode())]
    return RequestIdentity(id, trace_id, [*answered, (b"traceparent", parent)] if trace else answered)


class RequestIds:
    """Middleware that identifies requests, unless the fast path has done so, and adds the headers to the response.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity: RequestIdentity | None = scope.get(IDENTITY)
        if identity is None:
            identity = scope[IDENTITY] = identify(dict(scope["headers"]))
        else:
            REQUEST_ID.set(identity.id)

        async def send_identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *identity.headers]}
            await send(message)

        await self._app(scope, receive, send_identified)
