"""Temporary folders that are removed even if the process that made them was killed: by the next one that makes one.

The name of a folder holds the id of its process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

PREFIX = "phpmyadmin-orders-"
SHORT = Path("/tmp")  # noqa: S108  mkdtemp makes names there that nobody guesses
YOUNGER_SECONDS = 2  # clocks of processes and of files differ by less


def make_folder(purpose: str, longest: int | None = None) -> Path:
    """Makes a folder, after removing those of processes that have ended. Its owner removes it at its end.

    Args:
        purpose: A word in its name.
        longest: Characters that its path may have, for a socket in it. Where the folder for temporary files of
            this machine has a longer path, the new folder is in /tmp.
    """
    sweep()
    prefix = f"{PREFIX}{os.getpid()}-{purpose}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    if longest and len(str(folder)) > longest and SHORT.is_dir():
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=SHORT))
    return folder


def sweep() -> None:
    """Removes the folders of processes that have ended. A folder that is older than its process is of another one."""
    for parent in {Path(tempfile.gettempdir()), SHORT}:
        for folder in parent.glob(f"{PREFIX}*"):
            owner = folder.name.removeprefix(PREFIX).partition("-")[0]
            if owner.isdigit() and not _lives(int(owner), folder):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(owner: int, folder: Path) -> bool:
    try:
        return psutil.Process(owner).create_time() <= folder.stat().st_mtime + YOUNGER_SECONDS
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):  # it may be someone else's, or gone
        return True
