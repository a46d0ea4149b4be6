"""Stores documents in PostgreSQL. A change replaces the version that it has read, or is made again on the newer one."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from typing_extensions import override

from cache.errors import CacheError, CacheUnwritable
from cache.storage.damage import report
from cache.storage.documents import Content, Document
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

    Args:
        database: Stores the documents.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    def read(self, document: Document[Content]) -> Content:
        _, content = self._read(document)
        if content is None and document.secret:
            self.change(document, lambda made: made)
            _, content = self._read(document)
        return content or document.model()

    @override
    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        for _ in range(MAX_CONFLICTS):
            version, content = self._read(document)
            body = change(content or document.model()).model_dump_json()
            if self._database.write("sync", _REPLACE, name=document.name, version=version, body=body):
                return
        raise CacheUnwritable(f"The document {document.name} is changed all the time.", "Try again.")

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
