"""How rows are written out of typed columns: DuckDB's expressions to one row's bytes in each format of text.

JSON      byte for byte as cache/render.py writes it
NDJSON    the same, one row a line
CSV       RFC 4180: UTF-8, a header, lines end in CR LF; values as in JSON, bare. NULL is nothing, an empty text is "",
          as PostgreSQL writes them; a text is quoted where it must be
XLSX      cells of one sheet, see cache/sheet.py; numbers of up to 15 digits and dates are such, what a spreadsheet
          cannot hold exactly is text

A cell is an expression that is NULL for NULL. JSON columns go through the function `nested(VARCHAR)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cache.filters import quoted
from cache.json_sql import json_row_sql, json_sql, literal
from cache.personal import mask_of
from cache.shape import Shape
from cache.snapshot import Column

SAFE_INTEGER = 2**53
_BARE = ("decimal", "date", "datetime", "timestamp", "bytes")  # kinds that JSON quotes, and whose text has no quotes
_FORMULA = r"^[=+\-@\t\r\n]"  # what OWASP lists under "CSV injection"


class Cell(NamedTuple):
    """A column as it is written, and DuckDB's expression to its typed value."""

    column: Column
    value: str


def cells(shape: Shape, columns: Sequence[Column]) -> list[Cell]:
    """The chosen columns in their order, masks applied and JSON nested. Raises BadFilter."""
    return [_cell(shape, column) for column in shape.columns(columns)]


def _cell(shape: Shape, column: Column) -> Cell:
    value = quoted(column.name)
    if column.name in shape.masked:
        mask = mask_of(column)
        return Cell(column, f"CASE WHEN false THEN {value} END" if mask is None else literal(mask))  # its type stays
    if column.kind == "json":
        if shape.parse_json:
            return Cell(column, f"nested({value})")
        return Cell(column.model_copy(update={"kind": "text"}), value)
    return Cell(column, value)


def row_sql(shape: Shape, columns: Sequence[Column]) -> str:
    """The expression to one row's text in a format of text. Raises BadFilter."""
    chosen = cells(shape, columns)
    if shape.format == "csv":
        return _joined([_csv_sql(cell, shape.defuse) for cell in chosen], ",", "\r\n")
    end = {"json": ",", "ndjson": "\n"}[shape.format]
    return json_row_sql({cell.column.name: json_cell_sql(cell, shape.integers == "string") for cell in chosen}, end)


def csv_header(shape: Shape, columns: Sequence[Column]) -> bytes:
    names = [column.name for column in shape.columns(columns)]
    return (",".join(_csv_text(name, shape.defuse) for name in names) + "\r\n").encode()


def _joined(cells: Sequence[str], between: str, end: str) -> str:
    separated = f", {literal(between)}, ".join(f"coalesce({cell}, '')" for cell in cells)
    return f"concat({separated}, {_control(end)})"


def _control(text: str) -> str:
    return " || ".join(f"chr({ord(character)})" for character in text)


def json_cell_sql(cell: Cell, safe: bool = False) -> str:
    """A value as JSON writes it; `safe`: integers beyond 2^53 as strings."""
    text = json_sql(cell.column, f"hex({cell.value})" if cell.column.kind == "bytes" else cell.value)
    if safe and cell.column.kind in ("integer", "unsigned"):
        beyond = f"{cell.value} > {SAFE_INTEGER}" + (
            f" OR {cell.value} < -{SAFE_INTEGER}" * (cell.column.kind == "integer")
        )
        return f"CASE WHEN {beyond} THEN '\"' || {text} || '\"' ELSE {text} END"
    return text


def bare_sql(cell: Cell) -> str:
    """A value as JSON writes it, without quotes around it."""
    if cell.column.kind in ("text", "json"):
        return cell.value
    text = json_cell_sql(cell)
    return f"replace({text}, '\"', '')" if cell.column.kind in _BARE else text


def _csv_sql(cell: Cell, defuse: bool) -> str:
    text = bare_sql(cell)
    if cell.column.kind not in ("text", "json", "bytes"):
        return text
    if defuse:
        text = f"CASE WHEN regexp_matches({text}, {literal(_FORMULA)}) THEN '''' || {text} ELSE {text} END"
    return f"""CASE WHEN {text} = '' OR regexp_matches({text}, '[",\\r\\n]')
               THEN '"' || replace({text}, '"', '""') || '"' ELSE {text} END"""


def _csv_text(text: str, defuse: bool) -> str:
    if defuse and text[0] in "=+-@\t\r\n":
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in '",\r\n') else text
