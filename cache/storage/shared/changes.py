"""The number that grows with each change that readers of this host show, and how they wait for it.

One thread of each process watches the database: it listens for notifications, and reads again every two seconds, since
a transaction pooler passes none and a cut connection may stay silent. The files of this host change later than the
database, so a change of them counts too, and so does the loss and the return of the database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg

from cache.errors import CacheError, CacheFormat, CacheUnreachable
from cache.storage.shared import schema
from cache.storage.shared.connections import Connection, time_limit
from cache.storage.shared.database import NOTIFY, Database
from cache.storage.shared.generations import Pointer
from cache.storage.snapshot import Head

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
LOOK_SECONDS = 0.05  # between two looks at the files of this host, while a reader waits
ANSWER_SECONDS = 4.0  # a server that is stuck takes statements and answers none
END_SECONDS = 0.25  # how soon the thread notices that it shall end

_STATE = """
SELECT (SELECT format FROM orders_cache.meta), sum(version)::bigint, max(generation), max(head::text), max(digest)
FROM orders_cache.terms WHERE source = %(source)s
"""  # only the row of the sync has a generation
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
        files: Returns a value that changes with the files of this host, in about a microsecond.

    Attributes:
        pointer: The pointer to the newest generation, as last seen in the database; None before the first publish.
    """

    def __init__(self, database: Database, files: Callable[[], object] = lambda: None) -> None:
        self.pointer: Pointer | None = None
        self._database = database
        self._files = files
        self._seen_files = files()
        self._version = 0  # of the database
        self._others = 0  # changes outside the database
        self._failure: CacheUnreachable | CacheFormat | None = None
        self._changed = threading.Condition()
        self._looking = threading.Lock()  # so that an older answer never replaces a newer one
        self._calls: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends the thread, and the waiting of others."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def is_watching(self) -> bool:
        """Whether the thread runs. It may find that the database does not answer."""
        return self._thread is not None

    def before_telling(self, call: Callable[[], None]) -> None:
        """Lets the thread call a function when something has changed, before it tells those who wait."""
        self._calls.append(call)

    def require_format(self) -> None:
        """Checks that no newer version has raised the format of the database, as far as this process knows.

        Raises:
            CacheFormat: One has.
        """
        if isinstance(self._failure, CacheFormat):
            raise self._failure

    @property
    def seen(self) -> int:
        """The version, as last seen in the database."""
        return self._number()

    def version(self) -> int:
        """Returns the number of changes.

        Raises:
            CacheUnreachable: The database does not answer.
        """
        self.look()
        return self._number()

    def look(self) -> Pointer | None:
        """Returns the pointer to the newest generation.

        Raises:
            CacheUnreachable: The database does not answer.
        """
        with self._looking:
            self._take(*self._database.rows(_STATE)[0])
            return self.pointer

    def bump(self) -> None:
        """Notifies readers of a change outside the database."""
        self._database.write("sync", _BUMP)

    def wait(self, version: int, timeout: float) -> int:
        """Waits until the version differs, for at most that many seconds, and returns it.

        Raises:
            CacheUnreachable: The database does not answer to the first call. Later calls do not raise it: that the
                database no longer answers is a change.
        """
        self._start()
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if (number := self._number()) != version or left <= 0 or self._closed.is_set():
                return number
            with self._changed:
                if self._version + self._others == number:
                    self._changed.wait(min(left, LOOK_SECONDS))

    def _number(self) -> int:
        files = self._files()
        with self._changed:
            if files != self._seen_files:
                self._seen_files = files
                self._others += 1
                self._changed.notify_all()
            return self._version + self._others

    def _take(
        self, format: int, version: int | None, generation: int | None, head: str | None, digest: str | None
    ) -> None:
        if format > schema.FORMAT:  # raised by a newer version since this process began
            self._database.check_again()
            self._set_failure(CacheFormat.of(format, schema.FORMAT))
            return
        with self._changed:
            self._version = version or 0
            if generation is not None and head is not None and digest is not None:
                self.pointer = Pointer(generation, Head.model_validate_json(head), digest)
            else:
                self.pointer = None
            self._set_failure(None)
            self._changed.notify_all()

    def _set_failure(self, failure: CacheUnreachable | CacheFormat | None) -> None:
        with self._changed:
            if (failure is None) != (self._failure is None):
                self._others += 1
                self._changed.notify_all()
            self._failure = failure
            self._database.known_failure = failure if isinstance(failure, CacheUnreachable) else None

    # -- the thread

    def _start(self) -> None:
        if self._thread is None:
            self.version()
            with self._looking:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._watch, name="shared cache", daemon=True)
                    self._thread.start()

    def _watch(self) -> None:
        while not self._closed.is_set():
            answered = False
            try:
                with closing(self._listen()) as connection:
                    told = None
                    while not self._closed.is_set():
                        with self._looking:
                            with time_limit(connection, ANSWER_SECONDS):
                                state = self._state(connection)
                            self._database.known_failure = None
                            if state != told:
                                for call in self._calls:
                                    call()
                            self._take(*state)
                        told, answered = state, True
                        self._pause(connection)
            except (psycopg.Error, CacheError) as error:
                if answered:  # the connection was cut; perhaps the server still answers
                    continue
                failure = self._database.failure(error) if isinstance(error, psycopg.Error) else error
                if isinstance(failure, CacheUnreachable | CacheFormat):
                    self._set_failure(failure)
                else:
                    log.error("The shared cache cannot be watched. %s", failure)
                self._closed.wait(POLL_SECONDS)

    def _state(self, connection: Connection) -> tuple[int, int | None, int | None, str | None, str | None]:
        with connection.cursor() as cursor:
            row = cursor.execute(_STATE, {"source": self._database.source}).fetchone()
        assert row is not None
        return row

    def _pause(self, connection: Connection) -> None:
        """Returns at a notification, or after some seconds."""
        end = time.monotonic() + POLL_SECONDS
        while not self._closed.is_set() and (left := end - time.monotonic()) > 0:
            for notice in connection.notifies(timeout=min(left, END_SECONDS), stop_after=1):
                if notice.payload == self._database.source:
                    return

    def _listen(self) -> Connection:
        connection = self._database.connect()
        try:
            connection.execute("LISTEN orders_cache")
        except psycopg.Error:
            connection.close()
            raise
        return connection
