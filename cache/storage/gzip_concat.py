"""Joins rows that were compressed at publication to one gzip body, at the time of a request.

A gzip member (RFC 1952) is a header, one deflate stream (RFC 1951), and the CRC-32 and the length of the uncompressed
data. Here each piece of the stream ends in a full flush: on a byte boundary, and no later piece refers to data before
it. Pieces can therefore be joined in any order, and their CRCs are combined. The body is one member, since some clients
stop after the first member.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

# Of 105 MB of orders as JSON: 5.8 times smaller in 0.11 s; zlib's level 1 made it 5.5 times smaller in 0.45 s.
LEVEL = 2

_READ = 1 << 20  # bytes
_HEADER = bytes.fromhex("1f8b 08 00 00000000 00 ff")
_COMMA = bytes.fromhex("00 0100 feff 2c")  # a stored block of one byte
_COMMA_CRC = zlib.crc32(b",")


class Piece:
    """Compresses JSON rows as they arrive. A comma follows each row except the last.

    Attributes:
        crc32: CRC-32 of the uncompressed data.
        size: Size of the uncompressed data in bytes.
    """

    def __init__(self) -> None:
        self._deflate = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self.crc32 = 0
        self.size = 0

    def add(self, rows: bytes | memoryview) -> bytes:
        """Compresses rows.

        Args:
            rows: Rows, each followed by a comma.

        Returns:
            The next bytes of the deflate stream; they may be empty.
        """
        comma = self._add(b",") if self.size and rows else b""
        return comma + self._add(rows[:-1])

    def _add(self, data: bytes | memoryview) -> bytes:
        self.crc32 = isal_zlib.crc32(data, self.crc32)
        self.size += len(data)
        return self._deflate.compress(data)

    def end(self) -> bytes:
        """Ends the piece with a full flush, and returns its last bytes."""
        return self._deflate.flush(zlib.Z_FULL_FLUSH)


def inflate(compressed: Path, plain: Path) -> None:
    """Writes the JSON rows of a piece again, each followed by a comma, into another file."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with compressed.open("rb") as packed, plain.open("wb") as rows:
        while data := packed.read(_READ):
            rows.write(inflater.decompress(data))
        rows.write(inflater.flush())
        if rows.tell():
            rows.write(b",")


class Compressed(NamedTuple):
    """Pieces of a deflate stream.

    Attributes:
        pieces: The bytes.
        crc32: CRC-32 of the uncompressed data.
        size: Size of the uncompressed data in bytes.
    """

    pieces: tuple[bytes | memoryview, ...]
    crc32: int
    size: int

    def then(self, other: Compressed) -> Compressed:
        """Returns these pieces, followed by the pieces of `other`."""
        crc32 = isal_zlib.crc32_combine(self.crc32, other.crc32, other.size)
        return Compressed(self.pieces + other.pieces, crc32, self.size + other.size)


def joined(parts: Iterable[Compressed]) -> Compressed:
    """Joins the rows of several segments, with commas between them.

    Args:
        parts: The rows of each segment, without a comma at the end.
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
    """Returns a gzip body.

    Args:
        head: Uncompressed bytes before the rows.
        rows: The rows.
        tail: Uncompressed bytes after the rows.

    Returns:
        The parts of the body.
    """
    whole = _piece(head, zlib.Z_FULL_FLUSH).then(rows).then(_piece(tail, zlib.Z_FINISH))
    return [_HEADER, *whole.pieces, struct.pack("<II", whole.crc32, whole.size & 0xFFFFFFFF)]


def _piece(data: bytes, flush: int) -> Compressed:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return Compressed((deflate.compress(data) + deflate.flush(flush),), zlib.crc32(data), len(data))
