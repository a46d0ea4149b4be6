"""Answers that lie in memory: headers that are made already, and a body in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.headers import Lines

Piece = bytes | memoryview


@dataclass(slots=True)
class Ready:
    """An answer: headers of its view, headers of its own, and the body in pieces."""

    status: int
    shared: Lines
    own: list[tuple[bytes, bytes]]
    pieces: list[Piece]


SLICE = 256 * 1024  # bytes handed to the server at once: what a slow client can hold in memory


class ReadyResponse(Response):
    """Sends a ready answer piece by piece, at the pace of the client."""

    def __init__(self, answer: Ready) -> None:
        self.status_code = answer.status
        self.raw_headers = answer.own + answer.shared.raw
        self.background = None
        self._pieces = answer.pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in cut(self._pieces) if scope["method"] != "HEAD" else ():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def cut(pieces: Iterable[Piece]) -> Iterator[Piece]:
    return (piece[start : start + SLICE] for piece in pieces for start in range(0, len(piece), SLICE))
