"""The fast path: the protocol itself writes responses that are in memory.

Such a request takes about 20 microseconds. A task of the event loop, the ASGI messages and Starlette's layers would
take several times as long. So the protocol first asks the application for a prepared response. Everything else goes
the usual way through ASGI and gets the same response there: a request that has to wait or is refused, a body, HTTP/1.0,
a request that arrives in pieces or before the response to the one before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from api.contract.errors import ApiError, BadRequest, BodyTooLarge, HeadTooLarge, RequestTooSlow
from api.contract.json_response import dump_model
from api.contract.paths import own_path
from api.contract.response_models import Error
from api.http.headers import EVENT_STREAM, HeaderBlock, header_lines
from api.http.prepared_response import Chunk, PreparedResponse
from api.http.request_ids import IDENTITY, identify
from cache.access.bounded_protocol import BoundedProtocol
from cache.access.client_limits import Refusal
from cache.storage.segment_file import MAX_COPIED

JOIN_BYTES = MAX_COPIED  # longer parts may be maps of files, which are sent without a copy
MAX_BYTES = 4096  # of a request that is tried here
PARSED = 256  # requests, and sets of request headers, that are kept parsed

_REQUEST_LINE = re.compile(rb"(GET|HEAD) ([!-\"$->@-~]+)(?:\?([!-\"$-~]*))? HTTP/1\.1\r\n")
_END = b"\r\n\r\n"
_ERRORS: Mapping[Refusal, ApiError] = {
    Refusal.NOT_HTTP: BadRequest(),
    Refusal.TOO_SLOW: RequestTooSlow(),
    Refusal.BODY_TOO_LARGE: BodyTooLarge(),
    Refusal.HEAD_TOO_LARGE: HeadTooLarge(),
}
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))


class Application(Protocol):
    """An ASGI application with what the fast path needs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request the usual way."""

    def try_prepared(
        self, scope: dict[str, Any], headers: Mapping[bytes, bytes]
    ) -> tuple[PreparedResponse, bytes] | None:
        """The response to a request and the lines of its other headers; None: the usual way. Never raises.

        What is put into `scope` stays in the ASGI scope if the request goes the usual way.
        """

    def headers_for(self, origin: bytes | None) -> HeaderBlock:
        """The common headers of a response to that origin."""

    def record(self, scope: dict[str, Any], status: int, size: int, started: float) -> None:
        """Records a response for access log and metrics."""


class FastPathProtocol(BoundedProtocol):
    """The protocol with the fast path. Its application is an Application."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.application = cast(Application, self.config.app)
        self._between_requests = True  # the parser has seen nothing of the next request
        self._tried_scope: dict[str, Any] = {}  # of a request that has no prepared response

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the client."""
        if self.try_fast_path(data):
            self.note_request()
        else:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads the answer, uvicorn gives none
        """Keeps the connection for a response that is due: the client may have ended its sending side only.

        If it has left, a later write fails. An event stream is written to rarely, so it ends at once.

        Returns:
            Whether the connection stays open.
        """
        is_due = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if not is_due or (self._running and self._running.scope.get(EVENT_STREAM)):
            return False
        self.cycle.keep_alive = False
        return True

    def try_fast_path(self, data: bytes) -> bool:
        """Answers a request if `data` is one complete request, and there is a prepared response.

        Returns:
            Whether it was answered.
        """
        started = time.perf_counter()
        idle = self._between_requests and not self.refused and not self.flow.write_paused
        idle = idle and (self.cycle is None or self.cycle.response_complete)
        request = _parse_request(data) if idle and len(data) <= MAX_BYTES else None
        if request is None:
            return False
        headers = request.headers
        scope = {
            "method": request.method,
            "path": request.path,
            "query_string": request.query,
            "headers": headers.items,
            "client": self.client,
        }
        prepared = self.application.try_prepared(scope, headers.by_name)
        if not prepared:
            self._tried_scope = scope
            return False
        size = self._write(*prepared, request.method == "GET", headers.closes)
        self.application.record(scope, prepared[0].status, size, started)
        return True

    def _write(self, response: PreparedResponse, common: bytes, with_body: bool, closes: bool) -> int:
        """Writes a response, and ends the connection if it closes. Returns how many bytes the body has."""
        lines = [b"connection: close\r\n"] if closes else []
        lines.append(header_lines(self.server_state.default_headers + response.own))
        head = b"".join((STATUS_LINE[response.status], *lines, response.shared.text, common, b"\r\n"))
        size = response.size if with_body else 0
        chunks: list[Chunk] = [head, *response.chunks] if with_body else [head]
        if size <= JOIN_BYTES:
            self.transport.write(b"".join(chunks))
        else:
            self.transport.writelines(chunks)
        if closes:
            self.transport.close()
        self.server_state.total_requests += 1  # no timer is set: see BoundedProtocol.check_timeouts
        return size

    def write_refusal(self, refusal: Refusal) -> None:
        """Writes the error for a request that is refused, and records it."""
        error = _ERRORS[refusal]
        request_headers = dict(self.headers or ())
        identity = identify(request_headers)
        body = dump_model(Error(status="error", message=str(error), code=error.code))
        head = HeaderBlock(
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
                "Connection": "close",
            }
        )
        common = self.application.headers_for(request_headers.get(b"origin"))
        lines = (STATUS_LINE[error.status], head.text, common.text, header_lines(identity.headers), b"\r\n", body)
        self.transport.write(b"".join(lines))
        scope = {"method": "-", "path": "", IDENTITY: identity}
        self.application.record(scope, error.status, len(body), time.perf_counter())

    def on_message_begin(self) -> None:
        """Carries over what the application put into the scope when it tried the fast path."""
        self._between_requests = False
        super().on_message_begin()
        tried, self._tried_scope = self._tried_scope, {}
        cast(dict[str, Any], self.scope).update({**tried, **self.scope})

    def on_message_complete(self) -> None:
        """Notes whether another request may follow."""
        self._between_requests = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        super().on_message_complete()


class _RequestHeaders(NamedTuple):
    items: list[tuple[bytes, bytes]]
    by_name: Mapping[bytes, bytes]
    closes: bool  # the client asks for the end of the connection


class _HeaderReader:
    """Takes headers from the parser as uvicorn does."""

    def __init__(self) -> None:
        self.items: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.items.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete = True


class _Request(NamedTuple):
    method: str
    path: str  # without PREFIX
    query: bytes
    headers: _RequestHeaders


@lru_cache(PARSED)
def _parse_request(data: bytes) -> _Request | None:
    """Parses a request; None where it goes the usual way. Clients that poll send the same bytes each time."""
    line = _REQUEST_LINE.match(data)
    if not line or data.find(_END) != len(data) - len(_END):
        return None
    headers = _parse_headers(data[line.end() :])
    if not headers:
        return None
    method, path, query = line.groups(b"")
    return _Request(method.decode(), own_path(path.decode()), query, headers)


@lru_cache(PARSED)
def _parse_headers(raw: bytes) -> _RequestHeaders | None:
    """Parses what follows the request line; None where the request goes the usual way.

    A client sends the same headers with other queries, and parsing them takes longer than preparing many a response.
    """
    reader = _HeaderReader()
    parser = HttpRequestParser(reader)
    try:
        parser.feed_data(b"GET / HTTP/1.1\r\n" + raw)
    except (HttpParserError, HttpParserUpgrade):
        return None
    by_name = dict(reader.items)
    # after a complete message, the parser no longer knows that the client asked for the end of the connection
    closes = any(name == b"connection" and b"close" in value.lower() for name, value in reader.items)
    simple = reader.complete and not _BODY_HEADERS.intersection(by_name)
    return _RequestHeaders(reader.items, by_name, closes) if simple else None
