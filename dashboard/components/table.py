"""A plain table whose rows can be picked with mouse and keyboard: orders, breakdowns, the lines of an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from dashboard.formatting import Tone

_FILES = Path(__file__).parent
_mount = st.components.v2.component(
    "phpmyadmin-orders.table",
    html='<div class="place"></div>',
    css=(_FILES / "table.css").read_text(encoding="utf-8"),
    js=(_FILES / "table.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Column:
    """`number` aligns to the right; `wide` is left out where there is little room."""

    label: str
    number: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Cell:
    """`pill` gives the text a coloured pill, `tone` a colour; `share` (0 to 1) draws a bar, `heat` shades;
    `more` shows on a phone."""

    text: str
    pill: Tone | None = None
    tone: Tone | None = None
    share: float | None = None
    heat: float | None = None
    more: str = ""

    def sent(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value not in (None, "") or name == "text"}


@dataclass(frozen=True)
class Line:
    """A row. With an `id` it can be picked; `chosen` marks it as picked, None where it is not that kind of row."""

    cells: Sequence[str | Cell]
    id: str | None = None
    chosen: bool | None = None
    look: str = ""


def table(
    label: str,
    columns: Sequence[Column],
    lines: Sequence[Line],
    key: str,
    headed: bool = True,
    on_pick: Callable[[str], None] | None = None,
) -> str | None:
    """Shows the table; `label` names it to screen readers, `on_pick` is called with the id of the row picked before the
    page runs again, which returns the id."""

    def picked() -> None:
        if on_pick and (id := st.session_state[key].picked) is not None:
            on_pick(id)

    result = _mount(
        key=key,
        data={
            "label": label,
            "headed": headed,
            "columns": [asdict(column) for column in columns],
            "rows": [_row(line) for line in lines],
        },
        on_picked_change=picked,
    )
    id: str | None = result.picked
    return id


def _row(line: Line) -> dict[str, object]:
    pressed = {} if line.chosen is None else {"pressed": line.chosen}
    cells = [cell if isinstance(cell, str) else cell.sent() for cell in line.cells]
    return {"id": line.id, "look": f"{line.look} {'chosen' if line.chosen else ''}".strip(), "cells": cells, **pressed}
