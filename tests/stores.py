"""The two stores of a cache, for tests that hold for both: files of one machine, and PostgreSQL for several hosts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg
from cache_factory import cache_in

from cache.storage.records import now
from cache.storage.shared import shared_cache
from cache.storage.store import Cache

SOURCE = "shop.orders"
BROKEN = ["", "{", "null", '{"id": 7}', b"\xff\xfe", 5]


class Store(Protocol):
    """Where the records of a cache are, and how a test changes them behind its back."""

    def open(self) -> Cache:
        """The cache, as another process opens it."""

    def damage(self, table: str, body: object) -> None:
        """Replace the newest record of a table."""

    def outcomes(self) -> list[str]:
        """The outcomes of all runs, also of those that cannot be read."""

    def shift_heartbeat(self, by: timedelta) -> None:
        """Move the heartbeat of all runs."""


@dataclass
class FileStore:
    here: Path

    def open(self) -> Cache:
        return cache_in(self.here)

    def damage(self, table: str, body: object) -> None:
        with self._journal() as db, db:
            value = "CAST(? AS TEXT)" if isinstance(body, bytes) else "?"  # bytes that are no UTF-8 in a text
            db.execute(f"UPDATE {table} SET body = {value} WHERE rowid = (SELECT MAX(rowid) FROM {table})", (body,))

    def outcomes(self) -> list[str]:
        with self._journal() as db:
            return [outcome for (outcome,) in db.execute("SELECT outcome FROM runs ORDER BY n")]

    def shift_heartbeat(self, by: timedelta) -> None:
        with self._journal() as db, db:
            db.execute("UPDATE runs SET body = json_set(body, '$.beat_at', ?)", ((now() + by).isoformat(),))

    def _journal(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self.here / "var/kept/journal.sqlite"))


@dataclass
class PostgreSQLStore:
    url: str
    here: Path

    def open(self, host: str | None = None, source: str = SOURCE) -> Cache:
        return open_shared(self.url, self.here, host, source)

    def damage(self, table: str, body: object) -> None:
        order = "beat" if table == "workers" else "n"
        self.run(
            f"UPDATE orders_cache.{table} SET body = %s WHERE id = "
            f"(SELECT id FROM orders_cache.{table} ORDER BY {order} DESC LIMIT 1)",
            _any_json(body),
        )

    def outcomes(self) -> list[str]:
        return [outcome for (outcome,) in self.run("SELECT outcome FROM orders_cache.runs ORDER BY n")]

    def shift_heartbeat(self, by: timedelta) -> None:
        self.run("UPDATE orders_cache.runs SET beat = clock_timestamp() + %s", by)

    def shift_term(self, name: str, by: timedelta) -> None:
        """Move the time at which a term was renewed."""
        self.run("UPDATE orders_cache.terms SET renewed = clock_timestamp() + %s WHERE name = %s", by, name)

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as another client of the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []


def open_shared(url: str, here: Path, host: str | None = None, source: str = SOURCE) -> Cache:
    """A shared cache, as a host opens it. Its copy is in `here`."""
    return shared_cache.open_shared(url, source, here / "cache", host)


def _any_json(body: object) -> str:
    """A broken body as the type jsonb can hold it."""
    try:
        return json.dumps(json.loads(body))
    except (TypeError, ValueError):
        return json.dumps(repr(body))
