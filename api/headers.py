"""Headers that stand on every answer, errors too: CORS for browsers, and no guessing of types.

Any origin may call by default, since the key is a header and no cookie is used; CORS_ORIGINS narrows it.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, OPTIONS"
EXPOSED = "ETag, Location, Retry-After, X-Generation, X-Verified"
PREFLIGHT_SECONDS = 86_400


class CommonHeaders:
    """Wraps the whole application, so that its error pages are covered; answers OPTIONS itself, for any address
    (were a preflight refused, a browser would hide the real answer from its page).

    Parameters: `origins` is `*`, or origins with commas between them.
    """

    def __init__(self, app: ASGIApp, origins: str) -> None:
        self._app = app
        self._origins = {origin.strip().rstrip("/") for origin in origins.split(",")} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), asked.get("origin"))
            await send(message)

        answer: ASGIApp = self._preflight(asked) if scope["method"] == "OPTIONS" else self._app
        await answer(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, origin: str | None) -> None:
        if "*" in self._origins:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            headers.add_vary_header("Origin")
            if origin in self._origins:
                headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Cache-Control", "no-store")

    def _preflight(self, asked: Headers) -> Response:
        headers = {
            "Allow": METHODS,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": asked.get("access-control-request-headers", "X-API-Key, Authorization"),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            "Vary": "Access-Control-Request-Headers",
        }
        return Response(status_code=204, headers=headers)
