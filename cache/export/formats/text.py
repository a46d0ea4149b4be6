"""Rows in text formats, rendered from typed columns.

JSON: byte for byte as a sync prepares the rows.

NDJSON: the same, one row on each line.

CSV: RFC 4180, in UTF-8, with a header, lines end in CR LF. Values are as in JSON, without quotes around them. NULL is
nothing and an empty text is `""`, as PostgreSQL writes them. Other texts are quoted where RFC 4180 requires it. A
CsvStyle changes marks between and in cells, and never a text.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cache.access.masking import Mask, mask_of, pruned_text
from cache.export.row_format import CsvStyle, RowFormat
from cache.schema import Column
from cache.storage.row_encoding import JsonTexts, json_rows, json_texts

SAFE_INTEGER = 2**53  # JavaScript holds integers up to here exactly
_SEPARATORS = {"json": ",", "ndjson": "\n"}
# What OWASP lists under "CSV injection". For a spreadsheet, a tab or a line break may end a cell, and so may the other
# delimiter: some read `;` where the file has `,`, and the reverse. Texts with the delimiter of the file are quoted.
_FORMULA = r"^(?:[\s\"]*[=+\-@＝＋－＠]|[\t\r\n])"
_FORMULA_INSIDE = {
    delimiter: rf"([\t\r\n{other}][\s\"]*)([=+\-@＝＋－＠])" for delimiter, other in ((",", ";"), (";", ","))
}


def output_columns(row_format: RowFormat, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The selected columns as they are written: a JSON column that is not parsed is a text.

    Raises:
        BadFilter: A selected column is unknown, or selected twice.
    """
    selected = row_format.select(columns)
    if row_format.parse_json:
        return selected
    return tuple(c.model_copy(update={"kind": "text"}) if c.kind == "json" else c for c in selected)


def masked_values(column: Column, values: pa.Array, mask: Mask) -> pa.Array:
    """The values of a column of the table as the mask shows them."""
    if column.name in mask.pruned:
        return pa.array([pruned_text(column, text) for text in values.to_pylist()], values.type)
    if column.name not in mask.hidden:
        return values
    shown = mask_of(column)
    return (
        pa.nulls(len(values), values.type) if shown is None else pa.repeat(pa.scalar(shown, values.type), len(values))
    )


def render_rows(row_format: RowFormat, columns: Sequence[Column], values: Sequence[pa.Array]) -> pa.Array:
    """Renders rows as JSON with a comma after each, as NDJSON or as CSV.

    Args:
        row_format: The format; its columns are not selected here.
        columns: The columns, as `output_columns` returns them.
        values: An array for each column, of one length.

    Returns:
        An array of texts, one for each row.
    """
    cells = list(zip(columns, values, strict=True))
    if row_format.format == "csv":
        style = row_format.csv
        texts = [part for cell in cells for part in (_csv(*cell, style), style.delimiter)]
        return pc.binary_join_element_wise(*texts[:-1], "\r\n", "", null_handling="replace", null_replacement="")
    json = [_safe_json(*cell) if row_format.integers == "string" else json_texts(*cell) for cell in cells]
    return json_rows(columns, json, _SEPARATORS[row_format.format])


def csv_header(row_format: RowFormat, columns: Sequence[Column]) -> bytes:
    """The first line of a CSV.

    Args:
        row_format: The format.
        columns: The columns, as `output_columns` returns them.
    """
    style = row_format.csv
    names = (pa.array([column.name], pa.string()) for column in columns)
    cells = [_csv_texts(name, style)[0].as_py() for name in names]
    return ("\ufeff" * style.bom + style.delimiter.join(cells) + "\r\n").encode()


def unquoted_json(column: Column, values: pa.Array) -> pa.Array:
    """Values as JSON has them, without quotes around texts."""
    if column.kind == "text":
        return values
    return json_texts(column, values).unquoted()


def _safe_json(column: Column, values: pa.Array) -> JsonTexts:
    """Integers that JavaScript does not hold exactly become strings."""
    json = json_texts(column, values)
    if column.kind not in ("integer", "unsigned"):
        return json
    beyond = pc.greater(values, pa.scalar(SAFE_INTEGER, values.type))
    if column.kind == "integer":
        beyond = pc.or_(beyond, pc.less(values, -SAFE_INTEGER))
    return JsonTexts(pc.if_else(beyond, pc.binary_join_element_wise('"', json.texts, '"', ""), json.texts))


def _csv(column: Column, values: pa.Array, style: CsvStyle) -> pa.Array:
    texts = unquoted_json(column, values)
    match column.kind:
        case "text" | "json" | "bytes":
            return _csv_texts(texts, style)
        case "decimal" | "float" | "double" if style.decimal != ".":
            numbers = pc.replace_substring(texts, ".", style.decimal)
            return _quoted_csv(numbers, style) if style.decimal == style.delimiter else numbers
        case _:
            return texts


def _csv_texts(texts: pa.Array, style: CsvStyle) -> pa.Array:
    return _quoted_csv(_escaped_formulas(texts, style) if style.escape_formulas else texts, style)


def _escaped_formulas(texts: pa.Array, style: CsvStyle) -> pa.Array:
    """The texts with an apostrophe before whatever a spreadsheet would run as a formula, in this cell or a next one."""
    formula = pc.match_substring_regex(texts, _FORMULA)
    texts = pc.replace_substring_regex(texts, _FORMULA_INSIDE[style.delimiter], r"\1'\2")
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _quoted_csv(texts: pa.Array, style: CsvStyle) -> pa.Array:
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, rf'^$|["{style.delimiter}\r\n]'), quoted, texts)
