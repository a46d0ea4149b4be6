"""The SQLite file in which the processes of one machine record requests, syncs and workers.

In SQLite's WAL mode, each change is atomic for all processes, even if a process is killed.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from cache.errors import CacheReadOnly, CacheUnwritable, DiskFull

JOURNAL = "journal.sqlite"
MIN_FREE = 1 << 16  # bytes: a disk with less is full, as SQLite calls some of its errors by other names

_SCHEMA = """
CREATE TABLE IF NOT EXISTS version (n INTEGER NOT NULL);
INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT * FROM version);
CREATE TABLE IF NOT EXISTS lease (name TEXT PRIMARY KEY, worker TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, beat_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (n INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, run TEXT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (n INTEGER PRIMARY KEY, id TEXT UNIQUE, outcome TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (state, run);
"""
_VERSION = "SELECT CAST(COALESCE(MAX(n), 0) AS INTEGER) FROM version"
_DAMAGED = (
    "Check that this user may write to DATA_DIR and that its disk is not full. Where the file is damaged, end all "
    "processes and remove journal.sqlite*: the snapshots stay, and the history of syncs begins anew."
)


class Journal:
    """One connection to the file, shared by the threads of this process.

    Args:
        path: The file. It is created if it is missing.
        read_only: Whether this process may not write. Then a missing file counts as empty.

    Attributes:
        read_only: As given.

    Raises:
        CacheUnwritable: The file cannot be opened or written.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._lock = threading.RLock()
        self._version_lock: AbstractContextManager[object] = threading.Lock()
        self._path = path
        self.read_only = read_only
        if read_only:
            self._db = self._version_db = self._open_to_read()
            self._version_lock = self._lock
            return
        try:
            self._db = self._connect(str(path))
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self.write(bump=False) as db:
                _create_tables(db)
            self._version_db = self._connect(str(path))
        except sqlite3.Error as error:
            raise self._failure(error, f"{path} cannot be opened", _DAMAGED) from error

    @staticmethod
    def _connect(name: str) -> sqlite3.Connection:
        db = sqlite3.connect(name, timeout=30, isolation_level=None, check_same_thread=False, uri=True)
        db.text_factory = lambda text: text.decode(errors="replace")  # a damaged text is no damaged file
        return db

    def _open_to_read(self) -> sqlite3.Connection:
        """Opens the file beside a process that writes it; else as it was left; else an empty journal in memory."""
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            with suppress(sqlite3.Error):
                db = self._connect(f"{self._path.absolute().as_uri()}?{mode}")
                try:
                    db.execute("SELECT n FROM version")
                    return db
                except sqlite3.Error:
                    db.close()
        db = self._connect(":memory:")
        _create_tables(db)
        return db

    def _failure(self, error: sqlite3.Error, what: str, advice: str | None = None) -> CacheUnwritable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
        full = code == sqlite3.SQLITE_FULL
        if code == sqlite3.SQLITE_IOERR:
            with suppress(OSError):
                full = shutil.disk_usage(self._path.parent).free < MIN_FREE
        return DiskFull(f"The disk is full ({self._path}).") if full else CacheUnwritable(f"{what}: {error}.", advice)

    def close(self) -> None:
        """Closes the file."""
        with self._lock, self._version_lock:
            self._db.close()
            self._version_db.close()

    @contextmanager
    def write(self, bump: bool = True) -> Iterator[sqlite3.Connection]:
        """Runs one transaction.

        Args:
            bump: Whether to increase the version, which notifies readers of a change.

        Raises:
            CacheUnwritable: The file cannot be written, and the transaction is rolled back.
        """
        if self.read_only:
            raise CacheReadOnly()
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
                raise self._failure(error, "The journal of the cache cannot be written") from error

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
        """Returns a number that grows with each change.

        It takes microseconds, and waits for no transaction: it has a connection of its own.

        Raises:
            CacheUnwritable: The file cannot be read.
        """
        with self._version_lock:
            try:
                ((number,),) = self._version_db.execute(_VERSION).fetchall()
            except sqlite3.DatabaseError as error:
                raise CacheUnwritable(f"The journal of the cache cannot be read: {error}.", _DAMAGED) from error
        return int(number)

    def bump(self) -> None:
        """Notifies readers of a change outside the journal."""
        with self.write():
            pass

    def require_writable(self) -> None:
        """Writes a number that nobody reads.

        Raises:
            CacheUnwritable: The file cannot be written.
        """
        with self.write(bump=False) as db:
            (number,) = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version = {1 - number % 2}")  # SQLite does not write what stays the same


def _create_tables(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)
