"""The folder of what people made and of past syncs: `kept` in DATA_DIR. The product never deletes it.

It belongs to one folder of snapshots. Two of them in one DATA_DIR would share API keys, requests and the leader's
lease, so that the syncs of one would answer for the other.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from cache.errors import SettingsInvalid
from cache.storage.local.atomic_files import disk_errors, write_whole

OWNER = "cache_folder.txt"


def open_kept(kept: Path, root: Path) -> None:
    """Creates the folder, readable by its owner alone, and claims it for a folder of snapshots.

    A folder of snapshots that is gone, or empty, loses its claim: then the cache has moved.

    Args:
        kept: The folder.
        root: The folder of snapshots.

    Raises:
        SettingsInvalid: It belongs to another folder of snapshots.
        CacheUnwritable: It cannot be written.
    """
    with disk_errors():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.mkdir(mode=0o700, exist_ok=True)
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
    """The folder of snapshots as `kept` names it: relative where both are in one DATA_DIR, which may move."""
    root, data_dir = root.resolve(), kept.resolve().parent
    return str(Path("..") / root.relative_to(data_dir)) if root.is_relative_to(data_dir) else str(root)
