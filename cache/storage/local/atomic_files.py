"""Atomic writes: after a crash, a file has either its old or its new content."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cache.errors import CacheReadOnly, CacheUnwritable, DiskFull


def sync_file(path: Path) -> None:
    """Forces a file's bytes to disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Forces a folder's entries to disk; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Makes a folder that only its owner may enter, unless it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def is_read_only(folder: Path) -> bool:
    """Whether a folder exists, and this process may not write to it."""
    return folder.exists() and not os.access(folder, os.W_OK)


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file: temporary file, fsync, rename, fsync of the folder. Only the owner may read the file.

    Args:
        path: The file.
        data: The new content.
    """
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Converts errors of the disk to CacheUnwritable.

    Raises:
        DiskFull: The disk is full.
        CacheReadOnly: This process has no write access.
        CacheUnwritable: Another error.
    """
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk is full{place}.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise CacheReadOnly(f"The cache is read-only{place}.") from error
        raise CacheUnwritable.because(f"{error.strerror or error}{place}") from error
