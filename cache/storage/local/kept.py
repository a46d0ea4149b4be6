"""The folder of documents and past syncs: `kept` in DATA_DIR. The product never deletes this folder.

It belongs to one folder of snapshots. If two of these shared one DATA_DIR, they would share API keys, requests and the
leader's lease. A sync of one would then complete requests for the other.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from cache.errors import SettingsInvalid
from cache.storage.local.atomic_files import disk_errors, make_folder, write_whole

OWNER = "cache_folder.txt"


def open_kept(kept: Path, root: Path) -> None:
    """Creates the folder, readable only by its owner, and claims it for a folder of snapshots.

    If the folder of snapshots that claimed it is missing or empty, the cache has moved and the claim is replaced.

    Args:
        kept: The folder.
        root: The folder of snapshots.

    Raises:
        SettingsInvalid: The folder belongs to another folder of snapshots.
        CacheUnwritable: The folder cannot be written.
    """
    with disk_errors():
        make_folder(kept)
        name = _name(kept, root)
        if _owner(kept) == name:
            return
        with FileLock(kept / f"{OWNER}.lock"):
            owner = _owner(kept)
            if owner not in (None, name) and (kept / owner / "current.json").exists():
                raise SettingsInvalid(
                    f"{kept} belongs to the cache in {(kept / owner).resolve()}; CACHE_URL names {root}.",
                    "Give each cache a DATA_DIR of its own. If this is the same cache in a new place, remove the old "
                    "folder.",
                )
            write_whole(kept / OWNER, f"{name}\n".encode())


def _owner(kept: Path) -> str | None:
    try:
        return (kept / OWNER).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _name(kept: Path, root: Path) -> str:
    """Returns the path of the folder of snapshots; relative if it is in the same DATA_DIR, which may move."""
    root, data_dir = root.resolve(), kept.resolve().parent
    return str(Path("..") / root.relative_to(data_dir)) if root.is_relative_to(data_dir) else str(root)
