"""A small pool of connections, for all threads of a process.

psycopg_pool connects in the background: a caller would wait for its time limit and not learn why the server does not
answer. Here the caller connects, and gets the reason at once.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from cache.storage.shared.address import Address

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(address: Address, **limits: int) -> Connection:
    """Opens a connection that keeps no state between statements, so that it passes transaction poolers.

    Args:
        address: The database.
        limits: Limits of time that replace those of the address, as libpq names them.

    Raises:
        psycopg.Error: The server does not answer, or refuses the login.
    """
    return psycopg.connect(
        autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor, **{**address.parameters, **limits}
    )


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Cuts a connection if what is done on it takes longer. psycopg and libpq have no time limit for an answer.

    Args:
        connection: The connection.
        seconds: The time limit.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = threading.Timer(seconds, _cut, [line])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):  # it was closed just now
        line.shutdown(socket.SHUT_RDWR)


class Connections:
    """Connections to one database.

    Args:
        address: The database.
        limit: How many are open at most. Further threads wait.
    """

    def __init__(self, address: Address, limit: int) -> None:
        self._address = address
        self._free = threading.BoundedSemaphore(limit)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lends a connection: an idle one, else a new one. One that broke meanwhile is closed.

        Raises:
            psycopg.Error: The server does not answer, or refuses the login.
        """
        with self._free:
            connection = self._take() or connect(self._address)
            try:
                yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Closes the idle connections now, and the others when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _is_silent(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            keep = not self._closed and not connection.closed
            keep = keep and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _is_silent(connection: Connection) -> bool:
    """Whether an idle connection still stands: a server that closed it has sent something."""
    if connection.closed:
        return False
    if hasattr(select, "poll"):  # unlike `select`, it takes any number of open files
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)
    return not select.select([connection.fileno()], [], [], 0)[0]
