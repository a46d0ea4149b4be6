"""The ways to read what a table is: information_schema, SHOW, or phpMyAdmin's own export of its structure.

A firewall may let only some of them through. All give the same Table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from cache.schema import Column, Kind
from cache.storage.source import StatementDialect
from scraper.client.bounds import COLUMNS
from scraper.client.exporter import Exporter
from scraper.client.response import integer
from scraper.errors import AnswerCut, AnswerInvalid, NoTable, ScrapeError, StatementBlocked, ViewBroken
from scraper.table.table import (
    BINARY_TYPES,
    DEFAULT_DIALECT,
    INTEGER_TYPES,
    Table,
    literal,
    may_be_json,
    quoted,
)

MOST_DIGITS = 38  # of a 128-bit decimal
_KINDS: dict[str, Kind] = {
    "year": "integer",
    "bit": "unsigned",
    "float": "float",
    "double": "double",
    "date": "date",
    "datetime": "datetime",
    "timestamp": "timestamp",
}
# Possessive, since a server may send what makes a search of all readings take for ever.
_TYPE = r"(\w{1,64})(?:\(((?:'(?:[^'\\]|''|\\.)*+'|[^)'])*+)\))?((?: unsigned| zerofill)*)"
_LAST_COMMENT = "COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;\n"
_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*+(?:'|$)")
_NAME = r"`((?:[^`]|``){1,64})`"  # the longest that MySQL allows
_COLUMN = re.compile(rf"^  {_NAME} (?i:{_TYPE})(.*)$", re.M)
_KEY = re.compile(r"^  ADD (PRIMARY KEY|UNIQUE KEY) (?:`((?:[^`]|``){1,64})` )?\((.*?)\)(?: USING \w+)?[,;]", re.M)
_KEY_COLUMN = re.compile(rf"{_NAME}(\(\d+\))?")

Values = Sequence[str | None]


def read_table(exporter: Exporter, database: str, name: str, dialect: StatementDialect = DEFAULT_DIALECT) -> Table:
    """Reads the description of a table.

    Args:
        exporter: Sends the statements.
        database: Its database.
        name: Its name.
        dialect: Where the description is read from; it is also that of the returned table.

    Raises:
        NoTable: This login sees no such table.
        AnswerCut: The description arrived incomplete, each time.
        StatementBlocked: A firewall refuses a statement, or phpMyAdmin's own export leaves out generated columns.
        ScrapeError: What `Exporter.select` raises.
    """
    read = {"information_schema": _from_information_schema, "SHOW": _from_show, "export": _from_export}[dialect.shape]
    return exporter.retry(lambda: replace(read(exporter, database, name, dialect), dialect=dialect))


# -- information_schema


def _from_information_schema(exporter: Exporter, database: str, name: str, _: StatementDialect) -> Table:
    """Each answer carries the number of rows it should have, since any answer can be cut."""
    of_table = f"table_schema = {literal(database)} AND table_name = {literal(name)}"
    estimates = [
        f"(SELECT {value} FROM information_schema.tables WHERE {of_table})"
        for value in ("table_rows", "avg_row_length", "engine")
    ]
    columns = _complete_rows(
        exporter,
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
            *estimates,
        ),
        "information_schema.columns",
        of_table,
        "ordinal_position",
    )
    if not columns:
        _refuse_broken_view(exporter, database, name)
        raise NoTable(f"This login sees no table {name} in the database {database}.")
    index = _complete_rows(
        exporter,
        ("index_name", "column_name", "seq_in_index", "sub_part", "nullable"),
        "information_schema.statistics",
        of_table + " AND non_unique = 0",
        "index_name, seq_in_index",
    )
    places = key_places(index)
    return Table(
        database=database,
        name=name,
        columns=tuple(make_column(row, places) for row in columns),
        server=str(columns[0][7]),
        charsets=tuple(row[8] for row in columns),
        estimate=integer(columns[0][9] or "0"),
        row_bytes=integer(columns[0][10] or "0"),
        engine=columns[0][11] or "",
    )


def _refuse_broken_view(exporter: Exporter, database: str, name: str) -> None:
    """Raises ViewBroken for a view that has no columns since it is broken."""
    try:
        exporter.select(f"SELECT 1 AS c0, 0 AS c1 FROM {quoted(database)}.{quoted(name)} LIMIT 1", 2, 1)
    except ViewBroken:
        raise
    except ScrapeError:
        return  # there is no such table


def _complete_rows(
    exporter: Exporter, expressions: tuple[str, ...], table: str, where: str, order: str
) -> list[list[str | None]]:
    """The rows of a SELECT that also counts them."""
    count = f"(SELECT COUNT(*) FROM {table} WHERE {where})"
    named = ", ".join(f"{part} AS c{i}" for i, part in enumerate([*expressions, count]))
    width = len(expressions) + 1
    for limit in ("", f" LIMIT {COLUMNS}"):  # with a LIMIT of its own, the server's sql_select_limit does not cut it
        rows = exporter.select(f"SELECT {named} FROM {table} WHERE {where} ORDER BY {order}{limit}", width, COLUMNS)
        if len(rows):
            expected = rows.column(width - 1).to_pylist()[:1]
        else:
            bare_count = exporter.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {table} WHERE {where}", 2, 1)
            expected = bare_count.column(0).to_pylist()
        if expected == [str(len(rows))]:
            return [list(row.values()) for row in rows.to_pylist()]
    raise AnswerCut("The description of the table arrived incomplete.")


# -- SHOW


def _from_show(exporter: Exporter, database: str, name: str, dialect: StatementDialect) -> Table:
    """By SHOW FULL COLUMNS and SHOW INDEX, which carry no count of their rows.

    Either may be cut. So the columns are compared with the header of an empty SELECT, and the key with what SHOW FULL
    COLUMNS says of each column.
    """
    table = f"{quoted(database)}.{quoted(name)}"
    columns = exporter.show(f"SHOW FULL COLUMNS FROM {table}", "Field")
    index = exporter.show(f"SHOW INDEX FROM {table}", "Table")
    if dialect.rows != "exported":  # the rows of that export have a header of their own
        visible = [str(row["Field"]) for row in columns if "INVISIBLE" not in str(row["Extra"])]
        pa.concat_tables(exporter.raw(visible, f"SELECT * FROM {table} LIMIT 0"))
    _refuse_generated([str(row["Field"]) for row in columns if "GENERATED" in str(row["Extra"])], dialect)
    index_columns = ("Key_name", "Column_name", "Seq_in_index", "Sub_part", "Null")
    places = key_places([[row[part] for part in index_columns] for row in index if row["Non_unique"] == "0"])
    primary = {row["Field"] for row in columns if row["Key"] == "PRI"}
    if not columns or (primary and primary != set(places)):
        raise AnswerCut("The description of the table arrived incomplete.")
    return Table(
        database=database,
        name=name,
        columns=tuple(
            make_column([row["Field"], row["Type"], *type_parts(str(row["Type"]), row["Null"])], places)
            for row in columns
        ),
        server="",
        charsets=tuple(row["Collation"] and row["Collation"].partition("_")[0] for row in columns),
    )


# -- phpMyAdmin's own export


def _from_export(exporter: Exporter, database: str, name: str, dialect: StatementDialect) -> Table:
    """From CREATE TABLE and ALTER TABLE in phpMyAdmin's export, which is complete if its last comment is there."""
    text = exporter.structure()
    body, _, rest = text.partition("CREATE TABLE ")[2].partition("\n)")
    definitions = _COLUMN.findall(body)
    _refuse_generated([column for column, *_, options in definitions if " GENERATED " in options], dialect)
    if text.endswith(_LAST_COMMENT) and not definitions:
        raise NoTable(f"phpMyAdmin exports no table {name} of the database {database}.")
    if not text.endswith(_LAST_COMMENT) or len(definitions) != len(re.findall(r"^  `", body, re.M)):
        raise AnswerCut("The description of the table arrived incomplete.")
    table_charset = re.search(r"CHARSET=(\w+)", rest)
    rows, charsets = [], []
    for column, base, arguments, attributes, options in definitions:
        full = base.lower() + (f"({arguments})" if arguments else "") + attributes.lower()
        column_charset = re.search(r"CHARACTER SET (\w+)", options)
        bare = _STRING.sub("", options).partition(" GENERATED ")[0]  # a default or a comment may say anything
        nullable = "NO" if " NOT NULL" in bare else "YES"
        rows.append([column.replace("``", "`"), full, *type_parts(full, nullable)])
        charsets.append(column_charset[1] if column_charset else table_charset[1] if table_charset else None)
    places = key_places(_exported_index(rest, {row[0]: row[3] for row in rows}))
    columns = tuple(make_column(row, places) for row in rows)
    return Table(
        database=database,
        name=name,
        columns=columns,
        server="",
        charsets=tuple(
            charset if may_be_json(column) else None for column, charset in zip(columns, charsets, strict=True)
        ),
    )


def _exported_index(alterations: str, nullable: Mapping[str | None, str | None]) -> list[list[str | None]]:
    """The unique indexes of ALTER TABLE statements, as `key_places` takes them."""
    rows: list[list[str | None]] = []
    for kind, label, columns in _KEY.findall(alterations):
        for place, (column, prefix) in enumerate(_KEY_COLUMN.findall(columns), start=1):
            name = column.replace("``", "`")
            index = "PRIMARY" if kind.startswith("P") else label
            rows.append([index, name, str(place), prefix or None, nullable[name]])
    return rows


def _refuse_generated(columns: Sequence[str], dialect: StatementDialect) -> None:
    """Refuses generated columns where phpMyAdmin exports the rows itself: it leaves them out."""
    if columns and dialect.rows == "exported":
        raise StatementBlocked(
            f"A firewall refuses statements, and phpMyAdmin's own export leaves out the column {', '.join(columns)}.",
            "",
        )


# -- columns and key


def key_places(index_rows: Sequence[Values]) -> dict[str, int]:
    """Returns the places of the columns in the primary key, else in the first unique index without NULLs and prefixes.

    Args:
        index_rows: Of each column of a unique index: name of the index, name of the column, its place from 1, the
            length of a prefix, and whether it may be NULL, as information_schema has them.
    """
    indexes: dict[str, list[Values]] = {}
    for row in index_rows:
        indexes.setdefault(str(row[0]), []).append(row)
    usable = {n: rows for n, rows in indexes.items() if all(r[1] and r[3] is None and r[4] != "YES" for r in rows)}
    chosen = usable.get("PRIMARY") or next(iter(usable.values()), [])
    return {str(row[1]): integer(row[2] or "0") for row in chosen}


def make_column(row: Values, places: Mapping[str, int]) -> Column:
    """Returns the column that a row of information_schema describes.

    Args:
        row: Name, full type, bare type, whether it may be NULL, digits, decimals, and decimals of a second.
        places: What `key_places` returned.
    """
    name, full, base = str(row[0]), str(row[1]), str(row[2])
    digits, scale, fraction = (integer(value or "0") for value in row[4:7])
    return Column(
        name=name,
        type=full,
        kind=_kind(full, base, digits),
        nullable=row[3] == "YES",
        key=places.get(name, 0),
        digits=digits if base == "decimal" else 0,
        decimals=scale if base == "decimal" else fraction,
    )


def _kind(full: str, base: str, digits: int) -> Kind:
    if full == "tinyint(1)":
        return "boolean"
    if base in INTEGER_TYPES:
        return "unsigned" if "unsigned" in full else "integer"
    if base == "decimal":
        return "decimal" if digits <= MOST_DIGITS else "text"
    return "bytes" if base in BINARY_TYPES else _KINDS.get(base, "text")


def type_parts(full: str, nullable: str | None) -> list[str | None]:
    """What a full type says, as information_schema has it apart: see `make_column`.

    Raises:
        AnswerInvalid: It is no type.
    """
    match = re.match(_TYPE, full)
    if match is None:
        raise AnswerInvalid(f"The server names no type of a column, but {full[:40]!r}.")
    base, numbers = match[1], [part for part in (match[2] or "").split(",") if part.strip().isdigit()]
    if base == "decimal":
        return [base, nullable, numbers[0], numbers[1] if len(numbers) > 1 else "0", None]
    has_fraction = base in ("datetime", "timestamp", "time") and numbers
    return [base, nullable, None, None, numbers[0] if has_fraction else None]
