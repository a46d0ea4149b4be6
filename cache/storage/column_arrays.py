"""Reads column arrays, from which filters and sorts are answered. It needs only NumPy.

`docs/snapshot-format.md` describes the file. It is an ordered dictionary encoding: a column is an array of **codes**,
unsigned integers as narrow as possible. Codes are in the order of the values: 0 is the least value, and `top` means
NULL, which counts as the greatest. A comparison of values is therefore a comparison of codes. Each value has a **key**:
its bytes for texts and bytes; otherwise a signed 64-bit integer in the order of the values. The key of a code is base +
unit * code, or an element of a sorted list of keys. The key of NULL is greater than all others.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt
import orjson

Codes = npt.NDArray[np.uint32]  # or narrower
Keys = npt.NDArray[np.int64]
Key = int | bytes

LENGTHS = struct.Struct("<QQ")
ALIGNED = 8
FEW = 32  # a dictionary of at most this many texts is read as a whole


class Source(Protocol):
    """A file with column arrays: a `SegmentFile`, or its bytes."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Reads a part."""


class Numbers:
    """A column whose keys are integers.

    Attributes:
        codes: The code of each row.
        top: The code of NULL, one greater than that of the greatest value.
        nulls: Whether there are NULLs.
        least: The least key.
        greatest: The greatest key.
    """

    null = (1 << 63) - 1

    def __init__(self, codes: Codes, top: int, nulls: bool, base: int, unit: int, listed: Keys | None) -> None:
        """Takes the arrays of a column.

        Args:
            codes: The code of each row.
            top: The code of NULL.
            nulls: Whether there are NULLs.
            base: The key of code 0.
            unit: The difference between the keys of two consecutive codes.
            listed: The key of each code; None if it is `base + unit * code`.
        """
        self.codes = codes
        self.top = top
        self.nulls = nulls
        self._base = base
        self._unit = unit
        self._listed = listed
        self._list = None if listed is None else listed.data  # a search in a memoryview is faster than in an array
        self.least, self.greatest = _ends(self)

    def bound(self, key: Key) -> int:
        """Returns the first code whose key is not less than `key`; `top` if there is none."""
        assert isinstance(key, int)
        if self._list is not None:
            return bisect_left(self._list, key, 0, self.top)
        return min(max(-((self._base - key) // self._unit), 0), self.top)

    def key(self, code: int) -> int:
        """The key of a code."""
        if self._list is not None:
            return int(self._list[code])
        return self.null if code == self.top else self._base + self._unit * code

    def keys(self, codes: Codes) -> Keys:
        """The keys of codes."""
        if self._listed is not None:
            return self._listed[codes]
        keys = codes.astype(np.int64)
        if self._unit != 1:
            keys *= self._unit
        keys += self._base
        if self.nulls:
            keys[codes == self.top] = self.null
        return keys


class Texts:
    """A column whose keys are bytes.

    Attributes:
        codes: The code of each row.
        top: The code of NULL, one greater than that of the greatest value.
        nulls: Whether there are NULLs.
        texts: The key of each code except NULL.
        least: The least key.
        greatest: The greatest key.
    """

    null = b"\xff"  # greater than every text

    def __init__(self, codes: Codes, top: int, nulls: bool, texts: Sequence[bytes]) -> None:
        """Takes the arrays of a column.

        Args:
            codes: The code of each row.
            top: The code of NULL.
            nulls: Whether there are NULLs.
            texts: The key of each code.
        """
        self.codes = codes
        self.top = top
        self.nulls = nulls
        self.texts = texts if top > FEW else list(texts)
        self._all = None if top > FEW else np.array([*texts, self.null], np.object_)
        self.least, self.greatest = _ends(self)

    def bound(self, key: Key) -> int:
        """Returns the first code whose key is not less than `key`; `top` if there is none."""
        assert isinstance(key, bytes)
        return bisect_left(self.texts, key)

    def key(self, code: int) -> bytes:
        """The key of a code."""
        return self.null if code == self.top else self.texts[code]

    def keys(self, codes: Codes) -> npt.NDArray[np.object_]:
        """The keys of codes."""
        if self._all is not None:
            return self._all[codes]
        return np.array(list(map(self.key, codes.tolist())), np.object_)


Values = Numbers | Texts


def _ends(column: Values) -> tuple[Key, Key]:
    return column.key(0), column.null if column.nulls else column.key(column.top - 1)


class TextList(Sequence[bytes]):
    """Byte strings in one buffer."""

    def __init__(self, ends: memoryview, data: bytes) -> None:
        """Takes the buffer.

        Args:
            ends: String i is bytes ends[i] to ends[i + 1] - 1.
            data: The buffer.
        """
        self._ends = ends
        self._data = data

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._data[self._ends[index] : self._ends[index + 1]]


class Block:
    """The column arrays of some thousand rows. `block[name]` is a column.

    Attributes:
        start: The number of its first row in the snapshot.
        rows: How many rows it has.
        names: The columns that have arrays in this block.
    """

    def __init__(self, source: Source, begin: int, header: dict[str, Any], start: int) -> None:
        """Reads nothing yet.

        Args:
            source: The file.
            begin: Where the arrays begin in the file.
            header: Describes them.
            start: The number of its first row in the snapshot.
        """
        self.start = start
        self.rows: int = header["rows"]
        self.names: frozenset[str] = frozenset(header["columns"])
        self._header: dict[str, dict[str, Any]] = header["columns"]
        self._source = source
        self._begin = begin
        self._columns: dict[str, Values] = {}

    def release(self) -> None:
        """Frees the memory of the columns. Each is read again at its next use."""
        self._columns.clear()

    def __getitem__(self, name: str) -> Values:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._column(self._header[name])
        return column

    def _column(self, header: dict[str, Any]) -> Values:
        codes = self._array(header["type"], header["codes"], self.rows)
        top, nulls = header["top"], header["nulls"]
        if "texts" in header:
            ends = self._array("<u4", header["ends"], top + 1).data
            return Texts(codes, top, nulls, TextList(ends, self._bytes(header["texts"], ends[top])))
        keys = self._array("<i8", header["keys"], top + 1) if "keys" in header else None
        return Numbers(codes, top, nulls, header.get("base", 0), header.get("unit", 1), keys)

    def _array(self, type: str, place: int, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._bytes(place, count * np.dtype(type).itemsize), type)

    def _bytes(self, place: int, size: int) -> bytes:
        return self._source[self._begin + place : self._begin + place + size]


def blocks(source: Source, size: int, start: int) -> Iterator[Block]:
    """The blocks of a file.

    Args:
        source: The file.
        size: The size of the file in bytes.
        start: The number of its first row in the snapshot.
    """
    place = 0
    while place < size:
        length, header = LENGTHS.unpack(source[place : place + LENGTHS.size])
        arrays = place + LENGTHS.size + header
        block = Block(source, arrays, orjson.loads(source[place + LENGTHS.size : arrays]), start)
        yield block
        start += block.rows
        place += length


def float_keys(values: npt.NDArray[np.float64]) -> Keys:
    """The keys of floating-point numbers: their bits, in the order of the numbers; -0.0 is 0.0."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
