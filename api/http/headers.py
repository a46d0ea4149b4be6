"""Headers of every response, errors included: CORS for browsers, and protection against content sniffing.

Any origin may call by default, since the key is a header and no cookie is used. CORS_ORIGINS narrows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, OPTIONS"
EXPOSED = (
    "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Generation, X-Next, X-Request-ID, "
    "X-Total-Count, X-Verified"
)
PREFLIGHT_SECONDS = 86_400
EVENT_STREAM = "orders.event_stream"  # the key in the ASGI scope that says whether the response is an event stream


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines of a response."""
    return b"".join([b"%s: %s\r\n" % line for line in headers])


class HeaderBlock:
    """Headers that are encoded once and sent often.

    Attributes:
        items: Names and values.
        raw: The same as ASGI takes them.
        text: The same as lines of a response.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.items = list(headers.items())
        self.raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.text = header_lines(self.raw)

    def __add__(self, other: HeaderBlock) -> HeaderBlock:
        both = HeaderBlock({})
        both.items, both.raw, both.text = self.items + other.items, self.raw + other.raw, self.text + other.text
        return both


class CommonHeaders:
    """Middleware around the whole application, so that error pages get the headers too.

    It answers OPTIONS itself for any path: if a preflight failed, the browser would hide the real response from the
    page.

    Args:
        app: The application.
        origins: `*`, or a list of origins with commas.
    """

    def __init__(self, app: ASGIApp, origins: str) -> None:
        self._app = app
        allowed = {origin.strip().rstrip("/") for origin in origins.split(",")} - {""}
        any_origin = "*" in allowed
        self._default = _block({"Access-Control-Allow-Origin": "*"} if any_origin else {"Vary": "Origin"})
        self._by_origin = {
            origin.encode(): _block({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
            for origin in allowed
            if not any_origin
        }

    def headers_for(self, origin: bytes | None) -> HeaderBlock:
        """The common headers of a response to that origin."""
        return self._by_origin.get(origin, self._default) if origin else self._default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application and adds the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_headers = dict(scope["headers"])
        common = self.headers_for(request_headers.get(b"origin"))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                scope[EVENT_STREAM] = any(
                    name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
                )
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers + common.raw}
            await send(message)

        app = _preflight(request_headers) if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_with_headers)


def _block(cors: Mapping[str, str]) -> HeaderBlock:
    return HeaderBlock(
        {
            **cors,
            "Access-Control-Expose-Headers": EXPOSED,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
        }
    )


def _preflight(request_headers: Mapping[bytes, bytes]) -> ASGIApp:
    allowed = request_headers.get(b"access-control-request-headers", b"X-API-Key, Authorization")
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": allowed.decode("latin-1"),
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Access-Control-Request-Headers",
    }
    return Response(status_code=204, headers=headers)
