"""Rows in the formats of text, out of typed columns.

JSON      byte for byte as they were prepared at publish
NDJSON    the same, one row a line
CSV       RFC 4180: UTF-8, a header, lines end in CR LF; values as in JSON, bare. NULL is nothing, an empty text is "",
          as PostgreSQL writes them; else a text is quoted where it must be
XLSX      see cache/export/xlsx.py
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cache.access.masking import mask_of
from cache.export.row_format import RowFormat
from cache.schema import Column
from cache.storage.row_encoding import JsonTexts, json_rows, json_texts

SAFE_INTEGER = 2**53
_FORMULA = r"^[=+\-@\t\r\n]"  # what OWASP lists under "CSV injection"


def shown(row_format: RowFormat, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The chosen columns, as they are written. Raises BadFilter."""
    chosen = row_format.columns(columns)
    if row_format.parse_json:
        return chosen
    return tuple(c.model_copy(update={"kind": "text"}) if c.kind == "json" else c for c in chosen)


def masked(column: Column, values: pa.Array) -> pa.Array:
    """What a key gets to see that may not see the column."""
    mask = mask_of(column)
    return pa.nulls(len(values), values.type) if mask is None else pa.repeat(pa.scalar(mask, values.type), len(values))


def rows(row_format: RowFormat, columns: Sequence[Column], values: Sequence[pa.Array]) -> pa.Array:
    """Rows as JSON with a comma behind each, as NDJSON or as CSV. `columns` are those that are `shown`."""
    cells = list(zip(columns, values, strict=True))
    if row_format.format == "csv":
        texts = [part for cell in cells for part in (_csv(*cell, row_format.defuse), ",")]
        return pc.binary_join_element_wise(*texts[:-1], "\r\n", "", null_handling="replace", null_replacement="")
    json = [_safe(*cell) if row_format.integers == "string" else json_texts(*cell) for cell in cells]
    return json_rows(columns, json, {"json": ",", "ndjson": "\n"}[row_format.format])


def csv_header(row_format: RowFormat, columns: Sequence[Column]) -> bytes:
    names = (pa.array([column.name], pa.string()) for column in columns)
    quoted = [_csv_quoted(_defused(name) if row_format.defuse else name)[0].as_py() for name in names]
    return (",".join(quoted) + "\r\n").encode()


def bare(column: Column, values: pa.Array) -> pa.Array:
    """Values as JSON writes them, without quotes around them."""
    if column.kind == "text":
        return values
    return json_texts(column, values).bare()


def _safe(column: Column, values: pa.Array) -> JsonTexts:
    shown = json_texts(column, values)
    if column.kind not in ("integer", "unsigned"):
        return shown
    beyond = pc.greater(values, pa.scalar(SAFE_INTEGER, values.type))
    if column.kind == "integer":
        beyond = pc.or_(beyond, pc.less(values, -SAFE_INTEGER))
    return JsonTexts(pc.if_else(beyond, pc.binary_join_element_wise('"', shown.texts, '"', ""), shown.texts))


def _csv(column: Column, values: pa.Array, defuse: bool) -> pa.Array:
    texts = bare(column, values)
    if column.kind not in ("text", "json", "bytes"):
        return texts
    return _csv_quoted(_defused(texts) if defuse else texts)


def _defused(texts: pa.Array) -> pa.Array:
    formula = pc.match_substring_regex(texts, _FORMULA)
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _csv_quoted(texts: pa.Array) -> pa.Array:
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, r'^$|[",\r\n]'), quoted, texts)
