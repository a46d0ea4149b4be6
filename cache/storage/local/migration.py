"""Migrates a cache folder from an earlier format to the present format.

After a crash at any step, the cache can be read, and the next start continues the migration. Each step therefore copies
a file, renames the copy into place, and only then removes the original. The pointer is rewritten last. A file that is
already in place is newer than its original, which an earlier version may have written again.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from cache.errors import CacheUnwritable
from cache.storage.documents import DOCUMENTS
from cache.storage.file_format import FORMAT, decode, encode, format_of
from cache.storage.local.atomic_files import disk_errors, sync_file, sync_folder, write_whole
from cache.storage.local.journal import JOURNAL
from cache.storage.records import Draft
from cache.storage.snapshot import Head, Manifest

log = logging.getLogger(__name__)


def migrate(root: Path, kept: Path) -> None:
    """Migrates a cache if it has an earlier format. A cache of a later format is not changed.

    Args:
        root: The folder of snapshots.
        kept: The folder of documents and past syncs.

    Raises:
        CacheUnwritable: A file cannot be read or written.
    """
    if not _is_due(root):
        return
    with disk_errors(), FileLock(root / "publish.lock"):
        if not _is_due(root):  # another process was faster
            return
        log.info("The cache in %s is brought to format %d.", root, FORMAT)
        for document in DOCUMENTS:
            _move_document(root / f"{document.name}.json", kept)
        _move_journal(root / JOURNAL, kept / JOURNAL)
        for path in (root / "generations").glob("*.json"):
            _renumber(path, Manifest)
        _renumber(root / "draft.json", Draft)
        _renumber(root / "current.json", Head)


def _is_due(root: Path) -> bool:
    number = _format(root / "current.json")
    if number is not None and number > FORMAT:
        return False
    moved = (JOURNAL, *(f"{document.name}.json" for document in DOCUMENTS))
    return (number is not None and number < FORMAT) or any((root / name).exists() for name in moved)


def _format(path: Path) -> int | None:
    try:
        return format_of(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        return None


def _renumber(path: Path, model: type[Manifest | Draft | Head]) -> None:
    number = _format(path)
    if number is not None and number < FORMAT:
        with suppress(ValidationError):  # a damaged one stays as it is
            write_whole(path, encode(decode(model, path.read_bytes())))


def _move_document(path: Path, kept: Path) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    target = kept / path.name
    if not target.exists():
        write_whole(target, content)
    if target.read_bytes() == content:
        path.unlink()
    else:
        log.warning("%s is in use; %s differs from it and is kept as %s.old.", target, path, path.name)
        path.replace(path.with_name(f"{path.name}.old"))
    sync_folder(path.parent)


def _move_journal(path: Path, target: Path) -> None:
    """Copies through SQLite: the copy is consistent even if a process of an earlier version writes meanwhile."""
    if not path.exists():
        return
    if not target.exists():
        copy = target.with_name(f"{target.name}.new")
        for left_over in (copy, copy.with_name(f"{copy.name}-journal")):
            left_over.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(copy)) as destination:
                source.backup(destination)
        except sqlite3.Error as error:
            raise CacheUnwritable(
                f"{path} cannot be read: {error}.",
                "Where it is damaged, end all processes and remove it with its -wal and -shm files: the snapshots "
                "stay, and the history of syncs begins anew.",
            ) from error
        sync_file(copy)
        copy.replace(target)
        sync_folder(target.parent)
    for name in (
        f"{path.name}-wal",
        f"{path.name}-shm",
        path.name,
    ):  # the file itself last: it is what a start looks for
        path.with_name(name).unlink(missing_ok=True)
    sync_folder(path.parent)
