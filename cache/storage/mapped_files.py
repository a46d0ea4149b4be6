"""Memory-mapped files: read on access, shared by all processes, never copied."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

MOST_FILES = 65_536  # limit on open files; each segment maps four


def mapped(path: Path) -> memoryview:
    """Maps a file. A map keeps the file open, and a table of a million rows has hundreds of them.

    Raises:
        OSError: The file cannot be read.
    """
    _open_many_files()
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@cache
def _open_many_files() -> None:
    """Raises the limit on open files to MOST_FILES, or as far as this process is allowed to."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (MOST_FILES, 10_240):  # 10,240: the maximum on macOS
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return
