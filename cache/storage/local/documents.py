"""Stores documents as JSON files in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError
from typing_extensions import override

from cache.errors import CacheError
from cache.storage.damage import report
from cache.storage.documents import Content, Document
from cache.storage.local.atomic_files import disk_errors, write_whole
from cache.storage.local.journal import Journal
from cache.storage.store import Documents


class LocalDocuments(Documents):
    """The documents of one cache.

    Args:
        folder: The folder of the files. It exists.
        journal: Notifies readers of changes.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    @override
    def read(self, document: Document[Content]) -> Content:
        content = self._read(document)
        if content is None and document.secret:
            self.change(document, lambda made: made)
            content = self._read(document)
        return content or document.model()

    @override
    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        with disk_errors(), FileLock(self._folder / f"{document.name}.lock"):
            changed = change(self._read(document) or document.model())
            write_whole(self._path(document), changed.model_dump_json().encode())
        self._journal.bump()

    def _read(self, document: Document[Content]) -> Content | None:
        try:
            return document.model.model_validate_json(self._path(document).read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            if not document.secret and isinstance(error, ValidationError):
                report(str(self._path(document)), error)
                return None
            raise CacheError(
                f"{self._path(document)} cannot be read.",
                "Give this user access to it; where it is damaged, restore a backup, or delete it and enter its "
                "contents again.",
            ) from error

    def _path(self, document: Document[Content]) -> Path:
        return self._folder / f"{document.name}.json"
