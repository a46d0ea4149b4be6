"""The access log: one line for each request, as text or JSON like the rest of the log (LOG_FORMAT).

    2025-12-29T10:25:00.512+00:00 INFO api.access: method=GET path=/fetch-data status=200 bytes=8123 ms=0.400 key=shop
        request_id=9c1e3f2a4b5d0000002a trace_id=-
    {"time": "2025-12-29T10:25:00.512+00:00", "level": "INFO", "logger": "api.access", "process": "api",
     "method": "GET", "path": "/fetch-data", "status": 200, "bytes": 8123, "ms": 0.400, "key": "shop",
     "request_id": "9c1e3f2a4b5d0000002a", "trace_id": null}

`key` is the name of a key. Keys, queries, addresses of clients and unknown paths are left out: they may hold secrets or
personal data. `ms` runs until the last byte was handed over, so it includes the whole time of a stream.

Formatting a line takes about two microseconds of a request. A thread writes the lines a few times a second, as one
record of the logger `api.access`, so that a slow log delays no request.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.authentication import ADMISSION, Admission
from api.contract.operations import path_label
from api.http.request_ids import IDENTITY, RequestIdentity

log = logging.getLogger("api.access")

Recorder = Callable[[Scope, int, int, float], None]
"""Records a response: the scope of its request, its status, the bytes of its body, and when the request began (by
`time.perf_counter`)."""

FLUSH_SECONDS = 0.25
MAX_LINES = 50_000  # that wait to be written; the oldest are dropped


_TEXT = "{} INFO api.access: method={} path={} status={} bytes={} ms={:.3f} key={} request_id={} trace_id={}"
_JSON = (
    '{{"time": "{}", "level": "INFO", "logger": "api.access", "process": "api", "method": "{}", "path": "{}", '
    '"status": {}, "bytes": {}, "ms": {:.3f}, "key": {}, "request_id": "{}", "trace_id": {}}}'
)


class AccessLog:
    """Writes the access log, from `start` to `stop`.

    Args:
        log_format: LOG_FORMAT.
    """

    def __init__(self, log_format: Literal["text", "json"]) -> None:
        self._is_json = log_format == "json"
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._second = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def start(self) -> None:
        """Starts the thread that writes."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what is left, and ends the thread."""
        self._stopped.set()
        self._thread.join()

    def record(self, scope: Scope, status: int, size: int, started: float) -> None:
        """Adds a line for a response (see Recorder)."""
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        admission = scope.get(ADMISSION)
        identity: RequestIdentity = scope[IDENTITY]
        line, quoted = (_JSON, _in_quotes) if self._is_json else (_TEXT, _or_dash)
        self._lines.append(
            line.format(
                f"{self._clock}.{int(now % 1 * 1000):03}+00:00",
                scope["method"],
                path_label(scope["path"]),
                status,
                size,
                (time.perf_counter() - started) * 1000,
                quoted(admission.access.name if isinstance(admission, Admission) else None),
                identity.id,
                quoted(identity.trace_id),
            )
        )

    def _run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stopped.wait(FLUSH_SECONDS)
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                log.info("\n".join(lines))


def _in_quotes(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _or_dash(text: str | None) -> str:
    return text or "-"


def log_to_stderr() -> None:
    """Sends the lines to standard error as they are: they are formatted already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False


class RecordResponses:
    """Middleware that records every response.

    Args:
        app: The application.
        recorder: Called when a response has ended.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self._app = app
        self._record = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application and counts the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, size = 500, 0

        async def send_and_count(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        finally:
            self._record(scope, status, 0 if scope["method"] == "HEAD" else size, started)
