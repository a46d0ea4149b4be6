"""Files of segments, open for reading. They stay readable when their names are gone, and a cut file is an error.

If a process reads a page of a memory map beyond the end of the file, the process ends (SIGBUS); a system call gets an
error instead. So maps only hand bytes to system calls without a copy, and all that this process looks at is read.
Windows does not let anyone cut a mapped file.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

from cache.errors import SnapshotDamaged

MAX_COPIED = 16 << 10  # bytes: up to this size, a copy is cheaper than a part of its own in a response
MOST_FILES = 65_536  # limit on open files; each segment opens up to five


class SegmentFile:
    """One file. Several threads may read it.

    Args:
        path: The file.
        size: Its size in bytes, as the manifest records it.
        on_cut: Called if the file is shorter. Returns the error to raise.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, size: int, on_cut: Callable[[], SnapshotDamaged]) -> None:
        _open_many_files()
        self.size = size
        self._on_cut = on_cut
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)

    def __getitem__(self, part: slice) -> bytes:
        """Reads a part, whose start and stop are given.

        Raises:
            SnapshotDamaged: The file was cut.
        """
        start: int = part.start
        size: int = part.stop - start
        data = _read_at(self._descriptor, size, start)
        if len(data) != size:
            raise self._on_cut()
        return data

    def to_send(self, start: int, stop: int) -> bytes | memoryview:
        """Returns bytes `start` to `stop` - 1, to be sent. Only a system call may read more than MAX_COPIED bytes.

        Raises:
            SnapshotDamaged: The file was cut. If it is cut later, the system call fails.
        """
        return self[start:stop] if stop - start <= MAX_COPIED else self.map()[start:stop]

    def map(self) -> memoryview:
        """Returns all bytes, without a copy. Only a system call may read them.

        Raises:
            SnapshotDamaged: The file was cut. If it is cut later, the system call fails.
        """
        self.require_whole()
        return self._map

    def require_whole(self) -> None:
        """Checks the size.

        Raises:
            SnapshotDamaged: The file was cut.
        """
        if os.fstat(self._descriptor).st_size < self.size:
            raise self._on_cut()

    @cached_property
    def _map(self) -> memoryview:
        return memoryview(mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ))


if sys.platform == "win32":
    _lock = threading.Lock()

    def _read_at(descriptor: int, size: int, start: int) -> bytes:
        with _lock:
            os.lseek(descriptor, start, os.SEEK_SET)
            return os.read(descriptor, size)

else:
    _read_at = os.pread


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
