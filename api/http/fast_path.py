"""The short cut for answers that are at hand.

A request for rows that lie in memory takes some 20 microseconds to answer; a task of the event loop, the ASGI messages
and Starlette's layers around it would take several times that. So the protocol asks the application first whether it
has the answer, and writes it. Whatever has to be waited for, is refused, or is out of the ordinary (a body, HTTP/1.0,
a request that comes in pieces or before the answer to the one before) goes the usual way, and so gets the same answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.headers import Lines
from api.http.prepared_response import Piece, Ready

JOINED = 16 * 1024  # bytes of a body up to which one write of a copy is cheaper than several writes
LONGEST, HEADS = 4096, 256  # bytes of a request that is looked at here, and how many kinds of headers are remembered

_LINE = re.compile(rb"(GET|HEAD) ([!-\"$->@-~]+)(?:\?([!-\"$-~]*))? HTTP/1\.1\r\n")
_END = b"\r\n\r\n"
_UNUSUAL = frozenset((b"content-length", b"transfer-encoding", b"expect"))


class Application(Protocol):
    """What an application offers beside ASGI."""

    def at_hand(self, scope: dict[str, Any], headers: Mapping[bytes, bytes]) -> tuple[Ready, Lines] | None:
        """The answer to a request and the headers that stand on all, if it is at hand. Never raises."""

    def lines(self, origin: bytes | None) -> Lines:
        """The headers that stand on every answer to that origin."""

    def note(self, scope: dict[str, Any], status: int, size: int, started: float) -> None:
        """Is told of each answer that was at hand, for the access log."""


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the short cut. Its application is an Application."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._between = True  # requests: the parser has seen nothing of the next one
        self._asked: dict[str, Any] = {}  # the scope of a request that was not at hand

    @property
    def application(self) -> Application:
        return cast(Application, self.config.app)

    def answered(self, data: bytes) -> bool:
        """Answers what was received, if it is one whole request, alone, whose answer is at hand."""
        started = time.perf_counter()
        idle = self._between and not self.flow.write_paused and (self.cycle is None or self.cycle.response_complete)
        line = _LINE.match(data) if idle and len(data) <= LONGEST else None
        if not line or data.find(_END) != len(data) - len(_END):
            return False
        head = _head(data[line.end() :])
        if not head:
            return False
        method, path, query = line.groups(b"")
        scope = {
            "method": method.decode(),
            "path": path.decode(),
            "query_string": query,
            "headers": head.lines,
            "client": self.client,
        }
        answer = self.application.at_hand(scope, head.named)
        if not answer:
            self._asked = scope
            return False
        size = self._write(*answer, method == b"GET")
        self.application.note(scope, answer[0].status, size, started)
        return True

    def _write(self, answer: Ready, common: Lines, body: bool) -> int:
        """Returns how many bytes of body were sent."""
        lines = b"".join([b"%s: %s\r\n" % line for line in self.server_state.default_headers + answer.own])
        head = b"".join((STATUS_LINE[answer.status], lines, answer.shared.text, common.text, b"\r\n"))
        pieces: list[Piece] = [head, *answer.pieces] if body else [head]
        size = sum(map(len, pieces))
        if size <= JOINED:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines(pieces)
        self.server_state.total_requests += 1  # no timer is set: idle connections are ended by who runs this
        return size - len(head)

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()
        asked, self._asked = self._asked, {}
        cast(dict[str, Any], self.scope).update({**asked, **self.scope})  # the application's notes stay

    def on_message_complete(self) -> None:
        self._between = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        super().on_message_complete()


class _Head(NamedTuple):
    """Headers of a request, in order and by name."""

    lines: list[tuple[bytes, bytes]]
    named: Mapping[bytes, bytes]


class _Headers:
    """Takes headers from the parser as uvicorn does."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete = True


@lru_cache(HEADS)
def _head(raw: bytes) -> _Head | None:
    """What follows the first line of a request, parsed; None where the request takes the usual way.

    A client sends the same with each request, and it takes longer to parse than many an answer to make.
    """
    found = _Headers()
    parser = HttpRequestParser(found)
    try:
        parser.feed_data(b"GET / HTTP/1.1\r\n" + raw)
    except (HttpParserError, HttpParserUpgrade):
        return None
    named = dict(found.lines)
    usual = found.complete and parser.should_keep_alive() and not _UNUSUAL.intersection(named)
    return _Head(found.lines, named) if usual else None
