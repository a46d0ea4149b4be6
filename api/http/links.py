"""The header `Link: <…>; rel="next"` (RFC 8288), which clients and crawlers follow without knowing our tokens."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote, unquote_plus

MAX_BYTES = 2_000  # of a query that is repeated; servers in front of us bound the head of a response
_SAFE = "!$%&'()*+,-./:;=?@_~[]"  # what a query may hold unescaped, and what clients send so


def next_link(query: bytes, parameter: str, value: str, dropped: Collection[str] = ()) -> list[tuple[bytes, bytes]]:
    """The header with the address of the next page, as ASGI takes it.

    The address begins at its query, so it is relative to the path that the client asked for, under whatever prefix.

    Args:
        query: The query string of this page.
        parameter: The parameter that says where the next page begins.
        value: Its value.
        dropped: Parameters that belong to this page alone.

    Returns:
        The header; nothing if the query is too long to be repeated.
    """
    if len(query) > MAX_BYTES:
        return []
    left_out = {parameter, *dropped}
    parts = [part for part in query.split(b"&") if part and _name(part) not in left_out]
    target = quote(b"&".join([*parts, f"{parameter}={value}".encode()]), safe=_SAFE)
    return [(b"link", f'<?{target}>; rel="next"'.encode())]


def _name(part: bytes) -> str:
    return unquote_plus(part.partition(b"=")[0].decode("latin-1"))
