"""Writes column arrays, from which filters and sorts are answered. `docs/snapshot-format.md` describes the file.

Some columns have no arrays, and DuckDB scans them instead: JSON, decimals of more than 18 digits, long texts that
rarely repeat, and numbers with NULLs that use the greatest 64-bit integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from cache.schema import Column
from cache.storage.column_arrays import ALIGNED, LENGTHS, Keys, Numbers, float_keys

ROWS = 16_384  # maximum number of rows in a block
TEXT_BYTES = 64  # maximum size of all distinct texts, divided by the number of rows
_DIGITS = 18  # maximum digits of a decimal that fits into 64 bits
_UNSIGNED = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<u4"))
_SIGN = np.uint64(1 << 63)


def blocks_of(rows: pa.Table, columns: Sequence[Column]) -> Iterator[bytes]:
    """Encodes rows as blocks of about the same size.

    Args:
        rows: Rows with the types of `row_encoding.arrow_schema`.
        columns: Their columns.
    """
    parts = -(-len(rows) // ROWS)
    for i in range(parts):
        start, stop = len(rows) * i // parts, len(rows) * (i + 1) // parts
        yield _block(rows.slice(start, stop - start), columns)


def _block(rows: pa.Table, columns: Sequence[Column]) -> bytes:
    header: dict[str, Any] = {}
    arrays: list[bytes] = []
    place = 0

    def put(array: npt.NDArray[Any] | bytes) -> int:
        nonlocal place
        data = array if isinstance(array, bytes) else array.tobytes()
        padded = data + bytes(-len(data) % ALIGNED)
        arrays.append(padded)
        place += len(padded)
        return place - len(padded)

    for i, column in enumerate(columns):
        array = _contiguous(rows.column(i))
        if column.kind in ("text", "bytes"):
            encoded = _encode_texts(array)
        elif column.kind == "json" or (column.kind == "decimal" and column.digits > _DIGITS):
            encoded = None
        else:
            encoded = _encode_numbers(array, column)
        if encoded is not None:
            codes, top, dictionary = encoded
            header[column.name] = {
                "type": codes.dtype.str,
                "top": top,
                "nulls": array.null_count > 0,
                "codes": put(codes),
                **{name: put(part) if not isinstance(part, int) else part for name, part in dictionary.items()},
            }
    text = orjson.dumps({"rows": len(rows), "columns": header})
    text += b" " * (-len(text) % ALIGNED)
    return b"".join([LENGTHS.pack(LENGTHS.size + len(text) + place, len(text)), text, *arrays])


def _contiguous(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


_Encoded = tuple[npt.NDArray[Any], int, dict[str, Any]]  # codes, `top`, and what the codes mean


def _encode_numbers(array: pa.Array, column: Column) -> _Encoded | None:
    keys, nulls = _keys(array, column), _nulls(array)
    present = keys if nulls is None else keys[~nulls]
    if not len(present):
        return _codes(np.zeros(len(keys), np.uint64), nulls, 0), 0, {}
    low, high = int(present.min()), int(present.max())
    if nulls is not None and high == Numbers.null:
        return None
    unit = 10 ** (6 - column.decimals) if column.kind in ("datetime", "timestamp") else 1
    above = keys.view(np.uint64) - np.uint64(low & 0xFFFFFFFFFFFFFFFF)  # exact even if the difference needs 64 bits
    if unit > 1:
        steps = above // np.uint64(unit)
        whole = steps * np.uint64(unit) == above
        if (whole if nulls is None else whole | nulls).all():
            above = steps
        else:
            unit = 1
    top = (high - low) // unit + 1
    if top < 1 << 32:
        return _codes(above, nulls, top), top, {"base": low, "unit": unit}
    listed, ranks = np.unique(present, return_inverse=True)
    codes = np.zeros(len(keys), np.int64)
    codes[slice(None) if nulls is None else ~nulls] = ranks
    return _codes(codes, nulls, len(listed)), len(listed), {"keys": np.append(listed, Numbers.null)}


def _keys(array: pa.Array, column: Column) -> Keys:
    """Returns the key of each value. The key of a NULL is arbitrary."""
    match column.kind:
        case "unsigned":
            return (_values(array, "<u8") ^ _SIGN).view(np.int64)
        case "decimal":
            return np.ascontiguousarray(_values(array, "<i8", 2)[::2])  # the lower half of 128 bits
        case "float":
            return float_keys(_values(array, "<f4").astype(np.float64))
        case "double":
            return float_keys(_values(array, "<f8"))
        case "date":
            return _values(array, "<i4").astype(np.int64)
        case _:
            return _values(array, "<i8")


def _values(array: pa.Array, type: str, each: int = 1) -> npt.NDArray[Any]:
    return np.frombuffer(array.buffers()[1], type)[array.offset * each :][: len(array) * each]


def _encode_texts(array: pa.Array) -> _Encoded | None:
    encoded = array.dictionary_encode()
    different = encoded.dictionary
    if different.nbytes > TEXT_BYTES * len(array):
        return None
    order = pc.array_sort_indices(different)
    listed = different.take(order)
    rank = np.empty(len(order), np.uint32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.uint32)
    nulls = _nulls(array)
    indices = encoded.indices.fill_null(0).to_numpy()
    codes = rank[indices] if len(order) else np.zeros(len(array), np.uint32)
    _, ends, data = listed.buffers()
    places = np.frombuffer(ends, "<u4")[: len(listed) + 1] if len(listed) else np.zeros(1, "<u4")
    text = bytes(memoryview(data)[: int(places[-1])]) if data is not None else b""
    return _codes(codes, nulls, len(listed)), len(listed), {"ends": places, "texts": text}


def _codes(values: npt.NDArray[Any], nulls: npt.NDArray[np.bool_] | None, top: int) -> npt.NDArray[Any]:
    """Returns codes in the narrowest type that can store `top`, the code of NULL."""
    codes = values.astype(next(type for type in _UNSIGNED if top <= np.iinfo(type).max))
    if nulls is not None:
        codes[nulls] = top
    return codes


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_] | None:
    return array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
