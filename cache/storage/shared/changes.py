"""The number that grows with each change that readers show, and how they wait for it."""

from __future__ import annotations

import threading
import time

import psycopg

from cache.storage.shared.connections import Connection
from cache.storage.shared.database import NOTIFY, Database

POLL_SECONDS = 2.0  # a transaction pooler passes no notification, and a cut connection may stay silent
IDLE_LISTENERS = 2

_VERSION = "SELECT COALESCE(sum(version), 0)::bigint FROM orders_cache.terms WHERE source = %(source)s"
_BUMP = f"""
WITH changed AS (
    UPDATE orders_cache.terms SET version = version + 1 WHERE source = %(source)s AND name = 'sync' RETURNING version
)
SELECT {NOTIFY} FROM changed
"""


class Changes:
    """The changes of one shared cache. Each term counts those under its row; the version is their sum.

    Args:
        database: Stores the terms.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def close(self) -> None:
        """Closes the connections that listen."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def version(self) -> int:
        """Returns the number of changes."""
        return int(self._database.rows(_VERSION)[0][0])

    def bump(self) -> None:
        """Notifies readers of a change outside the database."""
        self._database.write("sync", _BUMP)

    def wait(self, version: int, timeout: float) -> int:
        """Waits until the version differs, for at most that many seconds, and returns it."""
        end = time.monotonic() + timeout
        while (current := self.version()) == version and (left := end - time.monotonic()) > 0:
            self._pause(min(left, POLL_SECONDS))
        return current

    def _pause(self, seconds: float) -> None:
        """Returns at a notification, or after some seconds. It may also return early."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        try:
            connection = idle or self._listen()
        except psycopg.Error:
            time.sleep(seconds)
            return
        try:
            if idle is not None:  # a new connection may have missed a change: the version is read again first
                for _ in connection.notifies(timeout=seconds, stop_after=1):
                    pass
        except psycopg.Error:
            connection.close()
        with self._lock:
            keep = not connection.closed and len(self._idle) < IDLE_LISTENERS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _listen(self) -> Connection:
        connection = self._database.connect()
        try:
            connection.execute("LISTEN orders_cache")
        except psycopg.Error:
            connection.close()
            raise
        return connection
