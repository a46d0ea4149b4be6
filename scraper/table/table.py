"""What the table is: its columns and types, its key, and the SQL that selects and sums its rows.

A row's checksum is the first 64 bits of the MD5 (or SHA1, see StatementDialect) of its framed text:
CONCAT_WS('#', x1, ..., xN, CONCAT_WS(',', length of x1 or '-', ...)). The lengths keep ('a#b', 'c') and ('a', 'b#c')
apart, the '-' keeps NULL and '' apart. Server and client compute it, each in its own SQL, from the same expressions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import duckdb
import pyarrow as pa

from cache.schema import Column, Kind
from cache.storage.segment_writer import Checksums
from cache.storage.snapshot import StatementDialect
from scraper.client.exporter import Exporter
from scraper.client.retry import retry
from scraper.errors import AnswerCut, NoTable
from scraper.table import blob_encoding

_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_SHORT_TEXT = {"char", "varchar", "enum", "set"}
_LONG_TEXT = {"tinytext", "text", "mediumtext", "longtext", "json"}
_BYTES = {
    "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "linestring", "polygon",
    "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection", "vector",
}  # fmt: skip
_SHORT_BYTES = {"binary", "varbinary", "tinyblob", "blob"}
_KINDS: dict[str, Kind] = {
    "year": "integer", "bit": "unsigned", "float": "float", "double": "double", "date": "date",
    "datetime": "datetime", "timestamp": "timestamp",
}  # fmt: skip
MOST_DIGITS = 38  # of a 128-bit decimal
AS_USUAL = StatementDialect()
_DIGITS = {"MD5": 32, "SHA1": 40}


@dataclass(frozen=True)
class Table:
    """Parameters: `columns` in the order of the table; `estimate` and `row_bytes` are the server's guess at the number
    of rows and at their size; `charsets` are those of the columns; `engine` is the table's (MyISAM locks writers out);
    `dialect` says how checksums are put.
    """

    database: str
    name: str
    columns: tuple[Column, ...]
    server: str
    estimate: int = 0
    charsets: tuple[str | None, ...] = ()
    row_bytes: int = 0
    engine: str = ""
    dialect: StatementDialect = AS_USUAL

    @cached_property
    def range_key(self) -> int | None:
        """Index of the column that ranges are cut on: the first of the key, where it is an integer."""
        first = next((i for i, column in enumerate(self.columns) if column.key == 1), None)
        return first if first is not None and _base(self.columns[first]) in _INTEGERS else None

    @property
    def unique(self) -> bool:
        """Whether the range key alone tells rows apart."""
        return sum(1 for column in self.columns if column.key) == 1

    @property
    def sql_name(self) -> str:
        return f"{quoted(self.database)}.{quoted(self.name)}"

    @property
    def sql_key(self) -> str:
        """The range key, qualified: an unqualified name could mean a result column."""
        assert self.range_key is not None
        return f"t.{quoted(self.columns[self.range_key].name)}"

    @cached_property
    def select_list(self) -> str:
        parts = [f"{_value(column)} AS {self.alias}{i}" for i, column in enumerate(self.columns)]
        return ", ".join(parts if len(parts) > 1 else [*parts, f"0 AS {self.alias}1"])

    @cached_property
    def alias(self) -> str:
        """What the names of result columns begin with. phpMyAdmin calls a result column that has the name of one of
        the table's by the alias of that one, so no column of the table may have such a name.
        """
        alias = "c"
        while any(re.fullmatch(alias + r"\d+", column.name, re.IGNORECASE) for column in self.columns):
            alias += "c"
        return alias

    @property
    def width(self) -> int:
        """Number of result columns: a lone column would write an empty string as a blank line."""
        return max(2, len(self.columns))

    @cached_property
    def order(self) -> str:
        """ORDER BY the key, where there is one."""
        keys = sorted((column for column in self.columns if column.key), key=lambda column: column.key)
        return " ORDER BY " + ", ".join(f"t.{quoted(column.name)}" for column in keys) if keys else ""

    @cached_property
    def server_sum(self) -> str:
        """MySQL's expression for the exact sum of row checksums."""
        digest = self.dialect.digest
        texts = [_hashed(column, digest) for column in self.columns]
        lengths = [self._server_length(i, text) for i, text in enumerate(texts)]
        framed = f"CONCAT_WS('#', {', '.join(texts)}, CONCAT_WS(',', {', '.join(lengths)}))"
        if self.dialect.joiner == "CONCAT":  # the same text
            parts = [f"IFNULL(CONCAT({text}, '#'), '')" for text in texts]
            separated = ", ',', ".join(lengths)
            framed = f"CONCAT({', '.join(parts)}, {separated})"
        return f"SUM(CAST(CONV(LEFT({digest}({framed}), 16), 16, 10) AS UNSIGNED))"

    def _server_length(self, i: int, text: str) -> str:
        """The length of a text in bytes of UTF-8, '-' for NULL; told from the column alone where that is the same."""
        column = self.columns[i]
        if text.startswith(f"{self.dialect.digest}("):
            length = str(_DIGITS[self.dialect.digest])
        elif self.charsets[i] in ("utf8mb4", "utf8mb3", "utf8", "ascii"):
            length = f"LENGTH({_bare(column)})"
        else:
            length = f"LENGTH({text})"
        return f"IF({_bare(column)} IS NULL, '-', {length})" if column.nullable else length

    @cached_property
    def client_sum(self) -> str:
        """DuckDB's expression for a row's checksum; that of MD5 has its bytes in reverse order."""
        texts = [_hashed_here(column, f"c{i}", self.dialect.digest) for i, column in enumerate(self.columns)]
        lengths = [f"coalesce(strlen({text})::VARCHAR, '-')" for text in texts]
        framed = f"concat_ws('#', {', '.join(texts)}, concat_ws(',', {', '.join(lengths)}))"
        return (
            f"md5_number_upper({framed})"
            if self.dialect.digest == "MD5"
            else f"('0x' || left(sha1({framed}), 16))::UBIGINT"
        )

    def checksums(self, duck: duckdb.DuckDBPyConnection, rows: pa.Table) -> Checksums:
        """The checksum of each row, as the server computes it. `rows` are the table's texts, as exported."""
        duck.register("rows", rows)
        try:
            found = duck.sql(f"SELECT {self.client_sum} AS sum FROM rows").fetchnumpy()["sum"]
        finally:
            duck.unregister("rows")
        found = found.astype("uint64")
        return found.byteswap() if self.dialect.digest == "MD5" else found  # type: ignore[no-any-return]


def read_table(export: Exporter, database: str, name: str) -> Table:
    """Shape of a table, from information_schema. Raises NoTable, AnswerCut, and what `Exporter.select` raises.

    Each answer carries the number of rows it should have, since any answer can be cut.
    """
    return retry(lambda: _read(export, database, name))


def _read(export: Exporter, database: str, name: str) -> Table:
    of_table = f"table_schema = {literal(database)} AND table_name = {literal(name)}"
    told = [f"(SELECT {what} FROM information_schema.tables WHERE {of_table})"
            for what in ("table_rows", "avg_row_length", "engine")]  # fmt: skip
    columns = _whole(
        export,
        (
            "column_name",
            "column_type",
            "data_type",
            "is_nullable",
            "numeric_precision",
            "numeric_scale",
            "datetime_precision",
            "VERSION()",
            "character_set_name",
            *told,
        ),
        "information_schema.columns",
        of_table,
        "ordinal_position",
    )
    if not columns:
        raise NoTable(f"This login sees no table {name} in the database {database}.")
    keys = _whole(
        export,
        ("index_name", "column_name", "seq_in_index", "sub_part", "nullable"),
        "information_schema.statistics",
        of_table + " AND non_unique = 0",
        "index_name, seq_in_index",
    )
    places = key_places(keys)
    return Table(
        database=database,
        name=name,
        columns=tuple(described(row, places) for row in columns),
        server=str(columns[0][7]),
        charsets=tuple(row[8] for row in columns),
        estimate=int(columns[0][9] or 0),
        row_bytes=int(columns[0][10] or 0),
        engine=columns[0][11] or "",
    )


def _whole(
    export: Exporter, expressions: tuple[str, ...], table: str, where: str, order: str
) -> list[list[str | None]]:
    count = f"(SELECT COUNT(*) FROM {table} WHERE {where})"
    named = ", ".join(f"{part} AS c{i}" for i, part in enumerate([*expressions, count]))
    width = len(expressions) + 1
    rows = export.select(f"SELECT {named} FROM {table} WHERE {where} ORDER BY {order}", width)
    if not len(rows):
        bare = export.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {table} WHERE {where}", 2)
        expected = bare.column(0).to_pylist()
    else:
        expected = rows.column(width - 1).to_pylist()[:1]
    if expected != [str(len(rows))]:
        raise AnswerCut("The description of the table arrived incomplete.")
    return [list(row.values()) for row in rows.to_pylist()]


def key_places(index_rows: Sequence[Sequence[str | None]]) -> dict[str, int]:
    """Places of the columns in the primary key, else in the first unique index without NULLs and prefixes.

    Parameters: of each index column the name of the index, its own, its place, the length of a prefix, and whether it
    may be NULL, as information_schema has them.
    """
    indexes: dict[str, list[Sequence[str | None]]] = {}
    for row in index_rows:
        indexes.setdefault(str(row[0]), []).append(row)
    usable = {n: rows for n, rows in indexes.items() if all(r[1] and r[3] is None and r[4] != "YES" for r in rows)}
    chosen = usable.get("PRIMARY") or next(iter(usable.values()), [])
    return {str(row[1]): int(row[2] or 0) for row in chosen}


def described(row: Sequence[str | None], places: dict[str, int]) -> Column:
    """A column by name, full type, bare type, whether it may be NULL, digits, decimals, and those of a second."""
    name, full, base = str(row[0]), str(row[1]), str(row[2])
    digits, scale, fraction = (int(value or 0) for value in row[4:7])
    kind: Kind
    if full == "tinyint(1)":
        kind = "boolean"
    elif base in _INTEGERS:
        kind = "unsigned" if "unsigned" in full else "integer"
    elif base == "decimal":
        kind = "decimal" if digits <= MOST_DIGITS else "text"
    elif base in _BYTES:
        kind = "bytes"
    else:
        kind = _KINDS.get(base, "text")
    return Column(
        name=name,
        type=full,
        kind=kind,
        nullable=row[3] == "YES",
        key=places.get(name, 0),
        digits=digits if base == "decimal" else 0,
        decimals=scale if base == "decimal" else fraction,
    )


def may_be_json(column: Column) -> bool:
    return _base(column) in {"char", "varchar"} | _LONG_TEXT


def quoted(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string that no SQL mode reads differently: hexadecimal, with its character set."""
    return f"_utf8mb4 X'{text.encode().hex()}'"


def _base(column: Column) -> str:
    return column.type.partition("(")[0].split()[0].lower()


def _bare(column: Column) -> str:
    return f"t.{quoted(column.name)}"


def _value(column: Column) -> str:
    """MySQL's expression for the text of a cell: the same in every release, time zone and character set."""
    bare, base = _bare(column), _base(column)
    if base in _SHORT_TEXT | _LONG_TEXT:
        return f"CONVERT({bare} USING utf8mb4)"
    if column.kind == "bytes":
        return f"HEX({bare})" if base in _SHORT_BYTES else blob_encoding.text_sql(bare)
    if column.kind == "timestamp":
        return f"UNIX_TIMESTAMP({bare})"
    if base in ("float", "double"):
        return f"({bare} + 0e0)"
    if base == "bit":
        return f"({bare} + 0)"
    if column.kind == "text" and base not in ("time", "decimal"):
        return f"CAST({bare} AS CHAR)"
    return bare


def _hashed(column: Column, digest: str) -> str:
    """What stands for the cell in the row's text: a digest where a cell may be longer than max_allowed_packet."""
    if column.kind == "bytes":
        return f"{digest}({_bare(column)})"
    return f"{digest}({_value(column)})" if _base(column) in _LONG_TEXT else _value(column)


def _hashed_here(column: Column, name: str, digest: str) -> str:
    if column.kind == "bytes":
        return f"{digest.lower()}(unhex({name}))"
    return f"{digest.lower()}({name})" if _base(column) in _LONG_TEXT else name
