"""Tables of the lab and their copies: made, synced, and compared cell by cell with MariaDB itself.

What a cell should become is worked out here from the HTTP contract, from values read by a direct connection, with
nothing of the product's own code.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cache.storage.records import Run
from cache.storage.snapshot import PARQUET, Snapshot
from cache.storage.store import Cache
from lab import DATABASE, Lab
from scraper.client.session import Session
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "year"}
_BINARY = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "polygon"}
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}

EVERY_TYPE = """id BIGINT PRIMARY KEY, b BIT(10), bl BLOB, vb VARBINARY(5), ts TIMESTAMP(3) NULL, f FLOAT, d DOUBLE,
    g POINT, z INT(5) UNSIGNED ZEROFILL, t TEXT, e ENUM('a', 'b,c)'), n VARCHAR(9), y YEAR, tm TIME, dt DATETIME(6),
    m DECIMAL(12,2), l1 VARCHAR(5) CHARACTER SET latin1 COMMENT 'é, NOT NULL', j JSON, o TINYINT(1) NOT NULL"""
EVERY_TYPE_ROWS = [
    (
        -3,
        513,
        b'\x00\xff\n"',
        b"\x01",
        "2024-01-02 03:04:05.678",
        1.25,
        1e30,
        None,
        7,
        'a"b\r\nc',
        "b,c)",
        "NULL",
        2024,
        "-12:00:00",
        "2024-02-29 23:59:59.000001",
        "12.50",
        "é",
        '{"a": [1, 2.50]}',
        1,
    ),
    (2, *[None] * 17, 0),
    (
        9,
        1,
        b"",
        b"",
        "2024-07-01 00:00:00",
        0.5,
        0.1,
        None,
        0,
        "",
        "a",
        "",
        1999,
        "00:00:00",
        "1999-12-31",
        "-0.01",
        "",
        None,
        1,
    ),
]


class Copies:
    """Parameters: `session` is a login that is still good, so that a sync needs no Chrome."""

    def __init__(self, lab: Lab, cache: Cache, session: Session, settings: ScraperSettings) -> None:
        self.lab = lab
        self.cache = cache
        self.session = session
        self.settings = settings
        self._numbers = itertools.count()
        self._made: list[str] = []
        self._connection = lab.connect()

    def close(self) -> None:
        """Removes the tables that were made."""
        self._connection.close()
        with self.lab.connect() as connection, connection.cursor() as cursor:
            for name in self._made:
                cursor.execute(f"DROP TABLE IF EXISTS {_quoted(name)}")

    def execute(self, sql: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def table(self, definition: str, rows: Iterable[Sequence[Any]] = (), *, name: str = "", suffix: str = "") -> str:
        """Makes a table that lasts as long as the test; returns its name."""
        name = name or f"t{next(self._numbers)}"
        self.execute(f"DROP TABLE IF EXISTS {_quoted(name)}")
        self.execute(f"CREATE TABLE {_quoted(name)} ({definition}) {suffix}")
        self._made.append(name)
        self.insert(name, rows)
        return name

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if rows:
            with self._connection.cursor() as cursor:
                marks = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)

    def sync(self, table: str = "orders", session: Session | None = None, **settings: Any) -> Run:
        chosen = self.settings.model_copy(update={"phpmyadmin_table": table, **settings})
        return sync(self.cache, chosen, lambda _: session or self.session)

    def through(self, address: str) -> Session:
        """The login, with its exports sent to another address."""
        return replace(self.session, export_url=address)

    def differences(self, table: str = "orders", timezone: str = "UTC") -> list[str]:
        return differences(self.lab, table, self.cache.snapshots.open(), timezone)


def differences(lab: Lab, table: str, snapshot: Snapshot, timezone: str = "UTC") -> list[str]:
    """Cells that are not what MariaDB holds: in Parquet, in JSON, or missing. Empty where the copy is equal."""
    columns, raw = _direct(lab, table)
    found = []
    if snapshot.rows != len(raw):
        found.append(f"{snapshot.rows} rows instead of {len(raw)}")
    if [column.name for column in snapshot.columns] != list(columns):
        found.append(f"columns {[column.name for column in snapshot.columns]} instead of {list(columns)}")
    if found:
        return found
    if not snapshot.manifest.key and raw:
        return _multisets(lab, table, snapshot, timezone)
    parquet = parquet_table(snapshot)
    body = json_rows(snapshot)
    for i, (name, kind) in enumerate(columns.items()):
        texts = [row[i] for row in raw]
        for form, expected, got in (
            ("Parquet", _typed(kind, texts, timezone), parquet.column(i).to_pylist()),
            ("JSON", _contract(kind, texts, timezone), [row[name] for row in body]),
        ):
            if not _same(expected, got):
                wrong = [n for n, pair in enumerate(zip(expected, got, strict=True)) if not _same(*([x] for x in pair))]
                first = wrong[0]
                found.append(f"{form} {name}: {len(wrong)} cells, row {first}: {got[first]!r} not {expected[first]!r}")
    return found


def expected_rows(lab: Lab, table: str, timezone: str = "UTC") -> list[dict[str, Any]]:
    """The rows of a table as the JSON body has to have them."""
    columns, raw = _direct(lab, table)
    values = [_contract(kind, [row[i] for row in raw], timezone) for i, kind in enumerate(columns.values())]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def json_rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The rows of the JSON body."""
    rows: list[dict[str, Any]] = []
    for start in range(0, snapshot.rows, 10_000):  # in pieces, for the sake of memory
        rows += orjson.loads(b"[" + b"".join(snapshot.json_slices(start, start + 10_000)) + b"]")
    return rows


def parquet_table(snapshot: Snapshot) -> pa.Table:
    parts = [pq.read_table(path) for path in snapshot.paths(PARQUET)]
    return pa.concat_tables(parts) if parts else pa.table({column.name: [] for column in snapshot.columns})


def _direct(lab: Lab, table: str) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    """Column names with their types, and all rows as MariaDB gives them: text, or bytes for what is binary."""
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(
            "SELECT column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = %s AND BINARY table_name = %s ORDER BY ordinal_position",
            (DATABASE, table),
        )
        columns = dict(cursor.fetchall())
        cursor.execute(f"SHOW INDEX FROM {_quoted(table)} WHERE Key_name = 'PRIMARY'")
        key = [row[4] for row in cursor.fetchall()]
        order = f" ORDER BY {', '.join(map(_quoted, key))}" if key else ""
        connection.decoders = {}
        cursor.execute(f"SELECT * FROM {_quoted(table)}{order}")
        return columns, list(cursor.fetchall())


def _multisets(lab: Lab, table: str, snapshot: Snapshot, timezone: str) -> list[str]:
    """The same for a table without a key, whose rows have no order."""
    expected = sorted(json.dumps(list(row.values())) for row in expected_rows(lab, table, timezone))
    got = sorted(json.dumps(list(row.values())) for row in json_rows(snapshot))
    return [] if expected == got else [f"{len(set(expected) ^ set(got))} different rows"]


def _contract(kind: str, texts: list[Any], timezone: str) -> list[Any]:
    """The values of a column as JSON has them."""
    base = kind.partition("(")[0].split()[0]
    values = _typed(kind, texts, timezone)
    if kind == "tinyint(1)" and set(values) <= {0, 1, None}:
        return [None if value is None else bool(value) for value in values]
    if base == "decimal":
        return [None if value is None else str(value) for value in values]
    if base == "date":
        return [value and value.isoformat() for value in values]
    if base in ("datetime", "timestamp"):
        digits = int(kind.partition("(")[2].rstrip(")") or 0)
        return [value and _iso(value, digits) for value in values]
    if base in _BINARY:
        return [None if value is None else base64.b64encode(value).decode() for value in values]
    if base in _TEXTS:
        nested = [None if value is None else _nested(value) for value in values]
        fits = all(n is not None or v is None or _empty(v) for n, v in zip(nested, values, strict=True))
        if fits and any(value is not None for value in nested):
            return nested
    return values


def _typed(kind: str, texts: list[Any], timezone: str) -> list[Any]:
    """The values of a column as Parquet has them."""
    base = kind.partition("(")[0].split()[0]
    match base:
        case _ if base in _INTEGERS:
            read: Any = int
        case "decimal":
            read = Decimal if int(kind.partition("(")[2].partition(",")[0]) <= 38 else str
        case "float":
            read = lambda text: float(np.float32(text))  # noqa: E731
        case "double":
            read = float
        case "bit":
            read = lambda data: int.from_bytes(data, "big")  # noqa: E731
        case "date":
            read = _date
        case "datetime":
            read = lambda text: _instant(text, timezone)  # noqa: E731
        case "timestamp":
            read = lambda text: _instant(text, "UTC")  # noqa: E731
        case _:
            read = lambda value: value  # noqa: E731
    return [None if text is None else read(text) for text in texts]


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _instant(text: str, timezone: str) -> datetime | None:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return local.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    except OverflowError:  # UTC has no such year
        return None


def _iso(value: datetime, digits: int) -> str:
    fraction = f".{value.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{value:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "Z"


def _empty(text: str) -> bool:
    """Whether a text stands for nothing among JSON values."""
    return text.strip(" \t\r\n") in ("", "null", '""', '"null"')


def _nested(text: str) -> Any:
    """The object or array that a text holds, also inside a JSON string; None where it holds neither."""
    if text.lstrip()[:1] not in ("{", "[", '"'):  # quickly: most texts are none
        return None
    try:
        value = json.loads(text)
        value = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _same(expected: list[Any], got: list[Any]) -> bool:
    """Equal, and of equal types: True is not 1 here."""
    return expected == got and list(map(type, expected)) == list(map(type, got))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
