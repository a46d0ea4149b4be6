"""What goes wrong in a database: killed queries, limits that are reached, an expired password, another engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pymysql

POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Faults:
    """Faults that last as long as a `with` block, and are then put right.

    Args:
        connect: gives a connection with all rights.
        username: the product's account.
        password: its password.
    """

    connect: Callable[[], pymysql.Connection[Any]]
    username: str
    password: str

    @contextmanager
    def killing(
        self,
        what: Literal["QUERY", "CONNECTION"] = "QUERY",
        *,
        matching: str = "SELECT",
        after: float = 0.0,
        times: int | None = None,
    ) -> Iterator[list[str]]:
        """Kill the account's statements while they run.

        Args:
            what: the statement alone, or the connection with it.
            matching: text that the statement holds.
            after: seconds that it must have run.
            times: how many at most.

        Yields:
            The statements that were killed; the list grows while the block runs.
        """
        killed: list[str] = []
        done = threading.Event()
        running = (
            "SELECT ID, INFO FROM information_schema.PROCESSLIST WHERE USER = %s AND COMMAND = 'Query'"
            " AND LOCATE(%s, INFO) AND TIME_MS >= %s AND STATE != 'killed'"
        )

        def watch(connection: pymysql.Connection[Any]) -> None:
            with connection, connection.cursor() as cursor:
                while not done.wait(POLL_SECONDS):
                    cursor.execute(running, (self.username, matching, after * 1000))
                    for identifier, statement in cursor.fetchall():
                        if times is None or len(killed) < times:
                            # It may have ended by itself meanwhile: then there is no such query, which is no fault.
                            cursor.execute(
                                "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
                                f" KILL {what} {int(identifier)}; END"
                            )
                            killed.append(statement)

        thread = threading.Thread(target=watch, args=(self.connect(),))
        thread.start()
        try:
            yield killed
        finally:
            done.set()
            thread.join()

    @contextmanager
    def variables(self, **values: float) -> Iterator[None]:
        """Set global variables of the server, such as `max_statement_time` (seconds); new connections have them."""
        with self.connect() as connection, connection.cursor() as cursor:
            before = {}
            for name in values:
                cursor.execute(f"SELECT @@GLOBAL.`{name}`")
                before[name] = cursor.fetchone()[0]
            try:
                for name, value in values.items():
                    cursor.execute(f"SET GLOBAL `{name}` = %s", (value,))
                yield
            finally:
                for name, value in before.items():
                    cursor.execute(f"SET GLOBAL `{name}` = %s", (value,))

    @contextmanager
    def expired_password(self) -> Iterator[None]:
        """The account's password is right, but has expired."""
        account = (self.username, "127.0.0.1")
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("ALTER USER %s@%s PASSWORD EXPIRE", account)
            try:
                yield
            finally:
                cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*account, self.password))

    @contextmanager
    def copy(self, table: str, name: str, *, engine: str = "MyISAM") -> Iterator[None]:
        """A copy of a table, with its keys, in another storage engine."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE `{name}` LIKE `{table}`")
            try:
                cursor.execute(f"ALTER TABLE `{name}` ENGINE = {engine}")
                cursor.execute(f"INSERT INTO `{name}` SELECT * FROM `{table}`")
                yield
            finally:
                cursor.execute(f"DROP TABLE `{name}`")
