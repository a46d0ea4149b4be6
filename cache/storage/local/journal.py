"""The SQLite file in which the processes of one machine record requests, syncs and workers.

In SQLite's WAL mode, each change is atomic for all processes, even if a process is killed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cache.errors import CacheUnwritable

JOURNAL = "journal.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS version (n INTEGER NOT NULL);
INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT * FROM version);
CREATE TABLE IF NOT EXISTS lease (name TEXT PRIMARY KEY, worker TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, beat_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (n INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, run TEXT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (n INTEGER PRIMARY KEY, id TEXT UNIQUE, outcome TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (state, run);
"""
_DAMAGED = (
    "Check that this user may write to DATA_DIR and that its disk is not full. Where the file is damaged, end all "
    "processes and remove journal.sqlite*: the snapshots stay, and the history of syncs begins anew."
)


class Journal:
    """One connection to the file, shared by the threads of this process.

    Args:
        path: The file. It is created if it is missing.

    Raises:
        CacheUnwritable: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.text_factory = lambda text: text.decode(errors="replace")  # a damaged text is no damaged file
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self.write(bump=False) as db:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
        except sqlite3.Error as error:
            raise CacheUnwritable(f"{path} cannot be opened: {error}.", _DAMAGED) from error

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def write(self, bump: bool = True) -> Iterator[sqlite3.Connection]:
        """Runs one transaction.

        Args:
            bump: Whether to increase the version, which notifies readers of a change.

        Raises:
            CacheUnwritable: The file cannot be written, and the transaction is rolled back.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    if bump:
                        self._db.execute("UPDATE version SET n = n + 1")
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                raise CacheUnwritable(f"The journal of the cache cannot be written: {error}.") from error

    def rows(self, sql: str, *values: object) -> list[tuple[str]]:
        """Returns the rows of a query.

        Raises:
            CacheUnwritable: The file cannot be read.
        """
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise CacheUnwritable(f"The journal of the cache cannot be read: {error}.", _DAMAGED) from error

    def version(self) -> int:
        """Returns a number that grows with each change."""
        return int(self.rows("SELECT CAST(COALESCE(MAX(n), 0) AS INTEGER) FROM version")[0][0])

    def bump(self) -> None:
        """Notifies readers of a change outside the journal."""
        with self.write():
            pass
