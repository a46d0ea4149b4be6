"""Batches of orders into a new table, fast: one batch is written while the server reads the one before."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql

from lab.data.table import COLUMNS, Row

# Control characters that occur in no value: between fields, between rows, and for a NULL until backslashes are escaped.
_FIELD, _ROW, _NULL = "\x1f", "\x1e", "\x1d"


def load(
    connection: "pymysql.Connection[Any]", database: str, table: str, batches: Iterator[list[Row]], folder: Path
) -> int:
    """Make the database anew, with one table that holds these orders; return how many there are.

    Args:
        connection: one that may do anything, and for which `local_infile` is on.
        folder: where a batch is kept while it is loaded.
    """
    definition = ", ".join(f"`{name}` {kind}" for name, kind in COLUMNS.items())
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{database}`")
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")
        cursor.execute(f"USE `{database}`")
        cursor.execute(
            f"CREATE TABLE `{table}` ({definition}, PRIMARY KEY (`id`), KEY `created_at` (`created_at`)) ENGINE=InnoDB"
        )
        file = folder / "batch"
        statement = (
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE `{table}` CHARACTER SET utf8mb4 "
            f"FIELDS TERMINATED BY '{_FIELD}' ESCAPED BY '\\\\' LINES TERMINATED BY '{_ROW}'"
        )

        def store(text: str) -> int:
            file.write_text(text, encoding="utf-8", newline="")
            return int(cursor.execute(statement))

        rows = 0
        pending: Future[int] | None = None
        with ThreadPoolExecutor(1) as loader:
            for batch in batches:
                text = encode(batch)
                rows += pending.result() if pending else 0
                pending = loader.submit(store, text)
            rows += pending.result() if pending else 0
        return rows


def encode(batch: list[Row]) -> str:
    """The rows as LOAD DATA reads them."""
    lines = (_FIELD.join([_NULL if value is None else str(value) for value in row]) for row in batch)
    text = _ROW.join(lines) + _ROW
    return text.replace("\\", "\\\\").replace(_NULL, "\\N")
