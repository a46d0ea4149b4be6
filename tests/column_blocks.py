"""Blocks of column arrays out of plain Python values, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from cache.schema import Column
from cache.storage.column_arrays import Block, blocks
from cache.storage.column_writer import blocks_of
from cache.storage.row_encoding import arrow_schema


def make_blocks(columns: Sequence[Column], values: Mapping[str, Sequence[Any]], *cuts: int) -> list[Block]:
    """The rows as blocks that begin at row 0 and at each of the `cuts`, which rise."""
    schema = arrow_schema(columns)
    table = pa.table(
        [pa.array(values[name], type) for name, type in zip(schema.names, schema.types, strict=True)], schema
    )
    made: list[Block] = []
    for start, stop in zip((0, *cuts), (*cuts, len(table)), strict=True):
        for data in blocks_of(table.slice(start, stop - start), columns):
            made += blocks(data, len(data), start)
    return made
