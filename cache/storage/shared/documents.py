"""Stores documents in PostgreSQL. A change replaces the version that it has read, or is made again on the newer one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError
from typing_extensions import override

from cache.errors import CacheError, CacheFormat, CacheUnreachable, CacheUnwritable
from cache.storage.damage import report
from cache.storage.documents import Content, Document
from cache.storage.local.atomic_files import disk_errors, make_folder, write_whole
from cache.storage.shared.changes import Changes
from cache.storage.shared.database import NOTIFY, Database
from cache.storage.store import Documents

MAX_CONFLICTS = 100

_READ = "SELECT version, body FROM orders_cache.documents WHERE source = %(source)s AND name = %(name)s"
_REPLACE = f"""
WITH replaced AS (
    INSERT INTO orders_cache.documents AS document (source, name, version, body)
    VALUES (%(source)s, %(name)s, %(version)s + 1, %(body)s)
    ON CONFLICT (source, name) DO UPDATE SET version = excluded.version, body = excluded.body
    WHERE document.version = %(version)s
    RETURNING version
), changed AS (
    UPDATE orders_cache.terms AS term SET version = term.version + 1
    FROM replaced WHERE source = %(source)s AND name = 'sync'
    RETURNING term.version
)
SELECT {NOTIFY} FROM changed
"""


class SharedDocuments(Documents):
    """The documents of one shared cache.

    Readers ask at each request, so a document is kept in memory until something changes in the database. Its last known
    content is also a file, which stands in while the database does not answer.

    Args:
        database: Stores the documents.
        changes: Says when something has changed.
        folder: The folder of the files. It is created when it is needed.
    """

    def __init__(self, database: Database, changes: Changes, folder: Path) -> None:
        self._database = database
        self._changes = changes
        self._folder = folder
        self._known: dict[str, _Known] = {}

    @override
    def read(self, document: Document[Content]) -> Content:
        known = self._known.get(document.name)
        seen = self._changes.seen
        if known and known.seen == seen and self._changes.is_watching:
            return known.content  # type: ignore[return-value]  # the name tells the class
        try:
            content = self._newest(document, seen)
        except (CacheUnreachable, CacheFormat):
            content = known.content if known else self._kept(document)  # type: ignore[assignment]
            if content is None:
                raise
        return content or document.model()

    @override
    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        for _ in range(MAX_CONFLICTS):
            version, content = self._read(document)
            body = change(content or document.model()).model_dump_json()
            if self._database.write("sync", _REPLACE, name=document.name, version=version, body=body):
                self._known.pop(document.name, None)
                return
        raise CacheUnwritable(f"The document {document.name} is changed all the time.", "Try again.")

    def _newest(self, document: Document[Content], seen: int) -> Content:
        version, content = self._read(document)
        if content is None and document.secret:
            self.change(document, lambda made: made)
            version, content = self._read(document)
        content = content or document.model()
        known = self._known.get(document.name)
        if version and (known is None or known.version != version):
            with suppress(CacheUnwritable), disk_errors():
                make_folder(self._folder)
                write_whole(self._file(document), content.model_dump_json().encode())
        self._known[document.name] = _Known(seen, version, content)
        return content

    def _read(self, document: Document[Content]) -> tuple[int, Content | None]:
        """Returns the version of a document, 0 where there is none, and its content, None where it is the initial."""
        for version, body in self._database.rows(_READ, name=document.name):
            try:
                return version, document.model.model_validate_json(body)
            except ValidationError as error:
                if document.secret:
                    raise CacheError(
                        f"The document {document.name} of the shared cache cannot be read.",
                        "Restore a backup, or delete it and enter its contents again.",
                    ) from None
                report(f"The document {document.name}", error)
                return version, None
        return 0, None

    def _kept(self, document: Document[Content]) -> Content | None:
        try:
            return document.model.model_validate_json(self._file(document).read_bytes())
        except (OSError, ValidationError):
            return None

    def _file(self, document: Document[Content]) -> Path:
        return self._folder / f"{document.name}.json"


class _Known(NamedTuple):
    """A document in memory, and the version of the cache that was seen before it was read."""

    seen: int
    version: int
    content: BaseModel
