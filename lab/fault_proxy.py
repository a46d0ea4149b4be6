"""A proxy on loopback in front of phpMyAdmin that keeps the requests and injects faults into the answers."""

from __future__ import annotations

import io
import re
import socket
import struct
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self, TypedDict, Unpack
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from lab.servers import LabError

PIECE = 1 << 16
UPSTREAM_SECONDS = 600
AT_ONCE = 16
_OURS = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "accept-encoding",
}  # headers that each hop sets for itself


class Which(TypedDict, total=False):
    """The requests that a fault takes; the first fault that takes a request has it alone."""

    matching: str | re.Pattern[str]
    """Text that the request's path or its body, decoded, holds, or a pattern in its statement; by default all match."""
    skip: int
    """How many of those pass unharmed before; by default none."""
    times: int
    """How many are spoiled; by default all that come, until `clear`."""


class Body(Protocol):
    def read1(self, size: int, /) -> bytes: ...


Spoil = Callable[[Body], Iterator[bytes]]


class Reset(Exception):
    """The answer ends here, by a reset of the connection."""


@dataclass
class Request:
    """A request that came by."""

    method: str
    path: str
    form: dict[str, str] = field(repr=False)
    """The fields of its body, passwords among them."""
    status: int = 0
    """Of the answer; 0 while, or if, there is none."""
    sent: int = 0
    """Bytes of the answer's body that the client was given."""

    @property
    def statement(self) -> str:
        """The SQL that it asks to export, if any."""
        return self.form.get("sql_query", "")


@dataclass
class Fault:
    spoil: Spoil
    status: int | None = None
    """The answer's status, when not None; phpMyAdmin is then not asked."""
    headers: Sequence[tuple[str, str]] = ()
    """Of that answer."""
    matching: str | re.Pattern[str] = ""
    skip: int = 0
    times: int | None = None

    def takes(self, request: Request, text: str) -> bool:
        """Whether it spoils the answer to this request, which has this text; counts it, if so."""
        matches = self.matching in text if isinstance(self.matching, str) else self.matching.search(request.statement)
        if self.times == 0 or not matches:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultProxy:
    """A running proxy; close it after use, or use it as a context manager.

    It asks for answers that are not compressed, and ends them by closing the connection, as PHP's own server does: so
    a cut is as silent as phpMyAdmin's own.

    Args:
        url: the address behind the proxy; http alone.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        if self._target.scheme != "http":
            raise LabError(f"A FaultProxy needs an http address, not {url}. Choose another login fixture.")
        self.requests: list[Request] = []
        self.most_at_once = 0
        """How many requests were under way together, at most."""
        self._under_way = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; answers under way are cut."""
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address to use in place of the one behind the proxy."""
        return self._target._replace(netloc=f"127.0.0.1:{self._server.server_port}").geturl()

    @property
    def statements(self) -> list[str]:
        """The SQL of the exports that were asked for, in order."""
        return [request.statement for request in self.requests if request.statement]

    # -- faults ------------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    def cut(self, *, rows: int | None = None, size: int = 0, **which: Unpack[Which]) -> None:
        """End the body, cleanly, after so many CSV rows (its header is none) or bytes."""
        self._add((lambda body: _first(body, size)) if rows is None else (lambda body: _lines(body, rows + 1)), **which)

    def reset(self, *, size: int = 0, **which: Unpack[Which]) -> None:
        """Reset the connection after so many bytes of the body; with 0 there is no answer at all."""

        def spoil(body: Body) -> Iterator[bytes]:
            yield from _first(body, size)
            raise Reset

        self._add(spoil, **which)

    def stall(self, seconds: float, *, size: int = 0, **which: Unpack[Which]) -> None:
        """Say nothing for so long after so many bytes of the body, then go on; with 0 the whole answer is late."""

        def spoil(body: Body) -> Iterator[bytes]:
            yield from _first(body, size)
            self._ended.wait(seconds)
            yield from _rest(body)

        self._add(spoil, **which)

    def slow(self, bytes_per_second: int, **which: Unpack[Which]) -> None:
        """Pass the body on at this rate."""

        def spoil(body: Body) -> Iterator[bytes]:
            while piece := body.read1(max(1, bytes_per_second // 20)):
                yield piece
                self._ended.wait(len(piece) / bytes_per_second)

        self._add(spoil, **which)

    def append(self, text: str, **which: Unpack[Which]) -> None:
        """Add a text to the end of the body."""

        def spoil(body: Body) -> Iterator[bytes]:
            yield from _rest(body)
            yield text.encode()

        self._add(spoil, **which)

    def replace(self, text: str, **which: Unpack[Which]) -> None:
        """Put a text in the body's place; status and headers stay those of phpMyAdmin."""
        self._add(lambda _: iter([text.encode()]), **which)

    def transform(self, change: Callable[[bytes], bytes], **which: Unpack[Which]) -> None:
        """Read the whole body, and pass on what `change` makes of it."""
        self._add(lambda body: iter([change(b"".join(_rest(body)))]), **which)

    def fail(
        self, status: int, body: str | bytes = "", headers: Mapping[str, str] | None = None, **which: Unpack[Which]
    ) -> None:
        """Answer with this status, body and headers, without asking phpMyAdmin."""
        sent = body.encode() if isinstance(body, str) else body
        self._add(lambda _: iter([sent]), status, {"Content-Type": "text/html", **(headers or {})}, **which)

    def _add(
        self,
        spoil: Spoil,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **which: Unpack[Which],
    ) -> None:
        with self._lock:
            self._faults.append(Fault(spoil, status, tuple((headers or {}).items()), **which))

    # -- one request -------------------------------------------------------------------------------------------------

    def answer(self, request: _Handler, body: bytes) -> None:
        """Pass a request on, and its answer back.

        Raises:
            Reset: a fault ends the answer by a reset.
            OSError: a connection broke.
            HTTPException: phpMyAdmin sent no HTTP.
        """
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            self._answer(request, body)
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(self, request: _Handler, body: bytes) -> None:
        text = unquote_plus(body.decode("utf-8", "replace"))
        noted = Request(request.command, request.path, dict(parse_qsl(body.decode("utf-8", "replace"), True)))
        with self._lock:
            self.requests.append(noted)
            fault = next(
                (each for each in self._faults if each.takes(noted, f"{unquote_plus(request.path)}\n{text}")), None
            )
        spoil = fault.spoil if fault else _rest
        if fault and fault.status is not None:
            request.send(noted, fault.status, fault.headers, spoil(io.BytesIO()), ours=set())
            return
        upstream = HTTPConnection(self._target.hostname or "", self._target.port, timeout=UPSTREAM_SECONDS)
        try:
            upstream.connect()
            with self._server.watched(upstream.sock):
                upstream.request(request.command, request.path, body or None, request.passed_on())
                with upstream.getresponse() as response:
                    request.send(noted, response.status, response.getheaders(), spoil(response), _OURS)
        finally:
            upstream.close()


class _Server(ThreadingHTTPServer):
    """At most AT_ONCE requests at a time; closing it ends them all."""

    daemon_threads = False

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self._sockets: set[socket.socket] = set()

    @contextmanager
    def watched(self, connection: socket.socket) -> Iterator[None]:
        """A connection that closing the server ends."""
        self._sockets.add(connection)
        try:
            yield
        finally:
            self._sockets.discard(connection)

    def server_close(self) -> None:
        for connection in list(self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle(self) -> None:
        with self.server.watched(self.connection), suppress(OSError):
            self.handle_one_request()  # one a connection

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with self.server.places:
                self.server.proxy.answer(self, body)
        except Reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()  # the last hold on the connection: closing it then is a reset
            self.connection.close()
        except HTTPException:
            self.send_error(502)

    do_POST = do_HEAD = do_GET

    def passed_on(self) -> dict[str, str]:
        """The request's headers as phpMyAdmin gets them."""
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _OURS}
        return {**kept, "Accept-Encoding": "identity", "Connection": "close"}

    def send(
        self,
        noted: Request,
        status: int,
        headers: Sequence[tuple[str, str]],
        pieces: Iterator[bytes],
        ours: Collection[str],
    ) -> None:
        piece = next(pieces, b"")  # before the headers: an answer that is late or missing has none
        noted.status = status
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ours:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while piece:
            self.wfile.write(piece)
            noted.sent += len(piece)
            piece = next(pieces, b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: `FaultProxy.requests` tells it all."""


def _first(body: Body, size: int) -> Iterator[bytes]:
    while size and (piece := body.read1(min(PIECE, size))):
        size -= len(piece)
        yield piece


def _rest(body: Body) -> Iterator[bytes]:
    while piece := body.read1(PIECE):
        yield piece


def _lines(body: Body, count: int) -> Iterator[bytes]:
    """The body up to the end of its n-th line; line breaks within quotes end none."""
    quoted = False
    for piece in _rest(body):
        for mark in re.finditer(rb'["\n]', piece):
            quoted ^= mark[0] == b'"'
            count -= mark[0] == b"\n" and not quoted
            if not count:
                yield piece[: mark.end()]
                return
        yield piece
