"""Opens a cache in PostgreSQL, which several hosts share, with a copy of its files on this host."""

from __future__ import annotations

from pathlib import Path

from cache.storage.local.atomic_files import disk_errors, is_read_only, make_folder
from cache.storage.local.network_folder import refuse_network_folder
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.shared.blobs import Blobs
from cache.storage.shared.changes import Changes
from cache.storage.shared.database import Database
from cache.storage.shared.documents import SharedDocuments
from cache.storage.shared.follower import Follower
from cache.storage.shared.generations import Generations
from cache.storage.shared.mirror import Mirror
from cache.storage.shared.runs import SharedRuns
from cache.storage.shared.snapshots import SharedSnapshots
from cache.storage.shared.terms import SharedLeadership
from cache.storage.store import Cache


def open_shared(url: str, source: str, folder: Path, host: str | None = None) -> Cache:
    """Opens a shared cache. The database is asked with the first statement.

    Args:
        url: CACHE_URL: `postgresql://…`.
        source: The name of the cache in the database.
        folder: The folder of this host's copy. A missing one is created.
        host: Names this host to others; None: its host name.

    Raises:
        SettingsInvalid: The URL is invalid, or the folder is on a network file system.
        CacheUnwritable: The folder cannot be written.
    """
    database = Database(url, source)
    refuse_network_folder("CACHE_FOLDER", folder)
    read_only = is_read_only(folder)
    if not read_only:
        with disk_errors():
            make_folder(folder)
    files = LocalSnapshots(folder, lambda: None, read_only)  # a reader sees the pointer move: `Changes`
    changes = Changes(database, files.pointer)
    leadership = SharedLeadership(database, host)
    generations, blobs = Generations(database, leadership), Blobs(database, leadership)
    mirror = Mirror(folder, files, generations, blobs)
    documents = SharedDocuments(database, changes, folder / "documents")
    follower = Follower(folder, files, mirror, changes, documents, read_only)

    def close() -> None:
        follower.stop()
        changes.close()
        follower.join()
        database.close()

    return Cache(
        snapshots=SharedSnapshots(files, mirror, follower, generations, blobs, leadership, changes),
        runs=SharedRuns(database, leadership, changes, files),
        leadership=leadership,
        documents=documents,
        close=close,
        read_only=read_only,
    )
