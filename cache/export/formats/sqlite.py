"""Rows as an SQLite database: one table of rows, and the table `_about`, for programs that read no API (Metabase).

    kind                       declared         holds
    integer, unsigned          INTEGER          TEXT if a value is beyond 2^63 - 1
    boolean                    BOOLEAN          0 and 1, and misfits as they are
    decimal                    REAL             TEXT if a value has more digits than REAL holds (15, as in Excel)
    float, double              REAL
    date, datetime, timestamp  DATE, TIMESTAMP  as SQLite's functions write them, in UTC: 2025-12-29 10:25:00
    text, json                 TEXT
    bytes                      BLOB

A column is declared TEXT as a whole, so that all its values compare alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cache.export.about import About
from cache.export.formats.text import unquoted_json
from cache.export.formats.xlsx import holds_exactly
from cache.schema import Column, Kind
from cache.sql import quoted

ABOUT = "_about"
MAX_INTEGER = 2**63 - 1
READ_BYTES = 1 << 20

_DECLARED: dict[Kind, str] = {
    "integer": "INTEGER",
    "unsigned": "INTEGER",
    "boolean": "BOOLEAN",
    "decimal": "REAL",
    "float": "REAL",
    "double": "REAL",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "text": "TEXT",
    "json": "TEXT",
    "bytes": "BLOB",
}


def write_database(
    file: Path, name: str, columns: Sequence[Column], batches: Iterable[Sequence[pa.Array]], about: About | None
) -> None:
    """Writes the database.

    Args:
        file: Where to; there is no such file yet.
        name: The name of the table of rows. It becomes `orders` where SQLite keeps the name for itself.
        columns: The columns.
        batches: The rows in batches: an array for each column.
        about: What the database says of itself.

    Raises:
        sqlite3.Error: SQLite does not hold such a table, or cannot write the file.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # nobody reads the file before it is complete
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        database.execute(f"CREATE TABLE {ABOUT} (name TEXT, value TEXT)")
        database.executemany(f"INSERT INTO {ABOUT} VALUES (?, ?)", about.texts().items() if about else ())
        table = _Table(database, _free_name(name), columns)
        for batch in batches:
            table.add(batch)
        database.execute("COMMIT")


def read_pieces(file: Path) -> Iterator[bytes]:
    """The bytes of a file, in pieces."""
    with file.open("rb") as opened:
        while piece := opened.read(READ_BYTES):
            yield piece


def _free_name(name: str) -> str:
    return "orders" if name.lower() == ABOUT or name.lower().startswith("sqlite_") else name


class _Table:
    """The table of rows. It is made again when a value comes that its column does not hold."""

    def __init__(self, database: sqlite3.Connection, name: str, columns: Sequence[Column]) -> None:
        self._database = database
        self._name = name
        self._columns = columns
        self._texts: set[str] = set()  # names of columns that are TEXT because of their values
        self._create(name)
        database.create_function("written_out", 2, _written_out, deterministic=True)

    def add(self, batch: Sequence[pa.Array]) -> None:
        cells = list(zip(self._columns, batch, strict=True))
        too_large = {column.name for column, values in cells if not _fits(column, values)} - self._texts
        if too_large:
            self._make_texts(too_large)
        values = [_texts(*cell) if cell[0].name in self._texts else _values(*cell) for cell in cells]
        marks = ", ".join("?" * len(values))
        self._database.executemany(f"INSERT INTO {quoted(self._name)} VALUES ({marks})", zip(*values, strict=True))

    def _create(self, name: str) -> None:
        declared = ("TEXT" if column.name in self._texts else _DECLARED[column.kind] for column in self._columns)
        columns = (f"{quoted(column.name)} {kind}" for column, kind in zip(self._columns, declared, strict=True))
        self._database.execute(f"CREATE TABLE {quoted(name)} ({', '.join(columns)})")

    def _make_texts(self, names: set[str]) -> None:
        self._texts |= names
        before = quoted(f"{self._name} before")
        self._database.execute(f"ALTER TABLE {quoted(self._name)} RENAME TO {before}")
        self._create(self._name)
        values = (
            f"written_out({quoted(column.name)}, {column.decimals})" if column.name in names else quoted(column.name)
            for column in self._columns
        )
        self._database.execute(f"INSERT INTO {quoted(self._name)} SELECT {', '.join(values)} FROM {before}")
        self._database.execute(f"DROP TABLE {before}")


def _written_out(value: float | None, decimals: int) -> str | None:
    """A number that was held exactly, as a text."""
    return None if value is None else f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


def _fits(column: Column, values: pa.Array) -> bool:
    match column.kind:
        case "decimal":
            return pc.all(holds_exactly(column, values.drop_null())).as_py() is not False
        case "unsigned":
            return (pc.max(values).as_py() or 0) <= MAX_INTEGER
        case _:
            return True


def _texts(column: Column, values: pa.Array) -> list[Any]:
    texts: list[Any] = unquoted_json(column, values).to_pylist()
    return texts


def _values(column: Column, values: pa.Array) -> list[Any]:
    match column.kind:
        case "integer" | "unsigned" | "boolean" | "text" | "double" | "bytes":
            plain: list[Any] = values.to_pylist()
            return plain
        case "decimal" | "float":  # a FLOAT as the shortest number that reads back the same in its width
            return _each(float, _texts(column, values))
        case "datetime" | "timestamp":
            return _each(lambda text: text.replace("T", " ").removesuffix("Z"), _texts(column, values))
        case _:
            return _texts(column, values)


def _each(function: Callable[[str], Any], texts: Iterable[str | None]) -> list[Any]:
    return [None if text is None else function(text) for text in texts]
