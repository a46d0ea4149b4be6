"""What a column holds, decided by its values, once: whether a text is JSON, and a TINYINT(1) a boolean.

A column is taken for the richer kind until a value contradicts. What was written before that must be written anew.
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
    """Parameters: `known` are the columns as recorded before; what was decided then stays.

    `columns` are the columns as taken now, for the renderer; `contradicted` tells whether one was taken wrongly.
    """

    def __init__(self, table: Table, known: Sequence[Column]) -> None:
        recorded = {(column.name, column.type): column for column in known}
        self.columns = list(table.columns)
        self.contradicted = False
        self._open: set[int] = set()  # columns whose kind is still to be decided
        self._seen: set[int] = set()  # those of them that have shown a value
        for i, column in enumerate(table.columns):
            before = recorded.get((column.name, column.type))
            if before is not None and before.decided:
                self.columns[i] = column.model_copy(update={"kind": before.kind})
            elif column.kind == "boolean" or may_be_json(column):
                self._open.add(i)
                self.columns[i] = column.model_copy(update={"kind": _richer(column)})
                if before is not None and before.kind == _richer(column):
                    self._seen.add(i)

    def recorded(self, final: bool = True) -> tuple[Column, ...]:
        """The columns for a manifest. Not `final`: the load goes on, and what was seen may still be contradicted."""
        columns = list(self.columns)
        for i in self._open:
            if i not in self._seen:
                columns[i] = _plain(columns[i], decided=False)
            elif not final:
                columns[i] = columns[i].model_copy(update={"decided": False})
        return tuple(columns)

    def look(self, page: pa.Table) -> None:
        """Decides columns that had shown no value yet."""
        for i in sorted(self._open - self._seen):
            values = page.column(i).drop_null()
            if not len(values):
                continue
            if all(map(_fits[self.columns[i].kind], values.to_pylist())):
                self._seen.add(i)
            else:
                self._settle(i)

    def contradicted_by(self, segment: Segment) -> bool:
        """Whether a segment holds values that do not fit a kind which is still open; it is then settled."""
        wrong = [i for i in self._open & self._seen if self.columns[i].name in segment.misfits]
        for i in wrong:
            self._settle(i)
        self.contradicted |= bool(wrong)
        return bool(wrong)

    def _settle(self, i: int) -> None:
        self.columns[i] = _plain(self.columns[i])
        self._open.discard(i)


def _richer(column: Column) -> str:
    return "boolean" if column.kind == "boolean" else "json"


def _plain(column: Column, decided: bool = True) -> Column:
    kind = "integer" if column.kind in ("boolean", "integer") else "text"
    return column.model_copy(update={"kind": kind, "decided": decided})
