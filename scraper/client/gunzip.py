"""Answers that come gzipped: decompressed as they arrive, and requested where the connection is slow."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from typing import Any

from scraper.errors import AnswerCut

# Bytes a second below which compression is tried. Rows shrink to a sixth, and PHP compressed 45 MB of them a second
# where this was measured: even a server ten times slower more than doubles this rate.
SLOW = 2_000_000
TELLING = 256 << 10  # bytes: the time of a smaller answer shows the server's latency, not the connection's rate
WORTH = 1.5  # how many times faster compressed rows have to come for compression to stay
PIECE = 1 << 20  # bytes that are decompressed together: a thousand times as many as have arrived may come out

log = logging.getLogger(__name__)

_MAGIC = b"\x1f\x8b"


class GunzipSink:
    """A sink that decompresses gzip of any number of members. Other bytes are passed on unchanged.

    Those are a page in place of rows, or what PHP wrote after them.

    Args:
        sink: Takes the decompressed bytes.
    """

    def __init__(self, sink: Callable[[bytes], Any]) -> None:
        self._sink = sink
        self._start = b""
        self._member: Any = None  # zlib gives its type no public name
        self._plain = False

    def __call__(self, chunk: bytes) -> None:
        """Takes the next bytes, of any number.

        Raises:
            AnswerCut: The compressed data is damaged.
        """
        while chunk:
            if self._plain:
                self._sink(chunk)
                return
            if self._member is None:
                self._start += chunk
                if len(self._start) < len(_MAGIC):
                    return
                chunk, self._start = self._start, b""
                self._plain = not chunk.startswith(_MAGIC)
                self._member = None if self._plain else zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                continue
            self._decompress(chunk)
            chunk = self._member.unused_data
            if self._member.eof:
                self._member = None

    def _decompress(self, chunk: bytes) -> None:
        """Decompresses the part of a chunk that belongs to the present member, piece by piece."""
        piece = b""
        while chunk or len(piece) == PIECE:  # a full piece may leave more inside zlib
            try:
                piece = self._member.decompress(chunk, PIECE)
            except zlib.error as error:
                raise AnswerCut("A compressed answer arrived damaged.") from error
            self._sink(piece)
            chunk = self._member.unconsumed_tail

    def end(self) -> None:
        """Tells that no more bytes come.

        Raises:
            AnswerCut: The data ended inside a gzip member.
        """
        if self._member is not None:
            raise AnswerCut("A compressed answer ended before its end.")
        self._sink(self._start)


class CompressionChoice:
    """Whether to request compressed answers, learnt from the rates of those before.

    Compression is tried once where rows come slowly. It stays if they come faster with it: a server that is slow
    itself is spared the work.

    Attributes:
        enabled: Whether to request the next answer compressed.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._plain_rate = 0.0
        self._decided = False

    def learn(self, size: int, seconds: float) -> None:
        """Learns from an answer.

        Args:
            size: Its bytes, decompressed.
            seconds: From the request to the end of the answer.
        """
        if self._decided or size < TELLING:
            return
        rate = size / max(seconds, 1e-6)
        if not self.enabled and rate < SLOW:
            self.enabled, self._plain_rate = True, rate
            log.info("compression=tried because rows come at %.0f kB/s", rate / 1000)
        elif self.enabled:
            self._decided, self.enabled = True, rate > WORTH * self._plain_rate
            log.info(
                "compression=%s because compressed rows come at %.0f kB/s",
                "kept" if self.enabled else "dropped",
                rate / 1000,
            )
