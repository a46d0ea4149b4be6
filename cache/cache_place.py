"""Where a cache is: what CACHE_URL and the settings beside it say."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, field_serializer

FILE, SHARED = "file:", ("postgresql://", "postgres://")


class CachePlace(BaseModel, frozen=True):
    """Where a cache is.

    Attributes:
        url: CACHE_URL: `file:` and a folder, or `postgresql://…`.
        kept: The folder of documents and past syncs, for `file:`. It belongs to one cache.
        mirror: The folder of this host's copy, for `postgresql://`.
        name: The name of the cache in the database, for `postgresql://`.
    """

    url: SecretStr
    kept: Path
    mirror: Path
    name: str = "orders"

    @classmethod
    def of_files(cls, folder: Path, kept: Path) -> CachePlace:
        """A cache of files.

        Args:
            folder: The folder of its snapshots.
            kept: The folder of its documents and past syncs.
        """
        return cls(url=SecretStr(f"{FILE}{folder}"), kept=kept, mirror=folder)

    @property
    def is_shared(self) -> bool:
        """Whether the cache is in a database that several hosts share."""
        return self.url.get_secret_value().startswith(SHARED)

    @property
    def folder(self) -> Path:
        """The folder of the snapshots on this host."""
        return self.mirror if self.is_shared else Path(self.url.get_secret_value().removeprefix(FILE))

    @property
    def label(self) -> str:
        """The address without user and password, to be shown."""
        if not self.is_shared:
            return f"{FILE}{self.folder}"
        try:
            parts = urlsplit(self.url.get_secret_value())
            server = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        except ValueError:  # it is no URL, and cannot be opened either
            server = "…"
        return f"postgresql://{server}, cache {self.name}, copied to {self.mirror}"

    @field_serializer("url", when_used="json")
    def _write_url(self, url: SecretStr) -> str:
        """For worker processes, which get the place through a pipe."""
        return url.get_secret_value()
