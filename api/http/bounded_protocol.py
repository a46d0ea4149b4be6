"""One connection, bounded in what it may send and in how long it may take.

A head of 32 KB, a body of 64 KB, 20 seconds for both; then a client gets 431, 413 or 408 in the one error shape, and
the connection ends. One that takes none of an answer for a minute is cut off. Everyone else pays a few attribute
accesses: there is no timer for each connection, the server looks at all of them once a second.
"""

from __future__ import annotations

import time
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.contract.json_response import dumps
from api.http.fast_path import DirectProtocol
from api.http.headers import Lines

MAX_HEAD, MAX_BODY = 32 * 1024, 64 * 1024
MAX_REQUEST = 8 * MAX_BODY  # a body in pieces of one byte takes six on the wire
RECEIVE_SECONDS = 20
STALLED_SECONDS = 60
LINGER_SECONDS = 1  # so that a client that is still sending reads why it was refused

_NOTHING = float("inf")


class _TooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedProtocol(DirectProtocol):
    """The protocol with these bounds. Who runs it calls `look` once a second."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._since = self.loop.time()  # when the request that is coming in began; _NOTHING between requests
        self._received = 0  # bytes of it
        self._body = 0
        self._in_head = True
        self._idle_since = self._since  # since the last request, or the last bytes of an answer
        self._refused = False
        self._running: RequestResponseCycle | None = None
        self._unsent = (0, 0.0)  # bytes that wait for the client, and since when it took none

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self.answered(data):
            self._since, self._idle_since = _NOTHING, self.loop.time()
            return
        if self._since is _NOTHING:
            self._since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD:
            self._refuse_head()
        elif self._received > MAX_REQUEST:
            self._refuse_body()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._received > MAX_HEAD:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refuse_head()
                raise _TooLarge
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._body > MAX_BODY:
            self._refuse_body()
            raise _TooLarge
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since, self._idle_since = _NOTHING, self.loop.time()
        self._received = self._body = 0
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's timer would run on through answers at hand; see `look`

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request that is being answered, too: uvicorn tells the last that came in, which may be another."""
        if self._running:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def look(self) -> None:
        """Ends the connection where the client takes too long, or asks for nothing more."""
        now = self.loop.time()
        if now - self._since > RECEIVE_SECONDS and not self.transport.is_closing():
            if self._received:
                self._refuse(408, "too_slow", f"The request took over {RECEIVE_SECONDS} seconds to arrive. Try again.")
            else:
                self.transport.close()
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            self._idle_since = now  # answers at hand are written whole: their clients are at rest once they took them
        idle = self._since is _NOTHING and (self.cycle is None or self.cycle.response_complete)
        if idle and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()
        elif not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now)
        elif now - self._unsent[1] > STALLED_SECONDS:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where a request does not parse, also when it was refused meanwhile."""
        self._refuse(400, "bad_request", "This is no HTTP request that can be read. GET /demo shows how to ask.")

    def _refuse_head(self) -> None:
        message = f"Address and headers are longer than {MAX_HEAD // 1024} KB. Send fewer headers, or a shorter query."
        self._refuse(431, "head_too_large", message)

    def _refuse_body(self) -> None:
        self._refuse(413, "body_too_large", f"The body is longer than {MAX_BODY // 1024} KB. No address takes so much.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answers, and ends the connection. Where answers to requests before are due, they are the last ones."""
        if self._refused:
            return
        self._refused = True
        self._since = _NOTHING
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            cycle.message_event.set()
            if self.pipeline or cycle.response_started or not cycle.more_body:
                cycle.keep_alive = cycle.more_body = False
                return
            cycle.disconnected = True
        self._unset_keepalive_if_required()
        body = dumps({"status": "error", "message": message, "code": code})
        head = Lines({"Content-Type": "application/json", "Content-Length": str(len(body)), "Cache-Control": "no-store",
                      "Connection": "close"})  # fmt: skip
        common = self.application.lines(dict(self.headers or ()).get(b"origin"))
        self.transport.write(b"".join((STATUS_LINE[status], head.text, common.text, b"\r\n", body)))
        self.application.note({"method": "-", "path": ""}, status, len(body), time.perf_counter())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
