"""Rows as an XLSX workbook of one sheet (ECMA-376), written on and on: libraries hold the sheet, or spool it to disk.

What a spreadsheet holds exactly is a number, a date or a boolean; the rest is text: integers and decimals of more than
15 digits, dates before March 1900. Times are UTC. A cell takes 32,767 characters; longer texts are cut, and end in `…`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

from cache.errors import TooManyRows
from cache.formats import Cell, bare_sql
from cache.json_sql import literal
from cache.snapshot import Column

ROWS = 1_048_575  # below the header
CHARACTERS = 32_767  # UTF-16 units
DIGITS = 15

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEET_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEET_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SHEET_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="orders" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
}
_START = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
    'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
_END = "</sheetData></worksheet>"
_HEADER_STYLE = 1  # those of the columns follow, in their order

# Characters that XML has not, a carriage return, which XML parsers change, and what looks like their escape.
_ODD = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]|_x[0-9A-Fa-f]{4}_"
_ODD_HERE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write(
    file: io.BufferedIOBase, cells: Sequence[Cell], rows: int, size: int, texts: Iterable[bytes | memoryview]
) -> None:
    """Writes the workbook into a file that need not be able to go back.

    Parameters: `rows` is how many there are, `size` about how many bytes of JSON; `texts` are pieces of what `row_sql`
    gives. Raises TooManyRows.
    """
    if rows > ROWS:
        raise TooManyRows(f"These are {rows:,} rows, and a sheet of Excel holds {ROWS:,}.")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, text in {**_PARTS, "xl/styles.xml": _styles([cell.column for cell in cells])}.items():
            book.writestr(name, _XML + text)
        large = size > zipfile.ZIP64_LIMIT // 8  # else plain ZIP, which more readers take
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=large) as sheet:
            sheet.write((_START + _header([cell.column for cell in cells])).encode())
            for piece in texts:
                sheet.write(piece)
            sheet.write(_END.encode())


def _header(columns: Sequence[Column]) -> str:
    cells = (f'<c s="{_HEADER_STYLE}" t="inlineStr"><is><t xml:space="preserve">{_escaped(c.name)}</t></is></c>'
             for c in columns)  # fmt: skip
    return f"<row>{''.join(cells)}</row>"


def _styles(columns: Sequence[Column]) -> str:
    formats = [_number_format(column) for column in columns]
    numbers = "".join(f'<numFmt numFmtId="{164 + i}" formatCode={quoteattr(f)}/>' for i, f in enumerate(formats))
    cells = "".join(f'<xf numFmtId="{164 + i}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
                    for i in range(len(formats)))  # fmt: skip
    plain = 'numFmtId="0" fillId="0" borderId="0"'
    return (
        f'<styleSheet xmlns="{_MAIN}"><numFmts count="{len(formats)}">{numbers}</numFmts>'
        '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        f'<cellStyleXfs count="1"><xf {plain} fontId="0"/></cellStyleXfs><cellXfs count="{2 + len(formats)}">'
        f'<xf {plain} fontId="0" xfId="0"/><xf {plain} fontId="1" xfId="0" applyFont="1"/>'
        f'{cells}</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>"
    )


def _number_format(column: Column) -> str:
    match column.kind:
        case "decimal" if column.decimals:
            return "0." + "0" * column.decimals
        case "decimal" | "integer" | "unsigned":
            return "0"
        case "date":
            return "yyyy-mm-dd"
        case "datetime" | "timestamp":
            return "yyyy-mm-dd hh:mm:ss" + (f".{'0' * min(column.decimals, 3)}" if column.decimals else "")
        case _:
            return "General"


def row_sql(cells: Sequence[Cell]) -> str:
    """DuckDB's expression to one row's XML. Long or odd texts go through `odd_xml(VARCHAR)`: see `odd_xml`."""
    parts = ", ".join(f"coalesce({_cell_sql(cell, i)}, '<c/>')" for i, cell in enumerate(cells, start=2))
    return f"concat('<row>', {parts}, '</row>')"


def _cell_sql(cell: Cell, style: int) -> str:
    value, column = cell.value, cell.column
    text, number = _text_sql(bare_sql(cell)), f'<c s="{style}"><v>'
    match column.kind:
        case "integer" | "unsigned":
            return f"CASE WHEN {_within(value, 10**DIGITS)} THEN '{number}' || {value} || '</v></c>' ELSE {text} END"
        case "decimal" if column.decimals < DIGITS:
            exact = _within(value, 10 ** (DIGITS - column.decimals))
            return f"CASE WHEN {exact} THEN '{number}' || {value} || '</v></c>' ELSE {text} END"
        case "float" | "double":
            return f"'{number}' || {value} || '</v></c>'"
        case "boolean":
            kind = f"CASE WHEN {value} IN (0, 1) THEN 'b' ELSE 'n' END"
            return f"'<c t=\"' || {kind} || '\"><v>' || {value} || '</v></c>'"
        case "date":
            serial = f"date_diff('day', DATE '1899-12-30', {value})"
            return f"CASE WHEN {value} >= DATE '1900-03-01' THEN '{number}' || {serial} || '</v></c>' ELSE {text} END"
        case "datetime" | "timestamp":
            serial = f"epoch_us({value}) / 86400000000 + 25569"
            modern = f"{value} >= TIMESTAMPTZ '1900-03-01 00:00:00+00'"
            return f"CASE WHEN {modern} THEN '{number}' || ({serial})::DOUBLE || '</v></c>' ELSE {text} END"
        case _:
            return text


def _within(value: str, bound: int) -> str:
    return f"{value} < {bound} AND {value} > -{bound}"


def _text_sql(text: str) -> str:
    escaped = f"replace(replace(replace({text}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    odd = f"strlen({text}) > {CHARACTERS} OR regexp_matches({text}, {literal(_ODD)})"
    content = f"CASE WHEN {odd} THEN odd_xml({text}) ELSE {escaped} END"
    return f"'<c t=\"inlineStr\"><is><t xml:space=\"preserve\">' || {content} || '</t></is></c>'"


def odd_xml(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Texts as they stand in a cell: cut where they are too long, escaped where XML or Excel would change them."""
    return pa.array([None if text is None else _escaped(_cut(text)) for text in texts.to_pylist()], pa.string())


def _cut(text: str) -> str:
    units = text.encode("utf-16-le")
    if len(units) <= 2 * CHARACTERS:
        return text
    return units[: 2 * (CHARACTERS - 1)].decode("utf-16-le", "ignore") + "…"


def _escaped(text: str) -> str:
    return escape(_ODD_HERE.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
