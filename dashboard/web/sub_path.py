"""The dashboard below a path of its host (PUBLIC_PATH), behind a proxy that strips this path.

Requests come without the path. Browsers need it in links, redirects and cookies. Streamlit makes its own by
`server.baseUrlPath`, and then has its routes below that path, so it gets the path again.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

_SHARED = (XSRF_COOKIE_NAME,)  # Streamlit's script reads it by its name; it is no secret, and all instances accept it


def name_below(path: str, cookie: str) -> str:
    """The name that the browser has of a cookie of an instance below a path."""
    return cookie if cookie in _SHARED else f"{cookie}{path.replace('/', '.')}"


class OwnCookies:
    """Middleware: gives cookies the path, also in their names.

    A browser sends a page the cookies of all paths above it too. Of two with one name, servers read one. So without
    names of their own, an instance below the path of another one would take its cookies.
    """

    def __init__(self, app: ASGIApp, public_path: str) -> None:
        """Changes nothing yet.

        Args:
            app: What sees and sets cookies without the path.
            public_path: PUBLIC_PATH.
        """
        self._app = app
        self._path = public_path
        self._suffix = public_path.replace("/", ".")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, with the cookies of this instance only."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)

        async def send_renamed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                cookies = headers.getlist("set-cookie")
                del headers["set-cookie"]
                for cookie in cookies:
                    headers.append("set-cookie", self._renamed(cookie))
            await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        if own := "; ".join(self._own(sent)):
            headers.append((b"cookie", own.encode("latin-1")))
        return await self._app({**scope, "headers": headers}, receive, send_renamed)

    def _own(self, headers: Iterable[str]) -> Iterable[str]:
        """The cookies of this instance, under their names without the path."""
        for cookie in ";".join(headers).split(";"):
            name, equals, value = cookie.strip().partition("=")
            if name in _SHARED or name.endswith(self._suffix):
                yield f"{name.removesuffix(self._suffix)}{equals}{value}"

    def _renamed(self, cookie: str) -> str:
        """A cookie that is set, under its name with the path, and for this path only."""
        name, _, rest = cookie.partition("=")
        if name in _SHARED:
            return cookie
        value, *attributes = rest.split(";")
        others = [each for each in attributes if not each.strip().lower().startswith("path=")]
        return ";".join((f"{name}{self._suffix}={value}", *others, f" Path={self._path}"))


class BelowPath:
    """Middleware: puts the path before that of each request, for Streamlit. A proxy has taken it away."""

    def __init__(self, app: ASGIApp, public_path: str, unproxied: str) -> None:
        """Changes nothing yet.

        Args:
            app: The routes, below the path.
            public_path: PUBLIC_PATH.
            unproxied: The User-Agent of our own browser, which comes past the proxy.
        """
        self._app = app
        self._path = public_path
        self._unproxied = unproxied.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] in ("http", "websocket") and (b"user-agent", self._unproxied) not in scope["headers"]:
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": self._path + scope["path"], "raw_path": self._path.encode() + raw}
        await self._app(scope, receive, send)
