"""Inference from values: whether a text column holds JSON, and a TINYINT(1) column booleans.

A text column is assumed to be JSON (a TINYINT(1) boolean) until a value disproves it. Segments that were written before
that are written again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from cache.schema import Column
from cache.storage.row_encoding import compact
from cache.storage.snapshot import Segment
from scraper.table.table import Table, may_be_json

_fits: dict[str, Callable[[str], bool]] = {
    "json": lambda value: compact(value.encode()) is not None,
    "boolean": lambda value: value in ("0", "1"),
}


class ColumnInference:
    """The inferred kinds of a table's columns during one load.

    Args:
        table: The table as the server describes it.
        known: The columns as recorded before; kinds that were decided stay.

    Attributes:
        columns: The columns as assumed now. The list is changed in place, so that a writer which holds it follows.
        disproved: Whether a value disproved an assumption after a segment had been written with it.
    """

    def __init__(self, table: Table, known: Sequence[Column]) -> None:
        recorded = {(column.name, column.type): column for column in known}
        self.columns = list(table.columns)
        self.disproved = False
        self._undecided: set[int] = set()  # columns whose kind may still change
        self._with_values: set[int] = set()  # those of them that have had a value, which fitted
        for i, column in enumerate(table.columns):
            before = recorded.get((column.name, column.type))
            if before is not None and before.decided:
                self.columns[i] = column.model_copy(update={"kind": before.kind})
            elif column.kind == "boolean" or may_be_json(column):
                self._undecided.add(i)
                self.columns[i] = column.model_copy(update={"kind": _assumed(column)})
                if before is not None and before.kind == _assumed(column):
                    self._with_values.add(i)

    def recorded(self, final: bool = True) -> tuple[Column, ...]:
        """Returns the columns as a manifest records them.

        Args:
            final: False while the load goes on: what later values may still disprove is recorded as undecided.
        """
        columns = list(self.columns)
        for i in self._undecided:
            if i not in self._with_values:
                columns[i] = _plain(columns[i], decided=False)
            elif not final:
                columns[i] = columns[i].model_copy(update={"decided": False})
        return tuple(columns)

    def observe(self, rows: pa.Table) -> None:
        """Decides columns that have their first values in these rows, which are texts."""
        for i in sorted(self._undecided - self._with_values):
            values = rows.column(i).drop_null()
            if not len(values):
                continue
            if all(map(_fits[self.columns[i].kind], values.to_pylist())):
                self._with_values.add(i)
            else:
                self._give_up(i)

    def disproved_by(self, segment: Segment) -> bool:
        """Whether a segment holds values that do not fit an assumed kind; the column is then given its plain kind."""
        misfits = [i for i in self._undecided & self._with_values if self.columns[i].name in segment.misfits]
        for i in misfits:
            self._give_up(i)
        self.disproved |= bool(misfits)
        return bool(misfits)

    def _give_up(self, i: int) -> None:
        self.columns[i] = _plain(self.columns[i])
        self._undecided.discard(i)


def _assumed(column: Column) -> str:
    return "boolean" if column.kind == "boolean" else "json"


def _plain(column: Column, decided: bool = True) -> Column:
    kind = "integer" if column.kind in ("boolean", "integer") else "text"
    return column.model_copy(update={"kind": kind, "decided": decided})
