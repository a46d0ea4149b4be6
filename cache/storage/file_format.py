"""The format number of a cache, which is stored in its JSON files.

Format 1 had no number. Format 2 added the number, and moved the documents and the history of syncs out of the folder of
snapshots. `docs/snapshot-format.md` describes the present format.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cache.errors import CacheFormat

FORMAT = 2

Model = TypeVar("Model", bound=BaseModel)


class _Numbered(BaseModel):
    format: int = 1


def format_of(data: bytes) -> int | None:
    """Returns the format of a JSON file; None if the file is damaged."""
    try:
        return _Numbered.model_validate_json(data).format
    except ValidationError:
        return None


def encode(value: BaseModel) -> bytes:
    """Encodes a value as the JSON of a file in the present format."""
    return b'{"format":%d,' % FORMAT + value.model_dump_json().encode()[1:]


def decode(model: type[Model], data: bytes) -> Model:
    """Reads a value from the JSON of a file.

    Raises:
        CacheFormat: A newer version of the product wrote it.
        ValidationError: The JSON is damaged.
    """
    if (number := format_of(data)) is not None and number > FORMAT:
        raise CacheFormat.of(number, FORMAT)
    return model.model_validate_json(data)
