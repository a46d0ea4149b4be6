"""Files that only their owner may read: orders, keys and pages of failed logins are nobody else's business."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

OTHERS = 0o077  # the permissions of all users but the owner


def keep_files_private() -> None:
    """Makes all files that this process and its children create from now on private, whatever the umask was.

    Call it once, at the start of a program.
    """
    os.umask(OTHERS)


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Returns the files and folders that other users of this machine may read, write or enter.

    A path inside a folder that others cannot enter is private, whatever its own permissions.

    Args:
        paths: Files and folders. Missing ones count as private.
    """
    if os.name == "nt":  # a profile folder is private, and permissions are of another kind
        return []
    return [path for path in paths if path.exists() and all(_is_open(each) for each in (path, *path.parents[:-1]))]


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & OTHERS)
