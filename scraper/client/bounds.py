"""How much a server may send. A server that is broken or hostile fills neither the memory nor the disk of a sync."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scraper.errors import AnswerTooLarge

PAGE_TAGS = 20_000  # a parsed tag takes about a kilobyte; the largest pages of control panels have some thousands
PAGE_ATTRIBUTES = 60_000  # in all tags together; a parsed attribute takes half a kilobyte
PAGE_DEPTH = 2_000  # of tags inside each other; browsers stop at 512, but here a <p> without an end contains the next
ROW_SHARE = 64  # a row is held in several copies while it is parsed, written and compressed
COLUMNS = 4096  # the most that MySQL allows in a table, and more than a description of a table or its keys has rows


@dataclass(frozen=True)
class Bound:
    """The most bytes that an answer may have after decompression.

    Attributes:
        limit: Their number.
        advice: What to do if an honest answer has more; None: the advice of the error.
    """

    limit: int
    advice: str | None = None

    def check(self, size: int, what: str = "An answer of the server") -> None:
        """Raises AnswerTooLarge if a size in bytes is above the bound.

        Args:
            size: What has arrived so far.
            what: What is arriving, for the message.
        """
        if size > self.limit:
            raise AnswerTooLarge(f"{what} has more than {self.limit / (1 << 20):,.1f} MB.", self.advice)

    def counting(self, sink: Callable[[bytes], Any], what: str = "An answer of the server") -> Callable[[bytes], None]:
        """Returns a sink that checks the size of all that it passes on."""
        size = 0

        def take(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            self.check(size, what)
            sink(chunk)

        return take


PAGE = Bound(2 << 20)  # phpMyAdmin's pages have 100 KB, those of control panels up to 1 MB
DESCRIPTION = Bound(4 << 20)  # a description of 4096 columns has 1 MB
CHECKSUMS = Bound(16 << 20)  # those of 100,000 ranges have 5 MB
NUMBER = Bound(64 << 10)


def row_bound(memory_mb: int) -> Bound:
    """The bound for a row, and for a page of rows.

    Args:
        memory_mb: The setting SYNC_MEMORY_MB.
    """
    return Bound(
        (memory_mb << 20) // ROW_SHARE,
        f"A row may have one {ROW_SHARE}th of SYNC_MEMORY_MB. Raise that setting if a row of the table is so long.",
    )


def disk_bound() -> Bound:
    """The bound for an answer that is spooled to disk: half of what is free there."""
    folder = tempfile.gettempdir()
    return Bound(shutil.disk_usage(folder).free // 2, f"That is half of the free space in {folder}. Free some space.")
