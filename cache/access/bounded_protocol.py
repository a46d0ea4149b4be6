"""A connection with limits on what it may send and how long it may take.

Beyond cache/access/client_limits.py a client gets 431, 413 or 408, and the connection ends. A client that takes nothing
of its response for a minute is disconnected. There is no timer for each connection: the server checks all of them once
a second, so that other clients pay a few attribute accesses only.
"""

from __future__ import annotations

from typing import Any

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from cache.access.client_limits import MAX_BODY, MAX_HEAD, RECEIVE_SECONDS, STALLED_SECONDS, Refusal

MAX_REQUEST = 8 * MAX_BODY  # on the wire: a body in chunks of one byte takes six bytes for each
LINGER_SECONDS = 1  # so that a client that is still sending can read why it was refused

_NEVER = float("inf")


class _TooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedServer(uvicorn.Server):
    """A server whose connections have these limits. Its protocol is a BoundedProtocol."""

    async def on_tick(self, counter: int) -> bool:
        """Checks the connections once a second. uvicorn calls it ten times a second."""
        if counter % 10 == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):  # no websocket
                    connection.check_timeouts()
        return await super().on_tick(counter)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with these limits."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since = self.loop.time()  # when the incoming request began; _NEVER between requests
        self._received = 0  # bytes of it
        self._body = 0
        self._in_head = True
        self._was_active = False  # since the last check: a request arrived, or a response was sent
        self._idle_since = self._since
        self.refused = False  # the connection ends, and takes no further request
        self._running: RequestResponseCycle | None = None
        self._unsent = (0, 0.0)  # bytes that the client has not taken, and since when it took none

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the client."""
        if self.refused:
            return
        if self._since is _NEVER:
            self._since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD:
            self._refuse(Refusal.HEAD_TOO_LARGE)
        elif self._received > MAX_REQUEST:
            self._refuse(Refusal.BODY_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, but not from a trailer after a chunked body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuses a head that is too long."""
        if self._received > MAX_HEAD:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refuse(Refusal.HEAD_TOO_LARGE)
                raise _TooLarge
        super().on_headers_complete()
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        """Refuses a body that is too long."""
        self._body += len(body)
        if self._body > MAX_BODY:
            self._refuse(Refusal.BODY_TOO_LARGE)
            raise _TooLarge
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request has arrived."""
        self.note_request()
        self._received = self._body = 0
        self._in_head = True
        super().on_message_complete()

    def note_request(self) -> None:
        """Notes that no request is on its way, and that the client is idle from now on."""
        self._since, self._was_active = _NEVER, True

    def on_response_complete(self) -> None:
        """Notes that the response was sent."""
        self._was_active = True
        super().on_response_complete()
        self._unset_keepalive_if_required()  # see check_timeouts

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
                self._refuse(Refusal.TOO_SLOW)
            else:
                self.transport.close()
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent or self._was_active:
            self._idle_since = now  # the client is idle once it has taken the response
        self._was_active = False
        idle = self._since is _NEVER and (self.cycle is None or self.cycle.response_complete)
        if idle and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()
        elif not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now)
        elif now - self._unsent[1] > STALLED_SECONDS:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuses a request that does not parse. uvicorn calls it, also after another refusal."""
        self._refuse(Refusal.NOT_HTTP)

    def write_refusal(self, refusal: Refusal) -> None:
        """Writes the response to a request that is refused."""
        body = refusal.sentence.encode()
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[refusal.status] + head.encode() + body)

    def _refuse(self, refusal: Refusal) -> None:
        """Refuses a request and ends the connection. Responses that are due to earlier requests are sent first."""
        if self.refused:
            return
        self.refused = True
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
            self.write_refusal(refusal)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
