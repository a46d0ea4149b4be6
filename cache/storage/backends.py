"""Opens a cache with the backend that CACHE_URL names."""

from __future__ import annotations

from cache.cache_place import CachePlace
from cache.storage.local.atomic_files import disk_errors, is_read_only, make_folder
from cache.storage.local.documents import LocalDocuments
from cache.storage.local.journal import JOURNAL, Journal
from cache.storage.local.kept import open_kept
from cache.storage.local.leadership import LocalLeadership
from cache.storage.local.migration import migrate
from cache.storage.local.network_folder import refuse_network_folder
from cache.storage.local.runs import LocalRuns
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.store import Cache


def open_cache(place: CachePlace) -> Cache:
    """Opens a cache for reading and writing, or only for reading where this process has no write access.

    A missing folder is created.

    Args:
        place: Where the cache is.

    Raises:
        SettingsInvalid: The URL of a database is invalid, a folder is on a network file system, or `kept` belongs to
            another cache.
        CacheUnwritable: The folder cannot be written.
        CacheUnreachable: The database does not answer.
    """
    if place.is_shared:
        from cache.storage.shared.shared_cache import open_shared  # loads psycopg

        return open_shared(place.url.get_secret_value(), place.name, place.mirror)
    root, kept = place.folder, place.kept
    refuse_network_folder("CACHE_URL", root)
    refuse_network_folder("DATA_DIR", kept)
    read_only = is_read_only(root) or is_read_only(kept)
    if not read_only:
        with disk_errors():
            make_folder(root)
        open_kept(kept, root)
        migrate(root, kept)
    journal = Journal(kept / JOURNAL, read_only)
    leadership = LocalLeadership(journal, root / "sync.lock")
    return Cache(
        snapshots=LocalSnapshots(root, journal.bump, read_only),
        runs=LocalRuns(journal, leadership),
        leadership=leadership,
        documents=LocalDocuments(kept, journal),
        close=journal.close,
        read_only=read_only,
    )
