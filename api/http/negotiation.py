"""A response only if it is a new one, and compressed if it is worth it."""

from __future__ import annotations

from isal import isal_zlib

from api.http.prepared_response import Chunk
from cache.accept_encoding import MAX_ITEMS

MIN_GZIP, MAX_GZIP = 1_000, 4 << 20  # bytes of a body that is compressed in one go


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` names a tag: it is a list of tags, weak ones too (RFC 9110, weak comparison), or `*`."""
    if if_none_match == etag:
        return True
    return if_none_match.strip() == b"*" or etag in {
        tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",", MAX_ITEMS)
    }


def compress(chunks: list[Chunk]) -> tuple[list[Chunk], bool]:
    """Compresses a body if it is worth it and takes little time.

    Returns:
        The body, and whether it is compressed.
    """
    if MIN_GZIP <= sum(map(len, chunks)) <= MAX_GZIP:
        return [isal_zlib.compress(b"".join(chunks), 1, wbits=31)], True
    return chunks, False
