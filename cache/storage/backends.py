"""Opens a cache with the backend that CACHE_URL names."""

from __future__ import annotations

from pathlib import Path

from cache.errors import SettingsInvalid
from cache.storage.local.atomic_files import disk_errors, is_read_only, make_folder
from cache.storage.local.documents import LocalDocuments
from cache.storage.local.journal import JOURNAL, Journal
from cache.storage.local.kept import open_kept
from cache.storage.local.leadership import LocalLeadership
from cache.storage.local.migration import migrate
from cache.storage.local.runs import LocalRuns
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.store import Cache


def open_cache(url: str, kept: Path) -> Cache:
    """Opens a cache for reading and writing, or only for reading where this process has no write access.

    Args:
        url: CACHE_URL: `file:` and a folder. A missing folder is created.
        kept: The folder of documents and past syncs (`Settings.kept_dir`). It belongs to one cache.

    Raises:
        SettingsInvalid: The URL is invalid, or `kept` belongs to another cache.
        CacheUnwritable: The folder cannot be written.
    """
    scheme, _, path = url.partition(":")
    if scheme != "file" or not path:
        raise SettingsInvalid("CACHE_URL must be `file:` followed by a folder, such as file:var/cache.")
    root = Path(path)
    read_only = is_read_only(root) or is_read_only(kept)
    if not read_only:
        with disk_errors():
            make_folder(root)
        open_kept(kept, root)
        migrate(root, kept)
    journal = Journal(kept / JOURNAL, read_only)
    leadership = LocalLeadership(journal, root / "sync.lock")
    return Cache(
        snapshots=LocalSnapshots(root, journal),
        runs=LocalRuns(journal, leadership),
        leadership=leadership,
        documents=LocalDocuments(kept, journal),
        close=journal.close,
        read_only=read_only,
    )
