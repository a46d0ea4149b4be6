"""Rows as an XLSX workbook of one sheet (ECMA-376), streamed: libraries hold the sheet in memory or spool it to disk.

Values that a spreadsheet holds exactly are numbers, dates and booleans. Others are texts: integers and decimals of more
than 15 digits, dates before March 1900, and instants that Excel would round to the year 10000. Times are UTC. A cell
takes 32,767 characters; longer texts are cut, with `…` at the end.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from cache.errors import TooManyRows
from cache.export.formats.text import unquoted_json
from cache.export.row_format import MAX_SHEET_ROWS
from cache.schema import Column

MAX_CHARACTERS = 32_767  # of a cell, in UTF-16 units
MAX_DIGITS = 15  # of a number

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
_TEXT = '<c t="inlineStr"><is><t xml:space="preserve">'
# Days from 1899-12-30. Excel takes 1900 for a leap year, and has no year 10000.
_EPOCH, _MARCH_1900, _YEAR_10000 = 25_569, 61, 2_958_466
_HEADER_STYLE = 1  # those of the columns follow, in their order

# Markup, characters that XML does not allow, carriage returns, which parsers change, and what looks like an escape.
_SPECIAL = r"[&<>\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]|_x[0-9A-Fa-f]{4}_"
_TO_ESCAPE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_workbook(
    file: io.BufferedIOBase, columns: Sequence[Column], rows: int, size: int, texts: Iterable[bytes | memoryview]
) -> None:
    """Writes the workbook.

    Args:
        file: Where to; it need not seek.
        columns: The columns of the rows.
        rows: How many rows there are.
        size: About how many bytes they take as JSON.
        texts: The rows as `render_rows` renders them, in pieces.

    Raises:
        TooManyRows: An Excel sheet does not hold so many.
    """
    if rows > MAX_SHEET_ROWS:
        raise TooManyRows.for_sheet(rows, MAX_SHEET_ROWS)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, text in {**_PARTS, "xl/styles.xml": _styles(columns)}.items():
            with book.open(name, "w") as part:  # `writestr` would note the time: the same rows make the same bytes
                part.write((_XML + text).encode())
        large = size > zipfile.ZIP64_LIMIT // 8  # else plain ZIP, which more readers take
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=large) as sheet:
            sheet.write((_START + _header(columns)).encode())
            for piece in texts:
                sheet.write(piece)
            sheet.write(_END.encode())


def _header(columns: Sequence[Column]) -> str:
    names = (_TEXT.replace("<c ", f'<c s="{_HEADER_STYLE}" ') + _escaped(c.name) for c in columns)
    return f"<row>{''.join(f'{name}</t></is></c>' for name in names)}</row>"


def _styles(columns: Sequence[Column]) -> str:
    formats = [_number_format(column) for column in columns]
    numbers = "".join(f'<numFmt numFmtId="{164 + i}" formatCode={quoteattr(f)}/>' for i, f in enumerate(formats))
    cells = "".join(
        f'<xf numFmtId="{164 + i}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for i in range(len(formats))
    )
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


def render_rows(columns: Sequence[Column], values: Sequence[pa.Array]) -> pa.Array:
    """Renders rows as XML.

    Args:
        columns: The columns.
        values: An array for each column, of one length.

    Returns:
        An array of texts, one for each row.
    """
    cells = [_cells(*cell, style) for style, cell in enumerate(zip(columns, values, strict=True), start=2)]
    return pc.binary_join_element_wise("<row>", *cells, "</row>", "", null_handling="replace", null_replacement="<c/>")


def _cells(column: Column, values: pa.Array, style: int) -> pa.Array:
    match column.kind:
        case "integer" | "unsigned" | "decimal":
            numbers, exact = unquoted_json(column, values), holds_exactly(column, values)
        case "float" | "double":
            return _numbers(unquoted_json(column, values), style)
        case "boolean":
            kind = pc.if_else(pc.less_equal(pc.abs(values), 1), "b", "n")
            return pc.binary_join_element_wise('<c t="', kind, '"><v>', values.cast(pa.string()), "</v></c>", "")
        case "date":
            serial = pc.add(values.cast(pa.int32()), _EPOCH)
            numbers, exact = serial.cast(pa.string()), pc.greater_equal(serial, _MARCH_1900)
        case "datetime" | "timestamp":
            days = pc.divide(values.cast(pa.int64()).cast(pa.float64(), safe=False), 86_400e6)
            serial = pc.add(days, float(_EPOCH))
            numbers = serial.cast(pa.string())
            exact = pc.and_(pc.greater_equal(serial, float(_MARCH_1900)), pc.less(serial, float(_YEAR_10000)))
        case _:
            return _texts(unquoted_json(column, values))
    cells = _numbers(numbers, style)
    return (
        cells if pc.all(exact).as_py() is not False else pc.if_else(exact, cells, _texts(unquoted_json(column, values)))
    )


def holds_exactly(column: Column, values: pa.Array) -> pa.Array:
    """Whether a double holds each integer or decimal exactly, as it holds all of MAX_DIGITS."""
    if column.kind == "decimal":
        if column.digits <= MAX_DIGITS:
            return pc.is_valid(values)
        if column.decimals >= MAX_DIGITS:
            return pc.is_null(values)
        return pc.less(pc.abs(values), pa.scalar(Decimal(10 ** (MAX_DIGITS - column.decimals)), values.type))
    small = pc.less(values, pa.scalar(10**MAX_DIGITS, values.type))
    return small if column.kind == "unsigned" else pc.and_(small, pc.greater(values, -(10**MAX_DIGITS)))


def _numbers(texts: pa.Array, style: int) -> pa.Array:
    return pc.binary_join_element_wise(f'<c s="{style}"><v>', texts, "</v></c>", "")


def _texts(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_TEXT, xml_texts(texts), "</t></is></c>", "")


def xml_texts(texts: pa.Array) -> pa.Array:
    """Texts as the XML of a cell: cut where they are too long, escaped where XML or Excel would change them."""
    special = pc.or_(pc.match_substring_regex(texts, _SPECIAL), pc.greater(pc.binary_length(texts), MAX_CHARACTERS))
    if not pc.any(special).as_py():
        return texts
    escaped = [_escaped(_cut(text)) for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(texts, pc.fill_null(special, False), pa.array(escaped, texts.type))


def _cut(text: str) -> str:
    units = text.encode("utf-16-le")
    if len(units) <= 2 * MAX_CHARACTERS:
        return text
    return units[: 2 * (MAX_CHARACTERS - 1)].decode("utf-16-le", "ignore") + "…"


def _escaped(text: str) -> str:
    return escape(_TO_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text))
