"""What the table is: its columns and key, and the SQL that selects its rows and sums their checksums.

A row's checksum is the first 64 bits of the MD5 (or SHA1, see StatementDialect) of its framed text:
CONCAT_WS('#', x1, ..., xN, CONCAT_WS(',', length of x1 or '-', ...)). The lengths keep ('a#b', 'c') and ('a', 'b#c')
apart, the '-' keeps NULL and '' apart. Server and client compute it, each in its own SQL, from the same expressions.
docs/architecture.md ("Why the copy can be trusted") and docs/decisions/range-checksums.md give the reasons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import duckdb
import pyarrow as pa

from cache.schema import Column
from cache.storage.segment_writer import Checksums
from cache.storage.source import StatementDialect
from scraper.table import blob_encoding

INTEGER_TYPES = {"tinyint", "smallint", "mediumint", "int", "bigint"}
BINARY_TYPES = {
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
    "vector",
}
_SHORT_TEXT = {"char", "varchar", "enum", "set"}
_LONG_TEXT = {"tinytext", "text", "mediumtext", "longtext", "json"}
_SHORT_BINARY = {"binary", "varbinary", "tinyblob", "blob"}
_HEX_DIGITS = {"MD5": 32, "SHA1": 40}
DEFAULT_DIALECT = StatementDialect()


@dataclass(frozen=True)
class Table:
    """A table of the source, as the server describes it.

    Attributes:
        database: Its database.
        name: Its name.
        columns: In the order of the table.
        server: Version of MySQL or MariaDB; empty if it is not known.
        estimate: The server's estimate of the number of rows; 0 if it is not known.
        charsets: The character set of each column; None for columns without one.
        row_bytes: The server's estimate of the bytes of a row; 0 if it is not known.
        engine: The storage engine; MyISAM and MEMORY lock writers out while a statement reads.
        dialect: The SQL constructs to use.
    """

    database: str
    name: str
    columns: tuple[Column, ...]
    server: str
    estimate: int = 0
    charsets: tuple[str | None, ...] = ()
    row_bytes: int = 0
    engine: str = ""
    dialect: StatementDialect = DEFAULT_DIALECT

    @cached_property
    def range_key(self) -> int | None:
        """Index of the column that ranges are made of: the first of the key, if it is an integer; else None."""
        first = next((i for i, column in enumerate(self.columns) if column.key == 1), None)
        return first if first is not None and _base(self.columns[first]) in INTEGER_TYPES else None

    @property
    def unique(self) -> bool:
        """Whether the range key alone identifies a row."""
        return sum(1 for column in self.columns if column.key) == 1

    @property
    def sql_name(self) -> str:
        """The quoted name, with that of the database."""
        return f"{quoted(self.database)}.{quoted(self.name)}"

    @property
    def sql_key(self) -> str:
        """The range key, qualified: an unqualified name could mean a result column."""
        assert self.range_key is not None
        return f"t.{quoted(self.columns[self.range_key].name)}"

    @cached_property
    def select_list(self) -> str:
        """The expressions of a SELECT for all columns as text; at least two."""
        parts = [f"{_value(column)} AS {self.alias}{i}" for i, column in enumerate(self.columns)]
        return ", ".join(parts if len(parts) > 1 else [*parts, f"0 AS {self.alias}1"])

    @cached_property
    def alias(self) -> str:
        """The letters that the names of result columns begin with.

        phpMyAdmin gives a result column that has the name of a column of the table that column's alias. So no column
        of the table may have such a name.
        """
        alias = "c"
        while any(re.fullmatch(alias + r"\d+", column.name, re.IGNORECASE) for column in self.columns):
            alias += "c"
        return alias

    @property
    def width(self) -> int:
        """Number of result columns: a single column would write an empty string as a blank line."""
        return max(2, len(self.columns))

    @cached_property
    def order(self) -> str:
        """The ORDER BY clause of the key; empty if there is no key."""
        keys = sorted((column for column in self.columns if column.key), key=lambda column: column.key)
        return " ORDER BY " + ", ".join(f"t.{quoted(column.name)}" for column in keys) if keys else ""

    @cached_property
    def server_sum(self) -> str:
        """MySQL's expression for the exact sum of row checksums."""
        digest = self.dialect.digest
        texts = [_server_text(column, digest) for column in self.columns]
        lengths = [self._server_length(i, text) for i, text in enumerate(texts)]
        framed = f"CONCAT_WS('#', {', '.join(texts)}, CONCAT_WS(',', {', '.join(lengths)}))"
        if self.dialect.joiner == "CONCAT":  # the same text
            parts = [f"IFNULL(CONCAT({text}, '#'), '')" for text in texts]
            separated = ", ',', ".join(lengths)
            framed = f"CONCAT({', '.join(parts)}, {separated})"
        return f"SUM(CAST(CONV(LEFT({digest}({framed}), 16), 16, 10) AS UNSIGNED))"

    def _server_length(self, i: int, text: str) -> str:
        """The length of a text in bytes of UTF-8, '-' for NULL; from the bare column where that is the same."""
        column = self.columns[i]
        if text.startswith(f"{self.dialect.digest}("):
            length = str(_HEX_DIGITS[self.dialect.digest])
        elif self.charsets[i] in ("utf8mb4", "utf8mb3", "utf8", "ascii"):
            length = f"LENGTH({_bare(column)})"
        else:
            length = f"LENGTH({text})"
        return f"IF({_bare(column)} IS NULL, '-', {length})" if column.nullable else length

    @cached_property
    def client_sum(self) -> str:
        """DuckDB's expression for a row's checksum; that of MD5 has its bytes in reverse order."""
        texts = [_client_text(column, f"c{i}", self.dialect.digest) for i, column in enumerate(self.columns)]
        lengths = [f"coalesce(strlen({text})::VARCHAR, '-')" for text in texts]
        framed = f"concat_ws('#', {', '.join(texts)}, concat_ws(',', {', '.join(lengths)}))"
        if self.dialect.digest == "MD5":
            return f"md5_number_upper({framed})"
        return f"('0x' || left(sha1({framed}), 16))::UBIGINT"

    def checksums(self, duck: duckdb.DuckDBPyConnection, rows: pa.Table) -> Checksums:
        """Computes the checksum of each row, as the server does.

        Args:
            duck: Computes them.
            rows: The table's rows as text, in columns c0, c1 and so on.
        """
        duck.register("rows", rows)
        try:
            numbers = duck.sql(f"SELECT {self.client_sum} AS checksum FROM rows").fetchnumpy()["checksum"]
        finally:
            duck.unregister("rows")
        numbers = numbers.astype("uint64")
        return numbers.byteswap() if self.dialect.digest == "MD5" else numbers  # type: ignore[no-any-return]


def may_be_json(column: Column) -> bool:
    """Whether a column is of a text type that can hold JSON."""
    return _base(column) in {"char", "varchar"} | _LONG_TEXT


def quoted(name: str) -> str:
    """Returns a name as an identifier of MySQL, in backticks."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Returns a string literal that every SQL mode reads the same way: hexadecimal, with its character set."""
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
        return f"HEX({bare})" if base in _SHORT_BINARY else blob_encoding.text_sql(bare)
    if column.kind == "timestamp":
        return f"UNIX_TIMESTAMP({bare})"
    if base in ("float", "double"):
        return f"({bare} + 0e0)"
    if base == "bit":
        return f"({bare} + 0)"
    if column.kind == "text" and base not in ("time", "decimal"):
        return f"CAST({bare} AS CHAR)"
    return bare


def _server_text(column: Column, digest: str) -> str:
    """MySQL's text of a cell in its row's framed text: a digest where a cell may exceed max_allowed_packet."""
    if column.kind == "bytes":
        return f"{digest}({_bare(column)})"
    return f"{digest}({_value(column)})" if _base(column) in _LONG_TEXT else _value(column)


def _client_text(column: Column, name: str, digest: str) -> str:
    """The same as `_server_text`, in DuckDB's SQL, from the exported text."""
    if column.kind == "bytes":
        return f"{digest.lower()}(unhex({name}))"
    return f"{digest.lower()}({name})" if _base(column) in _LONG_TEXT else name
