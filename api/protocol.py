"""The short cut for answers that are at hand.

A request for rows that lie in memory takes some 20 microseconds to answer; a task of the event loop, the ASGI messages
and Starlette's layers around it would take several times that. So the protocol asks the application first whether it
has the answer, and writes it. Whatever has to be waited for, is refused, or is out of the ordinary (a body, HTTP/1.0,
a request that was sent before the answer to the one before) goes the usual way, and so gets the same answer.
"""

from __future__ import annotations

import time
from typing import Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.headers import Lines
from api.views import Piece, Ready

JOINED = 16 * 1024  # bytes of a body up to which one write of a copy is cheaper than several writes


_UNUSUAL = frozenset((b"content-length", b"transfer-encoding", b"expect"))


class Application(Protocol):
    """What an application offers beside ASGI."""

    def at_hand(self, scope: dict[str, Any]) -> tuple[Ready, Lines] | None:
        """The answer to a request and the headers that stand on all, if it is at hand. Never raises."""

    def lines(self, origin: bytes | None) -> Lines:
        """The headers that stand on every answer to that origin."""

    def note(self, scope: dict[str, Any], status: int, size: int, started: float) -> None:
        """Is told of each answer that was at hand, for the access log."""


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the short cut. Its application is an Application."""

    @property
    def application(self) -> Application:
        return cast(Application, self.config.app)

    def on_headers_complete(self) -> None:
        if self._plain():
            started = time.perf_counter()
            path, _, query = self.url.partition(b"?")
            scope = cast(dict[str, Any], self.scope)
            scope.update(
                method=self.parser.get_method().decode("ascii"), path=path.decode("latin-1"), query_string=query
            )
            answer = self.application.at_hand(scope)
            if answer:
                size = self._write(*answer, scope["method"] != "HEAD")
                self.application.note(scope, answer[0].status, size, started)
                return
        super().on_headers_complete()

    def _plain(self) -> bool:
        """Whether this is one request after another, without a body, on a connection that is kept."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and b"#" not in self.url
            and not _UNUSUAL.intersection(dict(self.headers))
        )

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

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.cycle is not None:
            super().on_message_complete()
