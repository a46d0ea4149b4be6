"""The OpenAPI schemas of filters, and of parameters whose values are names of columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from api.contract.queries.fetch_query import KNOWN
from cache.analytics.dimensions.catalogue import FILTER_ONLY, FILTERS, ROW_PATTERN
from cache.query.filters import UNSORTED
from cache.query.operators import ALL_KINDS, OPERATORS, Operator
from cache.schema import Column, Kind

Schema = dict[str, Any]

_TEXT: tuple[Kind, ...] = ("text",)
_ITEM = '("([^"]|"")*"|([^,"][^,]*)?)'
_DECIMAL = "-?[0-9]{1,20}(\\.[0-9]{1,18})?"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
_VALUES: Mapping[Kind, tuple[Schema, Any, str]] = {  # a value, an example, and the pattern of one in a list
    "integer": ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, 5, "-?[0-9]{1,18}"),
    "unsigned": ({"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, 1001, "[0-9]{1,19}"),
    "boolean": ({"type": "boolean"}, True, "(true|false)"),
    "decimal": ({"type": "string", "pattern": f"^{_DECIMAL}$"}, "598.94", _DECIMAL),
    "float": ({"type": "number"}, 0.5, _DECIMAL),
    "double": ({"type": "number"}, 0.5, _DECIMAL),
    "date": ({"type": "string", "format": "date"}, "2025-12-29", _DAY),
    "datetime": (_INSTANT, "2025-12-29T10:25:00Z", _DAY + "(T[^,]*)?"),
    "timestamp": (_INSTANT, "2025-12-29T10:25:00Z", _DAY + "(T[^,]*)?"),
    "text": ({"type": "string"}, "paid", _ITEM),
    "json": ({"type": "string"}, "[]", _ITEM),
    "bytes": ({"type": "string", "contentEncoding": "base64", "format": "byte"}, "3q2+7w==", "[A-Za-z0-9+/]*={0,2}"),
}


def filters(columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    """Describes the filters as one parameter of OpenAPI, whose keys are parameters of the query string.

    Args:
        columns: The columns of the table; empty where they may not be shown.
        hidden: Names of columns that the key may not filter by.
    """
    schema: Schema = {"type": "object", "additionalProperties": False}
    if columns:
        schema["properties"] = dict(_filters([column for column in columns if column.name not in hidden]))
    else:
        reserved = "|".join(re.escape(name) for name in KNOWN)
        schema["patternProperties"] = {f"^(?!({reserved})$).+$": {"type": "string"}}
    about = (
        "`COLUMN=value` or `COLUMN__OP=value`, any number of them; all must hold. For a column that is named like a "
        "parameter, use `COLUMN__eq`."
    )
    return _described(schema, about, ALL_KINDS, {"total_price__gte": "100"})


def dimension_filters() -> dict[str, Any]:
    """Describes filters on dimensions as `filters` describes those on columns."""
    filtered = (*FILTERS.values(), *FILTER_ONLY.values())
    properties = dict(_filters([dimension.as_column for dimension in filtered]))
    about = (
        "`DIMENSION=value` or `DIMENSION__OP=value`, any number of them; all must hold. `product` is the SKU of a line "
        "item, or its title. It selects the orders with such an item, as the other dimensions of line items do. "
        "`total` is the total of an order, `units` the number of its items, `placed_at` its date, `returned_at` that "
        "of one of its refunds, and `handed_over` is `at once`, `later` or `not yet`. "
        "`column:NAME` is a column of the table, and `json:NAME.PATH` a value inside its JSON."
    )
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "patternProperties": {f"^{ROW_PATTERN}$": {"type": "string"}},
    }
    return _described(schema, about, _TEXT, {"country": "DE"})


def _described(schema: Schema, about: str, kinds: Collection[Kind], example: Mapping[str, str]) -> dict[str, Any]:
    operators = "; ".join(
        f"`{operator.name}`: the value {operator.description}"
        for operator in OPERATORS.values()
        if not set(kinds).isdisjoint(operator.kinds)
    )
    return {
        "name": "filters",
        "in": "query",
        "description": f"{about} {operators}.",
        "schema": schema,
        "style": "form",
        "explode": True,
        "example": example,
    }


def listed_columns(parameter: str, columns: Sequence[Column], hidden: Collection[str]) -> Schema:
    """Describes a parameter whose values are names of columns.

    Args:
        parameter: Name of the parameter.
        columns: The columns of the table; empty where they may not be shown.
        hidden: Names of columns that the key may not sort or count by.

    Returns:
        What to add to the parameter's schema; nothing for other parameters, or without columns.
    """
    if not columns:
        return {}
    names = [column.name for column in columns]
    seen = [column for column in columns if column.name not in hidden]
    more: Schema = {}
    match parameter:
        case "fields":
            more = {"uniqueItems": True}
        case "facet":
            names = [column.name for column in seen]
        case "sort":
            names = [sign + column.name for column in seen if column.kind not in UNSORTED for sign in ("", "-")]
        case _:
            return {}
    return {"items": {"type": "string", "enum": names}, "example": names[:1], **more}


def _filters(columns: Sequence[Column]) -> Iterator[tuple[str, Schema]]:
    for column in columns:
        for operator in OPERATORS.values():
            if column.kind in operator.kinds:
                name = f"{column.name}__{operator.name}"
                if operator.name == "eq" and column.name not in KNOWN:
                    name = column.name
                yield name, {**_value(column.kind, operator), "description": f"{column.name} {operator.description}."}


def _value(kind: Kind, operator: Operator) -> Schema:
    schema, example, item = _VALUES[kind]
    match operator.takes:
        case "flag":
            return {"type": "boolean"}
        case "list":
            return {"type": "string", "pattern": f"^{item}(,{item})*$", "examples": [_as_text(example)]}
        case "text" | "value":
            return {**schema, "examples": [example]}


def _as_text(value: Any) -> str:
    """A value as it stands in an address."""
    return str(value).lower() if isinstance(value, bool) else str(value)
