"""Answers that come gzipped: unpacked as they arrive, and asked for where the way from the server is slow."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from typing import Any

from scraper.errors import AnswerCut

# Bytes a second below which packing is tried. Rows shrink to a sixth, and PHP packed 45 MB of them a second where this
# was measured: a server ten times slower still more than doubles this rate. Above, its work would bring little.
SLOW = 2_000_000
TELLING = 256 << 10  # a smaller answer tells more about the server's latency than about the way
WORTH = 1.5  # how many times faster packed rows have to be to stay packed

log = logging.getLogger(__name__)

_MAGIC = b"\x1f\x8b"


class Unpacked:
    """A sink that unpacks gzip of any number of members, as phpMyAdmin writes it. All else is passed on as it came:
    a page in place of rows, or what PHP wrote behind them.
    """

    def __init__(self, sink: Callable[[bytes], Any]) -> None:
        self._sink = sink
        self._start = b""
        self._member: Any = None  # zlib gives its type no public name
        self._plain = False

    def __call__(self, piece: bytes) -> None:
        """Raises AnswerCut where what is packed is damaged."""
        while piece:
            if self._plain:
                self._sink(piece)
                return
            if self._member is None:
                self._start += piece
                if len(self._start) < len(_MAGIC):
                    return
                piece, self._start = self._start, b""
                self._plain = not piece.startswith(_MAGIC)
                self._member = None if self._plain else zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                continue
            try:
                self._sink(self._member.decompress(piece))
            except zlib.error as error:
                raise AnswerCut("A packed answer arrived damaged.") from error
            piece = self._member.unused_data
            if self._member.eof:
                self._member = None

    def end(self) -> None:
        """Raises AnswerCut inside of a member."""
        if self._member is not None:
            raise AnswerCut("A packed answer ended before its end.")
        self._sink(self._start)


class Packing:
    """Whether answers are to be packed, learnt from those that came: tried once where rows come slowly, and kept where
    they come faster then. A server that is slow itself is not, and is spared the work.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._plain_rate = 0.0
        self._settled = False

    def learn(self, size: int, seconds: float) -> None:
        """Parameters: `size` of an answer in bytes, unpacked; `seconds` from the question to its end."""
        if self._settled or size < TELLING:
            return
        rate = size / max(seconds, 1e-6)
        if not self.wanted and rate < SLOW:
            self.wanted, self._plain_rate = True, rate
            log.info("packing=tried because rows come at %.0f kB/s", rate / 1000)
        elif self.wanted:
            self._settled, self.wanted = True, rate > WORTH * self._plain_rate
            log.info(
                "packing=%s because packed rows come at %.0f kB/s", "kept" if self.wanted else "dropped", rate / 1000
            )
