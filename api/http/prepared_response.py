"""Responses whose body is in memory, in chunks that need no copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from api.http.headers import HeaderBlock

Chunk = bytes | memoryview

SLICE = 256 * 1024  # bytes handed to the server at once: what a slow client can hold in memory


@dataclass(slots=True)
class PreparedResponse:
    """A complete response. It is an ASGI application: it sends itself at the pace of the client.

    Attributes:
        status: The HTTP status.
        shared: Headers that many responses share.
        own: Headers of this response, as ASGI takes them.
        chunks: The body.
    """

    status: int
    shared: HeaderBlock
    own: list[tuple[bytes, bytes]]
    chunks: list[Chunk]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response; of the body nothing to a HEAD request."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.own + self.shared.raw})
        for chunk in slices(self.chunks) if scope["method"] != "HEAD" else ():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def slices(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks, cut where they are longer than SLICE."""
    return (chunk[start : start + SLICE] for chunk in chunks for start in range(0, len(chunk), SLICE))
