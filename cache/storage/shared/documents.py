"""Stores documents in PostgreSQL. A change replaces the version that it has read, or is made again on the newer one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
_VERSIONS = "SELECT name, version FROM orders_cache.documents WHERE source = %(source)s"
_BODY = (
    "SELECT body FROM orders_cache.documents WHERE source = %(source)s AND name = %(name)s AND version = %(version)s"
)
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

    Readers ask at each request, some of them in an event loop, which must not wait for a database. So a document stays
    in memory, and the thread that watches the database replaces it. The follower of the host also keeps all documents
    as files, which stand in while the database does not answer.

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
        changes.before_telling(self._renew)
        self._kept: dict[str, int] = {}  # the versions of the files that this process wrote, by name

    @override
    def read(self, document: Document[Content]) -> Content:
        known = self._known.get(document.name)
        if known and self._changes.is_watching:
            return known.content  # type: ignore[return-value]  # the name tells the class
        try:
            return self._newest(document)
        except (CacheUnreachable, CacheFormat):
            content = known.content if known else self._from_file(document)
            if content is None:
                raise
            return content  # type: ignore[return-value]

    @override
    def change(self, document: Document[Content], change: Callable[[Content], Content]) -> None:
        for _ in range(MAX_CONFLICTS):
            version, content = self._read(document)
            body = change(content or document.model()).model_dump_json()
            if self._database.write("sync", _REPLACE, name=document.name, version=version, body=body):
                self._known.pop(document.name, None)
                return
        raise CacheUnwritable(f"The document {document.name} is changed all the time.", "Try again.")

    def _newest(self, document: Document[Content]) -> Content:
        version, content = self._read(document)
        if content is None and document.secret:
            self.change(document, lambda made: made)
            version, content = self._read(document)
        content = content or document.model()
        self._known[document.name] = _Known(document, version, content)
        return content

    def _renew(self) -> None:
        """Reads the documents again that have changed since they were read."""
        versions: dict[str, int] = dict(self._database.rows(_VERSIONS)) if self._known else {}
        for name, known in [*self._known.items()]:
            if versions.get(name, 0) != known.version:
                self._newest(known.document)

    def keep(self) -> None:
        """Copies the documents that have changed to the files of this host.

        Raises:
            CacheUnreachable: The database does not answer.
            CacheUnwritable: The disk of this host is full or read-only.
        """
        versions: dict[str, int] = dict(self._database.rows(_VERSIONS))
        with disk_errors():
            make_folder(self._folder)
            for name, version in versions.items():
                if self._kept.get(name) != version:
                    for (body,) in self._database.rows(_BODY, name=name, version=version):
                        write_whole(self._file(name), body.encode())
                        self._kept[name] = version

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

    def _from_file(self, document: Document[Content]) -> Content | None:
        """The document as the follower last copied it; None if it has copied none."""
        try:
            return document.model.model_validate_json(self._file(document.name).read_bytes())
        except FileNotFoundError:
            made = self._folder.exists() and not document.secret  # then the database had no such document
            return document.model() if made else None
        except (OSError, ValidationError):
            return None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


class _Known(NamedTuple):
    """A document in memory."""

    document: Document[Any]
    version: int
    content: BaseModel
