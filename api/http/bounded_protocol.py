"""A connection with limits on what it may send and how long it may take.

Beyond api/contract/queries/request_limits.py a client gets 431, 413 or 408, and the connection ends. A client that
takes nothing of its response for a minute is disconnected. There is no timer for each connection: the server checks
all of them once a second, so that other clients pay a few attribute accesses only.
"""

from __future__ import annotations

import time
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.contract.errors import ApiError, BadRequest, BodyTooLarge, HeadTooLarge, RequestTooSlow
from api.contract.json_response import dump_model
from api.contract.queries.request_limits import MAX_BODY, MAX_HEAD, RECEIVE_SECONDS
from api.contract.response_models import Error
from api.http.fast_path import FastPathProtocol
from api.http.headers import HeaderBlock

MAX_REQUEST = 8 * MAX_BODY  # on the wire: a body in chunks of one byte takes six bytes for each
STALLED_SECONDS = 60
LINGER_SECONDS = 1  # so that a client that is still sending can read why it was refused

_NEVER = float("inf")


class _TooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedProtocol(FastPathProtocol):
    """The protocol with these limits. The server calls `check_timeouts` once a second."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since = self.loop.time()  # when the incoming request began; _NEVER between requests
        self._received = 0  # bytes of it
        self._body = 0
        self._in_head = True
        self._idle_since = self._since  # since the last request, or the last bytes of a response
        self._refused = False
        self._running: RequestResponseCycle | None = None
        self._unsent = (0, 0.0)  # bytes that the client has not taken, and since when it took none

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the client."""
        if self._refused:
            return
        if self.try_fast_path(data):
            self._since, self._idle_since = _NEVER, self.loop.time()
            return
        if self._since is _NEVER:
            self._since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD:
            self._refuse(HeadTooLarge(MAX_HEAD))
        elif self._received > MAX_REQUEST:
            self._refuse(BodyTooLarge(MAX_BODY))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, but not from a trailer after a chunked body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuses a head that is too long."""
        if self._received > MAX_HEAD:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refuse(HeadTooLarge(MAX_HEAD))
                raise _TooLarge
        super().on_headers_complete()
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        """Refuses a body that is too long."""
        self._body += len(body)
        if self._body > MAX_BODY:
            self._refuse(BodyTooLarge(MAX_BODY))
            raise _TooLarge
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request has arrived."""
        self._since, self._idle_since = _NEVER, self.loop.time()
        self._received = self._body = 0
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Notes that the response was sent."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's timer does not know of the fast path; see check_timeouts

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Disconnects the request that is being answered. uvicorn disconnects the newest one, which may be another."""
        if self._running:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def check_timeouts(self) -> None:
        """Ends the connection if the client is too slow, or idle."""
        now = self.loop.time()
        if now - self._since > RECEIVE_SECONDS and not self.transport.is_closing():
            if self._received:
                self._refuse(RequestTooSlow(RECEIVE_SECONDS))
            else:
                self.transport.close()
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            self._idle_since = now  # the fast path writes a whole response: the client is idle once it has taken it
        idle = self._since is _NEVER and (self.cycle is None or self.cycle.response_complete)
        if idle and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()
        elif not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now)
        elif now - self._unsent[1] > STALLED_SECONDS:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuses a request that does not parse. uvicorn calls it, also after another refusal."""
        self._refuse(BadRequest())

    def _refuse(self, error: ApiError) -> None:
        """Sends an error and ends the connection. Responses that are due to earlier requests are sent first."""
        if self._refused:
            return
        self._refused = True
        self._since = _NEVER
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            cycle.message_event.set()
            if self.pipeline or cycle.response_started or not cycle.more_body:
                cycle.keep_alive = cycle.more_body = False
                return
            cycle.disconnected = True
        self._unset_keepalive_if_required()
        answered = not self._in_head and cycle and cycle.response_complete  # before the whole body was here
        if not answered:
            self._write_error(error)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _write_error(self, error: ApiError) -> None:
        body = dump_model(Error(status="error", message=str(error), code=error.code))
        head = HeaderBlock(
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
                "Connection": "close",
            }
        )
        common = self.application.headers_for(dict(self.headers or ()).get(b"origin"))
        self.transport.write(b"".join((STATUS_LINE[error.status], head.text, common.text, b"\r\n", body)))
        self.application.record({"method": "-", "path": ""}, error.status, len(body), time.perf_counter())
