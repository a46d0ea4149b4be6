"""The rows of the source in the Parquet files of a generation, as SQL in which no name can collide with another.

A source may call a column `file`, `key` or `l`. So SQL sees its columns as `c0`, `c1`, … by their places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cache.schema import Column, Kind
from cache.sql import literal

_SQL_TYPES: Mapping[Kind, str] = {
    "integer": "BIGINT",
    "boolean": "BIGINT",
    "unsigned": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "datetime": "TIMESTAMPTZ",
    "timestamp": "TIMESTAMPTZ",
    "bytes": "BLOB",
}


class SourceColumns:
    """The columns of a source and their names in SQL.

    Args:
        columns: The columns, in the order of the Parquet files.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._names = {column.name: f"c{place}" for place, column in enumerate(columns)}

    @property
    def names(self) -> list[str]:
        """The names in SQL, in the order of the columns."""
        return list(self._names.values())

    def sql(self, column: str) -> str:
        """The name of a column in SQL."""
        return self._names[column]

    def rows(self, relation: str, *values: str) -> str:
        """SQL of the rows of a file or a table.

        Args:
            relation: SQL of it, such as `parquet(path)`. Its columns are those of the source, in their order.
            values: Further values of each row, as SQL with names.
        """
        selected = ", ".join(("*", *values))
        return f"SELECT {selected} FROM {relation} AS source({', '.join(self.names)})"

    def none(self, *values: str) -> str:
        """SQL of no rows, with the same columns."""
        columns = (f"NULL::{_sql_type(c)} AS {name}" for c, name in zip(self.columns, self.names, strict=True))
        return f"SELECT {', '.join((*columns, *values))} WHERE false"


def parquet(*paths: Path) -> str:
    """SQL of the rows of Parquet files."""
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"


def parquet_part(path: Path, part: int, parts: int) -> str:
    """SQL of every nth row of a Parquet file: of one of `parts` parts, the first of which is 0."""
    return f"(SELECT * FROM {parquet(path)} WHERE file_row_number % {parts} = {part})"


def unwrapped(column: str) -> str:
    """SQL of JSON text, also where it was encoded twice: then it is a string in JSON."""
    return f"CASE WHEN {column}[1] IN ('[', '{{') THEN {column} ELSE try(json_extract_string({column}, '$')) END"


def json_value(column: str, path: Sequence[str]) -> str:
    """SQL of the text of a value inside JSON; NULL where there is none.

    Args:
        column: SQL of the JSON text.
        path: The keys that lead to the value.
    """
    keys = "".join('."' + key.replace('"', "") + '"' for key in path)
    return f"try(json_extract_string({unwrapped(column)}, {literal('$' + keys)}))"


def union(selects: Iterable[str]) -> str:
    """SQL of the rows of several SELECTs, in their order."""
    return " UNION ALL ".join(selects)


def _sql_type(column: Column) -> str:
    if column.kind == "decimal":
        return f"DECIMAL({column.digits}, {column.decimals})"
    return _SQL_TYPES.get(column.kind, "VARCHAR")
