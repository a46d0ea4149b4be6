"""Statements on the database of the shared cache, and its errors in our words.

A write is one message to the server: the server has all of it before it begins, runs it as one transaction, and never
waits for its client in between. So a process that is stopped holds no lock. The first statement of the message locks a
row of `terms`. The statements after it see all that was committed before, as under READ COMMITTED each takes a snapshot
of its own. All writes under the same row thus run one after the other.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import Any, Literal

import psycopg
from psycopg import errors

from cache.errors import CacheError, CacheFormat, CacheFull, CacheReadOnly, CacheUnreachable, CacheUnwritable
from cache.storage.records import SILENT_AFTER
from cache.storage.shared import schema
from cache.storage.shared.address import Address
from cache.storage.shared.connections import Connection, Connections, connect

TermName = Literal["leader", "sync"]
Row = tuple[Any, ...]

STATEMENTS = 4  # connections of a process: a statement takes milliseconds

NOTIFY = "pg_notify('orders_cache', %(source)s)"
"""Wakes readers. The outer query of a write has to select it from the rows that were changed, or it never runs."""

UNREACHABLE = ("08", "28", "3D", "53300", "57P")
"""SQLSTATEs, or how they begin: no connection, no login, no database, too many connections, a server that ends."""

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_LOCK = "SELECT FROM orders_cache.terms WHERE source = %(source)s AND name = %(locked)s FOR NO KEY UPDATE;\n"


class Database:
    """The database, for the threads of one process. It connects with the first statement.

    Args:
        url: CACHE_URL: `postgresql://…`.
        source: The name `database.table` of the copied table.

    Attributes:
        source: As given.
        known_failure: Why the database does not answer, if a thread that tries again and again knows it. Queries then
            fail with it at once, instead of each waiting for its time limit.

    Raises:
        SettingsInvalid: The URL is invalid.
    """

    def __init__(self, url: str, source: str) -> None:
        self.source = source
        self.known_failure: CacheUnreachable | None = None
        self._address = Address.parse(url)
        self._statements = Connections(self._address, STATEMENTS)
        self._renewals = Connections(self._address, 1)
        self._checked = False
        self._check_lock = threading.Lock()

    def close(self) -> None:
        """Closes the connections."""
        self._statements.close()
        self._renewals.close()

    def check_again(self) -> None:
        """Checks the format of the schema before the next statement: a newer version may have raised it."""
        self._checked = False

    def rows(self, sql: str, **values: object) -> list[Row]:
        """Returns the rows of a query.

        Args:
            sql: The query, with parameters such as `%(id)s`. `source` is one of them.
            values: The other parameters.

        Raises:
            CacheUnreachable: The database does not answer.
            CacheFormat: A newer version made the schema.
            CacheError: Another failure.
        """
        if self.known_failure is not None:
            raise self.known_failure.again()
        return self._run(self._statements, sql, values)

    def write(self, locked: TermName, sql: str, **values: object) -> list[Row]:
        """Runs statements as one transaction.

        Args:
            locked: The row of `terms` that is locked first.
            sql: The statements, with parameters as for `rows`.
            values: The parameters.

        Returns:
            The rows of the last statement.

        Raises:
            CacheUnreachable: The database does not answer. Whether the statements ran is not known.
            CacheFull: The disk of the database is full.
            CacheReadOnly: The role may not write.
            CacheFormat: A newer version made the schema.
            CacheUnwritable: Another failure.
        """
        return self._run(self._statements, _LOCK + sql, {**values, "locked": locked})

    def renew(self, locked: TermName, sql: str, **values: object) -> list[Row]:
        """Does the same as `write`, on a connection of its own: the renewal of a term waits for no other statement."""
        return self._run(self._renewals, _LOCK + sql, {**values, "locked": locked})

    def upload(self, sql: str, **values: object) -> list[Row]:
        """Runs one statement that takes bytes. Unlike in `write`, they are sent as they are, which is twice as fast.

        The statement is a transaction of its own, and the server has all of it before it begins.

        Raises:
            CacheError: As `write` does.
        """
        return self._run(self._statements, sql, values, psycopg.Cursor)

    def download(self, sql: str, **values: object) -> list[Row]:
        """Returns the rows of a query, with bytes as they are. Errors are those of `rows`."""
        return self._run(self._statements, sql, values, psycopg.Cursor)

    def connect(self) -> Connection:
        """Opens a connection for LISTEN. It fails within two seconds, so that it soon finds a server that returns.

        Raises:
            psycopg.Error: The server does not answer, or refuses the login.
        """
        return connect(self._address, connect_timeout=2, tcp_user_timeout=2_000)

    def _run(
        self,
        connections: Connections,
        sql: str,
        values: dict[str, object],
        binary: type[psycopg.Cursor[Row]] | None = None,
    ) -> list[Row]:
        try:
            with connections.connection() as connection:
                self._check(connection)
                if binary:
                    with binary(connection) as cursor:
                        return cursor.execute(sql.encode(), {"source": self.source, **values}, binary=True).fetchall()
                return _execute(connection, sql, {"source": self.source, **values})
        except psycopg.Error as error:
            self._checked = False  # perhaps it is another server now
            raise self.failure(error) from None  # its own words may hold rows

    def _check(self, connection: Connection) -> None:
        """Makes the schema where it is missing, and checks its format. Both need no right where nothing is missing."""
        if self._checked:
            return
        with self._check_lock:
            try:
                ((format,),) = _execute(connection, schema.CHECK)
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                _execute(connection, schema.CREATE)
                ((format,),) = _execute(connection, schema.CHECK)
            if format > schema.FORMAT:
                raise CacheFormat.of(format, schema.FORMAT)
            if format < schema.FORMAT:
                self._migrate(connection, format)
            ((missing,),) = _execute(connection, schema.MISSING_TERMS, {"source": self.source})
            if missing:
                self._add_terms(connection)
            self._checked = True

    def _migrate(self, connection: Connection, format: int) -> None:
        try:
            _execute(connection, schema.migration(format, SILENT_AFTER.total_seconds()))
        except psycopg.Error as error:
            if error.sqlstate != schema.OLDER_WORKER:
                raise
            raise CacheFormat(
                f"The shared cache has format {format}, and a worker of an older version still runs.",
                "Upgrade or stop that worker. Until then, this host shows its own copy.",
            ) from None

    def _add_terms(self, connection: Connection) -> None:
        with suppress(errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):  # a reader finds an empty cache
            _execute(connection, schema.ADD_TERMS, {"source": self.source})

    def failure(self, error: psycopg.Error) -> CacheError:
        """Returns an error of the database in our words."""
        state = error.sqlstate or ""
        if isinstance(error, errors.DiskFull):
            return CacheFull()
        if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            return CacheReadOnly(
                "The shared cache is read-only for this database role.",
                "Give the role of CACHE_URL the right to write the schema orders_cache, or run syncs elsewhere.",
            )
        reason = self._address.without_secrets(_reason(error))
        if isinstance(error, psycopg.InterfaceError) or not state or state.startswith(UNREACHABLE):
            return CacheUnreachable.at(self._address.place, reason)
        return CacheUnwritable(
            f"The database of the shared cache refused a statement: {reason}.",
            "Check its log. The last good snapshot is still served.",
        )


def text_of(json: str) -> str:
    """Returns JSON without the character NUL, which PostgreSQL stores in no text."""
    return _NUL.sub(r"\1", json)


def _execute(connection: Connection, sql: str, values: dict[str, object] | None = None) -> list[Row]:
    """Runs one message, and returns the rows of its last statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql.encode(), values)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


def _reason(error: psycopg.Error) -> str:
    """Why the server refused, as the rest of a sentence: without rows, addresses and advice."""
    primary = error.diag.message_primary
    lines = str(error).splitlines() or ["no reason given"]
    line = primary or next((line for line in reversed(lines) if "failed: " in line), lines[0])
    words = line.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
    return words[:1].lower() + words[1:]
