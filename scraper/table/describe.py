"""The ways to read what the table is: from information_schema, by SHOW, or from phpMyAdmin's export of its structure.

A firewall may let only some of them through. All end in the same Table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from cache.storage.snapshot import StatementDialect
from scraper.client.exporter import Exporter
from scraper.client.retry import retry
from scraper.errors import AnswerCut, NoTable, StatementBlocked
from scraper.table.table import Table, described, key_places, may_be_json, quoted, read_table

_TYPE = r"(\w+)(?:\(((?:'(?:[^'\\]|''|\\.)*'|[^)'])*)\))?((?: unsigned| zerofill)*)"
_END = "COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;\n"
_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*'")
_NAME = r"`((?:[^`]|``)+)`"
_COLUMN = re.compile(rf"^  {_NAME} (?i:{_TYPE})(.*)$", re.M)
_KEY = re.compile(r"^  ADD (PRIMARY KEY|UNIQUE KEY) (?:`((?:[^`]|``)+)` )?\((.*?)\)(?: USING \w+)?[,;]", re.M)
_KEY_COLUMN = re.compile(rf"{_NAME}(\(\d+\))?")


def read_shape(export: Exporter, database: str, name: str, dialect: StatementDialect) -> Table:
    """Shape of a table, read and to be summed as `dialect` says.

    Raises NoTable, AnswerCut, and what `Exporter.select` raises.
    """
    if dialect.shape == "information_schema":
        return replace(read_table(export, database, name), dialect=dialect)
    read = _shown if dialect.shape == "SHOW" else _exported
    return retry(lambda: read(export, database, name, dialect))


def _shown(export: Exporter, database: str, name: str, dialect: StatementDialect) -> Table:
    """By SHOW FULL COLUMNS and SHOW INDEX, which carry no count of their rows.

    Either may be cut. The columns are held against the header of an empty SELECT, the key against the marks of its
    columns.
    """
    table = f"{quoted(database)}.{quoted(name)}"
    columns = export.show(f"SHOW FULL COLUMNS FROM {table}", "Field")
    index = export.show(f"SHOW INDEX FROM {table}", "Table")
    if dialect.rows != "exported":  # that one has a header of its own to hold against
        visible = [str(row["Field"]) for row in columns if "INVISIBLE" not in str(row["Extra"])]
        pa.concat_tables(export.raw(visible, f"SELECT * FROM {table} LIMIT 0"))
    _refuse([str(row["Field"]) for row in columns if "GENERATED" in str(row["Extra"])], dialect)
    wanted = ("Key_name", "Column_name", "Seq_in_index", "Sub_part", "Null")
    places = key_places([[row[part] for part in wanted] for row in index if row["Non_unique"] == "0"])
    marked = {row["Field"] for row in columns if row["Key"] == "PRI"}
    if not columns or (marked and marked != set(places)):
        raise AnswerCut("The description of the table arrived incomplete.")
    return Table(
        database=database,
        name=name,
        columns=tuple(
            described([row["Field"], row["Type"], *_parts(str(row["Type"]), row["Null"])], places) for row in columns
        ),
        server="",
        charsets=tuple(row["Collation"] and row["Collation"].partition("_")[0] for row in columns),
        dialect=dialect,
    )


def _exported(export: Exporter, database: str, name: str, dialect: StatementDialect) -> Table:
    """From CREATE TABLE and ALTER TABLE in phpMyAdmin's export; it is whole where its last comments are there."""
    text = export.structure()
    body, _, rest = text.partition("CREATE TABLE ")[2].partition("\n)")
    found = _COLUMN.findall(body)
    _refuse([column for column, *_, options in found if " GENERATED " in options], dialect)
    if text.endswith(_END) and not found:
        raise NoTable(f"phpMyAdmin exports no table {name} of the database {database}.")
    if not text.endswith(_END) or len(found) != len(re.findall(r"^  `", body, re.M)):
        raise AnswerCut("The description of the table arrived incomplete.")
    usual = re.search(r"CHARSET=(\w+)", rest)
    rows, charsets = [], []
    for column, base, inside, more, options in found:
        full = base.lower() + (f"({inside})" if inside else "") + more.lower()
        own = re.search(r"CHARACTER SET (\w+)", options)
        bare = _STRING.sub("", options).partition(" GENERATED ")[0]  # a default or a comment may say anything
        nullable = "NO" if " NOT NULL" in bare else "YES"
        rows.append([column.replace("``", "`"), full, *_parts(full, nullable)])
        charsets.append(own[1] if own else usual[1] if usual else None)
    optional = {row[0]: row[3] for row in rows}
    index = [
        ["PRIMARY" if kind.startswith("P") else label, plain, str(place), prefix or None, optional[plain]]
        for kind, label, inside in _KEY.findall(rest)
        for place, (column, prefix) in enumerate(_KEY_COLUMN.findall(inside), start=1)
        for plain in [column.replace("``", "`")]
    ]
    places = key_places(index)
    columns = tuple(described(row, places) for row in rows)
    texts = tuple(charset if may_be_json(column) else None for column, charset in zip(columns, charsets, strict=True))
    return Table(database=database, name=name, columns=columns, server="", charsets=texts, dialect=dialect)


def _refuse(generated: Sequence[str], dialect: StatementDialect) -> None:
    """phpMyAdmin's own export leaves generated columns out."""
    if generated and dialect.rows == "exported":
        missing = ", ".join(generated)
        raise StatementBlocked(
            f"A firewall refuses statements, and no export without one has the column {missing}.", ""
        )


def _parts(full: str, nullable: str | None) -> list[str | None]:
    """What a full type holds, as information_schema tells it apart: see `described`."""
    found = re.match(_TYPE, full)
    assert found is not None
    base, numbers = found[1], [part for part in (found[2] or "").split(",") if part.strip().isdigit()]
    if base == "decimal":
        return [base, nullable, numbers[0], numbers[1] if len(numbers) > 1 else "0", None]
    timed = base in ("datetime", "timestamp", "time") and numbers
    return [base, nullable, None, None, numbers[0] if timed else None]
