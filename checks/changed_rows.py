"""Rows of a generation by their numbers, as a table in memory.

They come from the JSON of the segments, in which a row is found at once. Parquet would have to be read segment by
segment.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from cache.schema import Column
from cache.storage.row_encoding import arrow_schema
from cache.storage.snapshot import Snapshot


def rows_by_number(snapshot: Snapshot, numbers: npt.NDArray[np.int64]) -> pa.Table:
    """Rows with the columns and types of the Parquet files.

    Args:
        snapshot: The generation.
        numbers: The numbers of the rows.
    """
    rows: list[dict[str, Any]] = orjson.loads(b"[" + snapshot.gather(numbers) + b"]")
    schema = arrow_schema(snapshot.columns)
    arrays = [
        pa.array([_value(column, row[column.name]) for row in rows], schema.field(place).type)
        for place, column in enumerate(snapshot.columns)
    ]
    return pa.table(arrays, schema=schema)


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    read = _READERS.get(column.kind)
    return read(value) if read else value


_READERS: dict[str, Callable[[Any], Any]] = {
    "boolean": int,
    "decimal": lambda value: Decimal(str(value)),
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "json": lambda value: orjson.dumps(value).decode(),
    "bytes": b64decode,
}
