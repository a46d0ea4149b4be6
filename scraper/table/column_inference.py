"""Inference from values: whether a text column holds JSON, and a TINYINT(1) column booleans.

A column has its plain kind, text or integer, until its first value that is not empty. If that fits, it is assumed to be
JSON (boolean) until a value disproves it. Segments that were written with the former kind are written again.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from cache.schema import Column, Kind
from cache.storage.row_encoding import NULL, compact
from cache.storage.snapshot import Segment
from scraper.table.table import Table, may_be_json


class ColumnInference:
    """The inferred kinds of a table's columns during one load.

    Args:
        table: The table as the server describes it.
        known: The columns as recorded before; kinds that were decided stay.

    Attributes:
        columns: The columns as assumed now. The list is changed in place, so that a writer which holds it follows.
        changed: Whether the kind of a column changed after a segment had been written with the former one.
    """

    def __init__(self, table: Table, known: Sequence[Column]) -> None:
        recorded = {(column.name, column.type): column for column in known}
        self.columns = list(table.columns)
        self.changed = False
        self._undecided: dict[int, Kind] = {}  # columns whose kind may still change -> the kind that values may show
        self._supported: set[int] = set()  # those of them that have had a value of that kind
        self._blank: set[int] = set()  # those of them that have had empty values alone
        self._change_pending = False
        for i, column in enumerate(table.columns):
            before = recorded.get((column.name, column.type))
            if before is not None and before.decided:
                self.columns[i] = column.model_copy(update={"kind": before.kind})
            elif column.kind == "boolean" or may_be_json(column):
                self._undecided[i] = kind = "boolean" if column.kind == "boolean" else "json"
                if before is not None and before.kind == kind:
                    self._support(i)
                else:
                    self.columns[i] = _plain(column)
                if before is not None and before.blank:
                    self._blank.add(i)

    def recorded(self, final: bool = True) -> tuple[Column, ...]:
        """Returns the columns as a manifest records them.

        Args:
            final: False while the load goes on: what later values may still disprove is recorded as undecided.
        """
        columns = list(self.columns)
        for i in self._undecided:
            if i not in self._supported:
                columns[i] = columns[i].model_copy(update={"decided": False, "blank": i in self._blank})
            elif not final:
                columns[i] = columns[i].model_copy(update={"decided": False})
        return tuple(columns)

    def observe(self, rows: pa.Table) -> None:
        """Decides columns that have their first values in these rows, which are texts and are not written yet."""
        for i in sorted(self._undecided.keys() - self._supported):
            values = rows.column(i).drop_null().unique().to_pylist()
            fits = _fits(self._undecided[i], values)
            if fits:
                self._change_pending |= i in self._blank
                self._support(i)
            elif fits is False:
                self._give_up(i)
            elif values:
                self._blank.add(i)

    def outdates(self, segment: Segment) -> bool:
        """Returns whether segments that are written may show the values of a column as of another kind.

        That is so if this segment holds values that do not fit an assumed kind (the column is then given its plain
        kind), or if empty texts were written before the column became JSON.

        Args:
            segment: The segment that was completed last.
        """
        misfits = [i for i in self._supported if self.columns[i].name in segment.misfits]
        for i in misfits:
            self._give_up(i)
        changed = self._change_pending or bool(misfits)
        self._change_pending = False
        self.changed |= changed
        return changed

    def _support(self, i: int) -> None:
        self.columns[i] = self.columns[i].model_copy(update={"kind": self._undecided[i]})
        self._supported.add(i)

    def _give_up(self, i: int) -> None:
        self.columns[i] = _plain(self.columns[i])
        del self._undecided[i]
        self._supported.discard(i)


def _fits(kind: Kind, values: Sequence[str]) -> bool | None:
    """Returns whether values are of a kind; None if none of them tells, since all are empty."""
    fits = None
    for value in values:
        if kind == "boolean":
            fits = value in ("0", "1")
        elif (json := compact(value.encode())) != NULL:
            fits = json is not None
        if fits is False:
            return False
    return fits


def _plain(column: Column) -> Column:
    return column.model_copy(update={"kind": "integer" if column.kind in ("boolean", "integer") else "text"})
