"""What the rows of an answer look like: which columns, how they are written, what is hidden. Knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cache.errors import BadFilter
from cache.schema import Column

FileFormat = Literal["json", "ndjson", "csv", "xlsx", "parquet"]


@dataclass(frozen=True)
class RowFormat:
    """How rows are rendered; the default is that of the rows that were rendered at publish.

    fields      the columns, in this order; None: all
    parse_json  whether a column that holds JSON is nested, compact and unwrapped where it was encoded twice; else it is
                its stored text
    integers    `string`: in JSON, integers beyond 2^53 are strings
    masked      columns whose values are hidden: see cache/access/masking.py
    defuse      in CSV, a text that a spreadsheet would take for a formula gets an apostrophe before it
    """

    format: FileFormat = "json"
    fields: tuple[str, ...] | None = None
    parse_json: bool = True
    integers: Literal["number", "string"] = "number"
    masked: frozenset[str] = frozenset()
    defuse: bool = False

    def columns(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """The chosen ones of `columns`. Raises BadFilter: one is unknown, or named twice."""
        if self.fields is None:
            return tuple(columns)
        known = {column.name: column for column in columns}
        for i, name in enumerate(self.fields):
            if name not in known:
                raise BadFilter(f"There is no column {name!r}.", f"Columns: {', '.join(known)}.")
            if name in self.fields[:i]:
                raise BadFilter(f"The column {name!r} is named twice.", "Name each column once.")
        return tuple(known[name] for name in self.fields)
