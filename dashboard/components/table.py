"""A plain table whose rows can be picked with mouse and keyboard: orders, breakdowns, the lines of an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path

import streamlit as st

from dashboard.text import formatting
from dashboard.text.formatting import Tone

_FILES = Path(__file__).parent
_mount = st.components.v2.component(
    "phpmyadmin-orders.table",
    html='<div class="place"></div>',
    css=(_FILES / "table.css").read_text(encoding="utf-8"),
    js=(_FILES / "table.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        label: Its header.
        number: Whether it is aligned to the right.
        wide: Whether it is hidden where there is little room.
        sort: What `on_sort` is called with where the visitor picks the header; "" for a column that sorts nothing.
    """

    label: str
    number: bool = False
    wide: bool = False
    sort: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell that is more than plain text.

    Attributes:
        text: The text.
        pill: The colour of a pill around the text.
        tone: The colour of the text.
        share: The length of a bar, from 0 to 1.
        heat: The strength of a shade behind the text, from 0 to 1.
        more: A second line that only phones show.
        note: A second line in the colour of warnings.
        links: Buttons, each with its text and what `on_pick` is called with.
        under: A second line in small print.
        value: The exact number, where the text is rounded. It is copied in place of the text.
        pick: What `on_pick` is called with where the visitor picks this cell; "" for none.
    """

    text: str
    pill: Tone | None = None
    tone: Tone | None = None
    share: float | None = None
    heat: float | None = None
    more: str = ""
    note: str = ""
    under: str = ""
    value: Decimal | int | None = None
    links: tuple[tuple[str, str], ...] = ()
    pick: str = ""

    def as_data(self) -> dict[str, object]:
        """The cell for the browser."""
        fields = {name: value for name, value in asdict(self).items() if value not in (None, "", ()) or name == "text"}
        return fields if self.value is None else {**fields, "value": formatting.exact(self.value)}


@dataclass(frozen=True)
class Line:
    """A row.

    Attributes:
        cells: One cell for each column.
        id: What `on_pick` is called with; None for a row that cannot be picked.
        chosen: Whether it is marked as picked; None for a row that does not stay picked.
        look: Its style: "strong" for a total, "quiet" or "".
        inner: Rows that this one adds up, and that it shows when it is picked. Then it has no `id`.
    """

    cells: Sequence[str | Cell]
    id: str | None = None
    chosen: bool | None = None
    look: str = ""
    inner: Sequence[Line] = ()


def table(
    label: str,
    columns: Sequence[Column],
    lines: Sequence[Line],
    key: str,
    headed: bool = True,
    on_pick: Callable[[str], None] | None = None,
    on_sort: Callable[[str], None] | None = None,
    sorted_by: str = "",
    shown: int | None = None,
    exported: bool | Callable[[], Sequence[Line]] = False,
) -> str | None:
    """Draws a table.

    Args:
        label: Its name for screen readers.
        columns: Its columns.
        lines: Its rows.
        key: Streamlit's key of the table.
        headed: Whether the labels of columns are shown.
        on_pick: Called with the id of the row that the visitor picks, before the page runs again.
        on_sort: Called with the `sort` of the header that the visitor picks, before the page runs again.
        sorted_by: The `sort` of the column that the rows are sorted by, with a minus where the largest is first.
        shown: How many rows are shown until the visitor asks for all of them; None for all. Totals are always shown.
        exported: Whether there are buttons to copy the table and to save it as a file. A function gives the rows of
            these where `lines` are a page of them. It is called once the visitor wants them.

    Returns:
        The id of the picked row in the run after that, else None.
    """

    def picked() -> None:
        if on_pick and (id := st.session_state[key].picked) is not None:
            on_pick(id)

    def sorted_anew() -> None:
        if on_sort and (sort := st.session_state[key].sorted) is not None:
            on_sort(sort)

    whole = exported() if callable(exported) and st.session_state.get(f"{key} exported") else None
    direction = "descending" if sorted_by.startswith("-") else "ascending"
    result = _mount(
        key=key,
        data={
            "label": label,
            "headed": headed,
            "sorted": {sorted_by.removeprefix("-"): direction},
            "columns": [asdict(column) for column in columns],
            "shown": shown,
            "exported": bool(exported),
            "whole": None if whole is None else [_row(line, columns) for line in whole],
            "paged": callable(exported),
            "rows": [_row(line, columns) for line in lines],
        },
        on_picked_change=picked,
        on_sorted_change=sorted_anew,
        on_exported_change=lambda: st.session_state.update({f"{key} exported": True}),
    )
    id: str | None = result.picked
    return id


def _row(line: Line, columns: Sequence[Column]) -> dict[str, object]:
    pressed = {} if line.chosen is None else {"pressed": line.chosen}
    inner = {"inner": [_row(each, columns) for each in line.inner]} if line.inner else {}
    look = f"{line.look} {'chosen' if line.chosen else ''}".strip()
    cells = [_cell(cell, column) for cell, column in zip(line.cells, columns, strict=True)]
    return {"id": line.id, "look": look, "cells": cells, **pressed, **inner}


def _cell(cell: str | Cell, column: Column) -> str | dict[str, object]:
    """A cell for the browser, in a column of numbers with the number in it."""
    text = cell if isinstance(cell, str) else cell.text
    number = formatting.number_in(text) if column.number else None
    if number is None or (isinstance(cell, Cell) and cell.value is not None):
        return cell if isinstance(cell, str) else cell.as_data()
    return replace(Cell(text) if isinstance(cell, str) else cell, value=number).as_data()
