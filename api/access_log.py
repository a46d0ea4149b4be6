"""The access log: one line of JSON for each request.

    {"time": "2025-12-29T10:25:00.512Z", "method": "GET", "path": "/fetch-data", "status": 200, "bytes": 8123,
     "ms": 0.4, "key": "shop"}

`key` is the name of a key. Keys, queries, addresses of clients and paths that nothing answers are left out: they may
hold secrets or personal data. `ms` runs until the last byte was handed over, and so for as long as a stream lasts.

A request costs the making of its line, some two microseconds. A thread writes what has come together a few times a
second, as one record of the logger `api.access`: a slow log holds no request up.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.authentication import ACCESS, Access

log = logging.getLogger("api.access")

Note = Callable[[Scope, int, int, float], None]

SHOWN = frozenset((
    "/", "/changes", "/demo", "/docs", "/events", "/fetch-data", "/health", "/metrics", "/openapi.json", "/ready",
    "/refresh", "/sign", "/status",
))  # fmt: skip
FLUSH_SECONDS = 0.25
MOST_WAITING = 50_000  # lines; the oldest are dropped where whoever reads the log does not


class AccessLog:
    """Lines are written from `start` to `stop`."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST_WAITING)
        self._second = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def note(self, scope: Scope, status: int, size: int, started: float) -> None:
        """A request was answered. Parameters: `size` in bytes; `started` by `time.perf_counter`."""
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        access = scope.get(ACCESS)
        key = f'"{access.name}"' if isinstance(access, Access) else "null"
        path = shown(scope["path"])
        self._lines.append(
            f'{{"time": "{self._at}.{int(now % 1 * 1000):03}Z", "method": "{scope["method"]}", "path": "{path}", '
            f'"status": {status}, "bytes": {size}, "ms": {(time.perf_counter() - started) * 1000:.3f}, "key": {key}}}'
        )

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(FLUSH_SECONDS)
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                log.info("\n".join(lines))


def shown(path: str) -> str:
    """The path as logs and metrics name it: what nothing answers may hold anything."""
    if path in SHOWN:
        return path
    return "/tasks/{id}" if path.startswith("/tasks/") else "(other)"


def to_standard_error() -> None:
    """Lines go out as they are, so that programs can read them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False


class Noted:
    """Notes every request of an application. Parameters: `note` as in AccessLog."""

    def __init__(self, app: ASGIApp, note: Note) -> None:
        self._app = app
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, size = 500, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._note(scope, status, 0 if scope["method"] == "HEAD" else size, started)
