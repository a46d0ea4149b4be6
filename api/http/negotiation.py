"""What the headers of a request ask for: a response only if it is a new one, and gzip."""

from __future__ import annotations

from functools import lru_cache

from isal import isal_zlib

from api.http.prepared_response import Chunk

MAX_ITEMS = 100  # of a header that is a list; further ones are ignored
MIN_GZIP, MAX_GZIP = 1_000, 4 << 20  # bytes of a body that is compressed in one go


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` names a tag: it is a list of tags, weak ones too (RFC 9110, weak comparison), or `*`."""
    if if_none_match == etag:
        return True
    return if_none_match.strip() == b"*" or etag in {
        tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",", MAX_ITEMS)
    }


@lru_cache(64)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether `Accept-Encoding` names gzip, or `*`, and not with q=0."""
    weights: dict[bytes, float] = {}
    for item in accept_encoding.lower().split(b",", MAX_ITEMS):
        name, _, parameter = item.partition(b";")
        try:
            weight = float(parameter.strip().removeprefix(b"q=")) if parameter else 1.0
        except ValueError:
            weight = 0.0
        weights[name.strip()] = weight
    return weights.get(b"gzip", weights.get(b"*", 0.0)) > 0


def compress(chunks: list[Chunk]) -> tuple[list[Chunk], bool]:
    """Compresses a body if it is worth it and takes little time.

    Returns:
        The body, and whether it is compressed.
    """
    if MIN_GZIP <= sum(map(len, chunks)) <= MAX_GZIP:
        return [isal_zlib.compress(b"".join(chunks), 1, wbits=31)], True
    return chunks, False
