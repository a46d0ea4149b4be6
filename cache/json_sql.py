"""The JSON texts of `cache/values.py` as expressions of DuckDB, for queries that give rows anew.

Both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.snapshot import Column
from cache.values import LINE_BREAKS, json_string


def json_row_sql(cells: Mapping[str, str], end: str) -> str:
    """DuckDB's expression to a row as one JSON object in one line, and `end`.

    `cells` are expressions to the values' JSON texts, by name.
    """
    parts = []
    for i, (name, cell) in enumerate(cells.items()):
        parts.append(f"{literal(('{' if i == 0 else ',') + json_string(name) + ':')}, coalesce({cell}, 'null')")
    row = f"concat({', '.join(parts)}, {literal('}' + end)})"
    for found, escaped in LINE_BREAKS.items():
        row = f"replace({row}, chr({ord(found)}), '{escaped}')"
    return row


def json_sql(column: Column, value: str) -> str:
    """DuckDB's expression to a value's JSON text, NULL for NULL.

    `value` is an expression to text as a batch has it, or to a typed value where that is no BLOB; JSON is `nested`.
    """
    match column.kind:
        case "integer" | "unsigned":
            return f"{value}::HUGEINT::VARCHAR"  # a ZEROFILL column's text has leading zeros
        case "boolean":
            return f"CASE {value}::VARCHAR WHEN '0' THEN 'false' WHEN '1' THEN 'true' ELSE {value}::VARCHAR END"
        case "float":
            return f"{value}::FLOAT::VARCHAR"
        case "double":
            return f"{value}::DOUBLE::VARCHAR"
        case "decimal":
            return f"'\"' || {value}::DECIMAL({column.digits}, {column.decimals})::VARCHAR || '\"'"
        case "date":
            return f"strftime({value}, '\"%Y-%m-%d\"')"
        case "datetime" | "timestamp":
            fraction = f" || '.' || left(strftime({value}, '%f'), {column.decimals})" if column.decimals else ""
            return f"strftime({value}, '\"%Y-%m-%dT%H:%M:%S'){fraction} || 'Z\"'"
        case "bytes":
            return f"'\"' || to_base64(unhex({value})) || '\"'"
        case "json":
            return value
        case _:
            return f"to_json({value})::VARCHAR"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
