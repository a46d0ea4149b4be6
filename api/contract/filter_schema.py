"""Filters, and parameters that name columns, as the description of the API tells them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from api.contract.fetch_query import KNOWN
from cache.query.filters import SEARCHED, UNORDERED, UNSORTED, Op
from cache.schema import Column, Kind

Schema = dict[str, Any]

_MEANS: Mapping[Op, str] = {
    "eq": "is this", "ne": "is not this, or is NULL", "gt": "is greater", "gte": "is greater, or this",
    "lt": "is less", "lte": "is less, or this",
    "in": "is one of these, with commas between them; one that holds a comma stands in double quotes",
    "contains": "holds this text, in capital or small letters",
    "startswith": "begins with this text, in capital or small letters", "isnull": "is NULL, or is not",
}  # fmt: skip
_ORDER = ("gt", "gte", "lt", "lte")
_SEARCH = ("contains", "startswith")
_ITEM = '("([^"]|"")*"|([^,"][^,]*)?)'
_DECIMAL = "-?[0-9]{1,20}(\\.[0-9]{1,18})?"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
_VALUES: Mapping[Kind, tuple[Schema, str, str]] = {  # with an example, and what one of a list looks like
    "integer": ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "5", "-?[0-9]{1,18}"),
    "unsigned": ({"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, "1001", "[0-9]{1,19}"),
    "boolean": ({"type": "boolean"}, "true", "(true|false)"),
    "decimal": ({"type": "string", "pattern": f"^{_DECIMAL}$"}, "598.94", _DECIMAL),
    "float": ({"type": "number"}, "0.5", _DECIMAL),
    "double": ({"type": "number"}, "0.5", _DECIMAL),
    "date": ({"type": "string", "format": "date"}, "2025-12-29", _DAY),
    "datetime": (_INSTANT, "2025-12-29T10:25:00Z", _DAY + "(T[^,]*)?"),
    "timestamp": (_INSTANT, "2025-12-29T10:25:00Z", _DAY + "(T[^,]*)?"),
    "text": ({"type": "string"}, "paid", _ITEM),
    "json": ({"type": "string"}, "[]", _ITEM),
    "bytes": ({"type": "string", "contentEncoding": "base64", "format": "byte"}, "3q2+7w==", "[A-Za-z0-9+/]*={0,2}"),
}


def filters(columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    """The filters as one parameter, whose keys are parameters of the address."""
    schema: Schema = {"type": "object", "additionalProperties": False}
    if columns:
        schema["properties"] = dict(_filters([column for column in columns if column.name not in hidden]))
    else:
        known = "|".join(re.escape(name) for name in KNOWN)
        schema["patternProperties"] = {f"^(?!(_.*|{known})$).+$": {"type": "string"}}
    ops = "; ".join(f"`{op}`: the value {means}" for op, means in _MEANS.items())
    return {
        "name": "filters",
        "in": "query",
        "description": "`COLUMN=value` or `COLUMN__OP=value`, as many as you like; all must hold. A column that is "
        f"named like a parameter, or begins with `_`, is reached by `COLUMN__eq`. {ops}.",
        "schema": schema,
        "style": "form",
        "explode": True,
        "example": {"total_price__gte": "100"},
    }  # fmt: skip


def _filters(columns: Sequence[Column]) -> list[tuple[str, Schema]]:
    found = []
    for column in columns:
        for op in _ops(column.kind):
            name = f"{column.name}__{op}"
            if op == "eq" and column.name not in KNOWN and not column.name.startswith("_"):
                name = column.name
            found.append((name, {**_value(column.kind, op), "description": f"{column.name} {_MEANS[op]}."}))
    return found


def _ops(kind: Kind) -> list[Op]:
    return [
        op
        for op in get_args(Op)
        if not (op in _ORDER and kind in UNORDERED) and not (op in _SEARCH and kind not in SEARCHED)
    ]


def _value(kind: Kind, op: Op) -> Schema:
    if op == "isnull":
        return {"type": "boolean"}
    schema, example, item = _VALUES[kind]
    if op == "in":
        return {"type": "string", "pattern": f"^{item}(,{item})*$", "examples": [example]}
    return {**schema, "examples": [example]}


def listed_columns(parameter: str, columns: Sequence[Column], hidden: Collection[str]) -> Schema:
    """What the schema of a parameter that names columns says where they are told; else, and of others, nothing."""
    if not columns:
        return {}
    more: Schema = {}
    seen = [column for column in columns if column.name not in hidden]
    match parameter:
        case "fields":
            names, more = [column.name for column in columns], {"uniqueItems": True}
        case "facet":
            names = [column.name for column in seen]
        case "sort":
            names = [sign + column.name for column in seen if column.kind not in UNSORTED for sign in ("", "-")]
        case _:
            return {}
    return {"items": {"type": "string", "enum": names}, "example": names[:1], **more}
