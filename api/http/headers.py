"""Headers that stand on every answer, errors too: CORS for browsers, and no guessing of types.

Any origin may call by default, since the key is a header and no cookie is used; CORS_ORIGINS narrows it.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, OPTIONS"
EXPOSED = "ETag, Location, Retry-After, X-Generation, X-Next, X-Total-Count, X-Verified"
PREFLIGHT_SECONDS = 86_400


class Lines:
    """Headers made once and sent often: as ASGI takes them (`raw`), and as they stand in an answer (`text`)."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.items = list(headers.items())
        self.raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.text = b"".join(b"%s: %s\r\n" % line for line in self.raw)

    def __add__(self, others: Lines) -> Lines:
        both = Lines({})
        both.items, both.raw, both.text = self.items + others.items, self.raw + others.raw, self.text + others.text
        return both


class CommonHeaders:
    """Wraps the whole application, so that its error pages are covered; answers OPTIONS itself, for any address
    (were a preflight refused, a browser would hide the real answer from its page).

    Parameters: `origins` is `*`, or origins with commas between them.
    """

    def __init__(self, app: ASGIApp, origins: str) -> None:
        self._app = app
        allowed = {origin.strip().rstrip("/") for origin in origins.split(",")} - {""}
        self._any = self._lines({"Access-Control-Allow-Origin": "*"} if "*" in allowed else {"Vary": "Origin"})
        self._allowed = {
            origin.encode(): self._lines({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
            for origin in allowed
            if "*" not in allowed
        }

    @staticmethod
    def _lines(cors: Mapping[str, str]) -> Lines:
        return Lines({
            **cors,
            "Access-Control-Expose-Headers": EXPOSED,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
        })  # fmt: skip

    def lines(self, origin: bytes | None) -> Lines:
        """What is added to every answer to that origin."""
        return self._allowed.get(origin, self._any) if origin else self._any

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = dict(scope["headers"])
        origin = asked.get(b"origin")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                if all(name != b"cache-control" for name, _ in given):
                    given.append((b"cache-control", b"no-store"))
                message = {**message, "headers": given + self.lines(origin).raw}
            await send(message)

        answer: ASGIApp = self._preflight(asked) if scope["method"] == "OPTIONS" else self._app
        await answer(scope, receive, send_with_headers)

    def _preflight(self, asked: Mapping[bytes, bytes]) -> Response:
        wanted = asked.get(b"access-control-request-headers", b"X-API-Key, Authorization")
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": wanted.decode("latin-1"),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            "Vary": "Access-Control-Request-Headers",
        }
        return Response(status_code=204, headers=headers)
