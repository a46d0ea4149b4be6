"""Joins rows that were compressed when they were published to one gzip body, when a client asks for it.

A gzip member (RFC 1952) is a header, one deflate stream (RFC 1951), and the CRC-32 and the length of the uncompressed
data. Here the stream consists of pieces that each end in a full flush: on a byte boundary, with no later reference to
what stands before it. So pieces can be joined in any order, and their CRCs are combined. The body is one member, since
some clients stop after the first.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from isal import isal_zlib

# Of 105 MB of orders as JSON: 5.8 times smaller in 0.11 s; zlib's level 1 made it 5.5 times smaller in 0.45 s.
LEVEL = 2

_HEADER = bytes.fromhex("1f8b 08 00 00000000 00 ff")
_COMMA = bytes.fromhex("00 0100 feff 2c")  # a stored block of one byte
_COMMA_CRC = zlib.crc32(b",")


class Piece:
    """Compresses rows of JSON, each with a comma behind it, as they come; the last comma is left out.

    Attributes:
        crc32: CRC-32 of the uncompressed data.
        size: Its size in bytes.
    """

    def __init__(self) -> None:
        self._deflate = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self.crc32 = 0
        self.size = 0

    def add(self, rows: bytes | memoryview) -> bytes:
        """Compresses rows.

        Args:
            rows: Each with a comma behind it.

        Returns:
            What follows of the deflate stream; it may be empty.
        """
        comma = self._add(b",") if self.size and rows else b""
        return comma + self._add(rows[:-1])

    def _add(self, data: bytes | memoryview) -> bytes:
        self.crc32 = isal_zlib.crc32(data, self.crc32)
        self.size += len(data)
        return self._deflate.compress(data)

    def end(self) -> bytes:
        """Ends the piece with a full flush; returns the rest of it."""
        return self._deflate.flush(zlib.Z_FULL_FLUSH)


class Compressed(NamedTuple):
    """Pieces of a deflate stream.

    Attributes:
        pieces: The bytes.
        crc32: CRC-32 of the uncompressed data.
        size: Its size in bytes.
    """

    pieces: tuple[bytes | memoryview, ...]
    crc32: int
    size: int

    def then(self, other: Compressed) -> Compressed:
        """These pieces and others behind them."""
        crc32 = isal_zlib.crc32_combine(self.crc32, other.crc32, other.size)
        return Compressed(self.pieces + other.pieces, crc32, self.size + other.size)


def joined(parts: Iterable[Compressed]) -> Compressed:
    """Joins the rows of several segments, with commas between them.

    Args:
        parts: The rows of each, without a comma at their end.
    """
    whole = Compressed((), 0, 0)
    pieces: list[bytes | memoryview] = []
    for part in parts:
        if pieces:
            whole = whole.then(Compressed((), _COMMA_CRC, 1))
            pieces.append(_COMMA)
        whole = whole.then(part._replace(pieces=()))
        pieces += part.pieces
    return whole._replace(pieces=tuple(pieces))


def member(head: bytes, rows: Compressed, tail: bytes) -> list[bytes | memoryview]:
    """Puts a gzip body together.

    Args:
        head: What stands before the rows, not compressed.
        rows: The rows.
        tail: What stands after them, not compressed.

    Returns:
        The parts of the body.
    """
    whole = _piece(head, zlib.Z_FULL_FLUSH).then(rows).then(_piece(tail, zlib.Z_FINISH))
    return [_HEADER, *whole.pieces, struct.pack("<II", whole.crc32, whole.size & 0xFFFFFFFF)]


def _piece(data: bytes, flush: int) -> Compressed:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return Compressed((deflate.compress(data) + deflate.flush(flush),), zlib.crc32(data), len(data))
