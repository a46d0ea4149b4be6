"""The bodies of the API in JSON Schema, with examples: those of response_models, and the row with its columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.contract.check_models import CHECK_BODIES
from api.contract.event_models import EVENTS
from api.contract.figure_models import FIGURE_BODIES
from api.contract.queries.sign_request import SignRequest
from api.contract.response_models import BODIES, REFS, Schema
from api.contract.status_models import STATUS_BODIES
from cache.schema import Column, Kind

# How values of each kind are written, and an example. Decimals are strings, so that no digit is lost.
_CELLS: Mapping[Kind, tuple[Schema, Any]] = {
    "integer": ({"type": ["integer", "string"]}, 5),
    "unsigned": ({"type": ["integer", "string"]}, 1001),
    "boolean": ({"type": ["boolean", "integer"]}, False),
    "decimal": ({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, "598.94"),
    "float": ({"type": "number"}, 0.5),
    "double": ({"type": "number"}, 0.5),
    "date": ({"type": "string", "format": "date"}, "2025-12-29"),
    "datetime": ({"type": "string", "format": "date-time"}, "2025-12-29T09:12:44Z"),
    "timestamp": ({"type": "string", "format": "date-time"}, "2025-12-29T09:12:44Z"),
    "text": ({"type": "string"}, "paid"),
    "json": ({"type": ["object", "array", "string"], "items": {}}, [{"title": "Mug"}]),
    "bytes": ({"type": "string", "contentEncoding": "base64"}, "3q2+7w=="),
}
# Null also in NOT NULL columns: dates that no calendar has, and empty values of JSON columns.
_NULLABLE: tuple[Kind, ...] = ("date", "datetime", "timestamp", "json")
_ROW = {"id": 1001, "total_price": "598.94", "created_at": "2025-12-29T09:12:44Z", "line_items": [{"title": "Mug"}]}


def schemas(columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Schema]:
    """All bodies, by name.

    Args:
        columns: The columns of the table; none if the reader may not know them.
        hidden: The columns that are masked.
    """
    models = _models((*BODIES, *STATUS_BODIES, *FIGURE_BODIES, *CHECK_BODIES, SignRequest))
    models["Row"] = _row(columns, hidden)
    row = models["Row"]["examples"][0]
    key = [column.name for column in columns if column.key] or list(row)[:1]
    models["Changes"]["properties"]["deleted"]["examples"] = [[{name: row[name] for name in key}]]
    for name, (description, events) in EVENTS.items():
        parts = _models(events)
        one_of = [parts.pop(event.__name__) for event in events]
        models |= {other: part for other, part in parts.items() if other not in models}
        models[name] = {"description": description, "oneOf": one_of}
    for schema in models.values():
        for part in schema.get("oneOf", [schema]):
            part["examples"] = [_example(part, models)]
        if "oneOf" in schema:
            schema["examples"] = [part["examples"][0] for part in schema["oneOf"]]
    return models


def _models(models: Sequence[type[BaseModel]]) -> dict[str, Schema]:
    """The schemas of these models and of all that they refer to."""
    _, document = models_json_schema([(model, "serialization") for model in models], ref_template=REFS + "{model}")
    return {name: _without_noise(schema) for name, schema in document["$defs"].items()}


def _without_noise(schema: Any) -> Any:
    """A schema without the titles and null defaults that Pydantic writes."""
    if isinstance(schema, list):
        return [_without_noise(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("properties"), dict):
        properties = {name: _without_noise(part) for name, part in schema["properties"].items()}
        schema = {**schema, "properties": properties}
    return {
        name: value if name in ("examples", "properties") else _without_noise(value)
        for name, value in schema.items()
        if name != "title" and (name, value) != ("default", None)
    }


def _example(schema: Schema, models: Mapping[str, Schema]) -> Any:
    """An example of a body, made of those of its keys."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _example(models[schema["$ref"].removeprefix(REFS)], models)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], models)
    if "items" in schema:
        return [_example(schema["items"], models)]
    if "properties" in schema:
        return {name: _example(part, models) for name, part in schema["properties"].items()}
    return schema["const"]


def _row(columns: Sequence[Column], hidden: Collection[str]) -> Schema:
    description = "A row, by the names of its columns."
    if not columns:
        return {
            "type": "object",
            "description": f"{description} With a key, this document lists them.",
            "examples": [_ROW],
        }
    cells: dict[str, Schema] = {}
    for column in columns:
        schema, example = _CELLS[column.kind]
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        null = ["null"] if column.nullable or column.kind in _NULLABLE or column.name in hidden else []
        cells[column.name] = {**schema, "type": [*types, *null], "description": column.type, "examples": [example]}
    return {
        "type": "object",
        "description": description,
        "properties": cells,
        "additionalProperties": False,
        "examples": [{name: cell["examples"][0] for name, cell in cells.items()}],
    }
