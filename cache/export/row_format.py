"""How rows are written: which columns, in which file format, what is hidden. Imports no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.errors import BadFilter
from cache.export.about import About
from cache.schema import Column

FileFormat = Literal["json", "ndjson", "csv", "xlsx", "parquet", "sqlite"]

MEDIA_TYPES: Mapping[FileFormat, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "sqlite": "application/vnd.sqlite3",
}
# Of the header Content-Type. Without a charset, clients read text as Latin-1. JSON is UTF-8 by its definition.
CONTENT_TYPES: Mapping[FileFormat, str] = {
    form: f"{media_type}; charset=utf-8" if form in ("ndjson", "csv") else media_type
    for form, media_type in MEDIA_TYPES.items()
}
MAX_SHEET_ROWS = 1_048_575  # rows of an Excel sheet below its header


@dataclass(frozen=True)
class CsvStyle:
    """How CSV is written.

    Attributes:
        escape_formulas: Put an apostrophe before a text that a spreadsheet would run as a formula.
        bom: Begin with a byte order mark, by which Excel knows UTF-8.
        delimiter: What stands between two cells.
        decimal: The sign before the decimals of a number.
    """

    escape_formulas: bool = False
    bom: bool = False
    delimiter: Literal[",", ";"] = ","
    decimal: Literal[".", ","] = "."


@dataclass(frozen=True)
class RowFormat:
    """How rows are written. The default is that of the JSON rows that a sync prepares.

    Attributes:
        format: The file format.
        fields: The columns, in this order; None: all.
        parse_json: Whether a JSON column is nested JSON, compact, and unwrapped where it was encoded twice. Otherwise
            it is its stored text.
        integers: `string`: in JSON, integers beyond 2^53 are strings.
        mask: What is hidden (cache/access/masking.py).
        csv: The style of CSV.
        about: What the file says of itself, in a format that has a place for it.
    """

    format: FileFormat = "json"
    fields: tuple[str, ...] | None = None
    parse_json: bool = True
    integers: Literal["number", "string"] = "number"
    mask: Mask = NOTHING_HIDDEN
    csv: CsvStyle = CsvStyle()
    about: About | None = None

    def select(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """The columns of `fields`, in that order.

        Raises:
            BadFilter: A name is unknown, or stands twice.
        """
        if self.fields is None:
            return tuple(columns)
        by_name = {column.name: column for column in columns}
        for i, name in enumerate(self.fields):
            if name not in by_name:
                raise BadFilter(f"There is no column {name!r}.", f"Columns: {', '.join(by_name)}.")
            if name in self.fields[:i]:
                raise BadFilter(f"The column {name!r} is named twice.", "Name each column once.")
        return tuple(by_name[name] for name in self.fields)
