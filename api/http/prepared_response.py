"""Responses whose body is in memory, in chunks that need no copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from api.http.headers import HeaderBlock

Chunk = bytes | memoryview

NOT_MODIFIED = 304
SLICE = 256 * 1024  # bytes handed to the server at once: what a slow client can hold in memory


@dataclass(slots=True)
class PreparedResponse:
    """A complete response. It is an ASGI application: it sends itself at the pace of the client.

    Attributes:
        status: The HTTP status.
        shared: Headers that many responses share.
        own: Headers of this response, as ASGI takes them. Content-Length is added, except to a 304.
        chunks: The body.
        size: Bytes of the body.
    """

    status: int
    shared: HeaderBlock
    own: list[tuple[bytes, bytes]]
    chunks: list[Chunk]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.chunks))
        if self.status != NOT_MODIFIED:
            self.own = [*self.own, (b"content-length", b"%d" % self.size)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response; of the body nothing to a HEAD request."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.own + self.shared.raw})
        for chunk in slices(self.chunks) if scope["method"] != "HEAD" else ():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def slices(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks, cut where they are longer than SLICE."""
    return (chunk[start : start + SLICE] for chunk in chunks for start in range(0, len(chunk), SLICE))
