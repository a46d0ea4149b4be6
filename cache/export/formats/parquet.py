"""Rows as Parquet: the exact types of the cache, and the logical type JSON where a column holds JSON.

The schema of Arrow that the file also has calls such a column a text. So readers that know the logical type see JSON
(DuckDB, pyarrow, Spark), and those that do not see a text (Polars, which else takes it for bytes or for a type of its
own that has no functions).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from cache.export.about import About
from cache.query.filters import Sort
from cache.schema import Column
from cache.storage.row_encoding import arrow_schema, json_texts
from cache.storage.segment_writer import ROW_GROUP

GROUP_BYTES = 32 << 20  # of a row group


def write_rows(
    file: io.BufferedIOBase,
    columns: Sequence[Column],
    batches: Iterable[Sequence[pa.Array]],
    about: About | None,
    order: Sequence[Sort],
) -> None:
    """Writes a file.

    Args:
        file: Where to; it need not seek.
        columns: The columns.
        batches: The rows in batches: an array for each column.
        about: What the file says of itself.
        order: Columns by which the rows are known to be sorted, the most significant first.
    """
    texts = arrow_schema(columns)
    schema = pa.schema([_field(column, texts.field(i)) for i, column in enumerate(columns)])
    sorting = [
        pq.SortingColumn(schema.get_field_index(name), descending=descending, nulls_first=descending)
        for name, descending in order
    ]
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(
        file, schema, compression="zstd", store_schema=False, sorting_columns=sorting or None
    ) as writer:
        for batch in batches:
            waiting.append(pa.table([_values(*cells) for cells in zip(columns, batch, strict=True)], schema=schema))
            if sum(map(len, waiting)) >= ROW_GROUP or sum(table.nbytes for table in waiting) >= GROUP_BYTES:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
        arrow = base64.b64encode(texts.serialize().to_pybytes()).decode()
        writer.add_key_value_metadata({"ARROW:schema": arrow, **(about.texts() if about else {})})


def _field(column: Column, field: pa.Field) -> pa.Field:
    return field.with_type(pa.json_()) if column.kind == "json" else field


def _values(column: Column, values: pa.Array) -> pa.Array:
    if column.kind != "json":
        return values
    return pa.ExtensionArray.from_storage(pa.json_(), json_texts(column, values).texts)
