"""Streamlit's scripts and styles, compressed: over a slow line, a first visit would wait for them for half a minute.

Streamlit sends them as they are, since it would compress them anew for each visitor, and leaves that to a proxy, which
few have. Here each is compressed once, when it is first asked for, and then kept: a page needs about two megabytes.
"""

from __future__ import annotations

import gzip
from mimetypes import guess_type
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import file_util
from streamlit.web.server.starlette.starlette_server_config import STATIC_ASSET_CACHE_MAX_AGE_SECONDS

from cache.accept_encoding import accepts_gzip

_FOLDER = Path(file_util.get_static_dir())
_TEXTS = (".js", ".css", ".svg")  # fonts and images are compressed already
_LEVEL = 6


class CompressedStatic:
    """Middleware: answers requests for Streamlit's texts whose client accepts gzip."""

    def __init__(self, app: ASGIApp) -> None:
        """Finds the files.

        Args:
            app: What answers all other requests.
        """
        self._app = app
        files = (file for file in (_FOLDER / "static").rglob("*") if file.suffix in _TEXTS)
        self._files = {f"/{file.relative_to(_FOLDER).as_posix()}": file for file in files}
        self._bodies: dict[str, bytes] = {}
        self._compressing = anyio.Lock()  # one at a time, so that none is compressed twice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or passes it on."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self._files:
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if not accepts_gzip(headers.get("accept-encoding", "").encode()) or "range" in headers:
            return await self._app(scope, receive, send)
        path: str = scope["path"]
        if path not in self._bodies:
            async with self._compressing:
                if path not in self._bodies:
                    self._bodies[path] = await to_thread.run_sync(_compressed, self._files[path])
        return await _response(path, self._bodies[path])(scope, receive, send)


def _compressed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), _LEVEL, mtime=0)


def _response(path: str, body: bytes) -> Response:
    """The answer with a file. Its name has a hash of what is in it, so browsers never ask again."""
    headers = {
        "Content-Encoding": "gzip",
        "Vary": "Accept-Encoding",
        "Cache-Control": f"public, immutable, max-age={STATIC_ASSET_CACHE_MAX_AGE_SECONDS}",
    }
    return Response(body, headers=headers, media_type=guess_type(path)[0])
