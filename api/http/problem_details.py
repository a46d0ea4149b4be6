"""Errors in the form of RFC 9457, for clients that accept `application/problem+json`."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.contract.json_response import dump_model
from api.contract.response_models import PROBLEM_TYPE, Error, Problem

_REPLACED = (b"content-type", b"content-length")


class ProblemDetails:
    """Middleware that writes the errors of an application as problem details, if the client accepts them.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application and rewrites its error."""
        accepts = any(
            name == b"accept" and PROBLEM_TYPE.encode() in value.lower() for name, value in scope.get("headers", ())
        )
        if scope["type"] != "http" or not accepts:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def send_problem(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_error(message):
                start = message
            elif not start:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send(start, body, send)

        await self._app(scope, receive, send_problem)


def _is_error(start: Message) -> bool:
    return start["status"] >= 400 and (b"content-type", b"application/json") in start["headers"]


async def _send(start: Message, body: bytes, send: Send) -> None:
    problem = dump_model(Problem.of(start["status"], Error.model_validate_json(body)))
    headers = [
        *((name, value) for name, value in start["headers"] if name not in _REPLACED),
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", b"%d" % len(problem)),
        (b"vary", b"Accept"),
    ]
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": problem})
