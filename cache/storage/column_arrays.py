"""Column arrays of some thousand rows: how they are laid out, and how they are read. Needs NumPy alone.

A segment's `columns.bin` is a row of blocks. A block: the lengths of the whole block and of its header (two
little-endian u64), the header (JSON, padded with spaces), then the arrays that it names, by their places behind it;
everything stands on multiples of eight bytes.

A column is an array of **codes**, unsigned and as narrow as they can be: codes stand in the order of the values, 0 is
the least value and `top` stands for NULL, as if it were the greatest. So each comparison is one of codes. A value has a
**key**: of a text or of bytes its bytes, of everything else a signed 64-bit integer in the order of the values (an
instant in microseconds, a date in days, a DECIMAL scaled, an unsigned number less 2^63, a DOUBLE by its bits). What a
code means is told by `base` and `unit` (key = base + unit * code) or by the sorted list of keys. NULL's key is greater
than all others.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import orjson

Codes = npt.NDArray[np.uint32]  # or narrower
Keys = npt.NDArray[np.int64]
Key = int | bytes

LENGTHS = struct.Struct("<QQ")
ALIGNED = 8
FEW = 32  # texts that are read at once


class Numbers:
    """A column whose keys are integers. Parameters: `listed` are the keys where they are not `base + unit * code`."""

    null = (1 << 63) - 1

    def __init__(self, codes: Codes, top: int, nulls: bool, base: int, unit: int, listed: Keys | None) -> None:
        self.codes = codes
        self.top = top
        self.nulls = nulls
        self._base = base
        self._unit = unit
        self._listed = listed
        self._list = None if listed is None else listed.data  # finds a key faster than an array does
        self.least, self.greatest = _ends(self)

    def bound(self, key: Key) -> int:
        """The first code whose key is not less: `top` where there is none."""
        assert isinstance(key, int)
        if self._list is not None:
            return bisect_left(self._list, key, 0, self.top)
        return min(max(-((self._base - key) // self._unit), 0), self.top)

    def key(self, code: int) -> int:
        if self._list is not None:
            return int(self._list[code])
        return self.null if code == self.top else self._base + self._unit * code

    def keys(self, codes: Codes) -> Keys:
        if self._listed is not None:
            return self._listed[codes]
        found = codes.astype(np.int64)
        if self._unit != 1:
            found *= self._unit
        found += self._base
        if self.nulls:
            found[codes == self.top] = self.null
        return found


class Texts:
    """A column whose keys are bytes. Parameters: `texts` are the keys."""

    null = b"\xff"  # greater than every text

    def __init__(self, codes: Codes, top: int, nulls: bool, texts: Sequence[bytes]) -> None:
        self.codes = codes
        self.top = top
        self.nulls = nulls
        self.texts = texts if top > FEW else list(texts)
        self._all = None if top > FEW else np.array([*texts, self.null], np.object_)
        self.least, self.greatest = _ends(self)

    def bound(self, key: Key) -> int:
        """The first code whose key is not less: `top` where there is none."""
        assert isinstance(key, bytes)
        return bisect_left(self.texts, key)

    def key(self, code: int) -> bytes:
        return self.null if code == self.top else self.texts[code]

    def keys(self, codes: Codes) -> npt.NDArray[np.object_]:
        if self._all is not None:
            return self._all[codes]
        return np.array(list(map(self.key, codes.tolist())), np.object_)


Values = Numbers | Texts


def _ends(column: Values) -> tuple[Key, Key]:
    return column.key(0), column.null if column.nulls else column.key(column.top - 1)


class TextList(Sequence[bytes]):
    """Byte strings, one after the other; number i ends at ends[i + 1]."""

    def __init__(self, ends: memoryview, data: memoryview) -> None:
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
        return bytes(self._data[self._ends[index] : self._ends[index + 1]])


class Block:
    """Parameters: `data` are the arrays, `header` describes them; `start` is the first row's number in the snapshot."""

    def __init__(self, data: memoryview, header: dict[str, Any], start: int) -> None:
        self.start = start
        self.rows: int = header["rows"]
        self.names: frozenset[str] = frozenset(header["columns"])
        self._header: dict[str, dict[str, Any]] = header["columns"]
        self._data = data
        self._columns: dict[str, Values] = {}

    def __getitem__(self, name: str) -> Values:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._read(self._header[name])
        return column

    def _read(self, header: dict[str, Any]) -> Values:
        codes = self._array(header["type"], header["codes"], self.rows)
        top, nulls = header["top"], header["nulls"]
        if "texts" in header:
            ends = self._array("<u4", header["ends"], top + 1).data
            return Texts(codes, top, nulls, TextList(ends, self._data[header["texts"] :]))
        keys = self._array("<i8", header["keys"], top + 1) if "keys" in header else None
        return Numbers(codes, top, nulls, header.get("base", 0), header.get("unit", 1), keys)

    def _array(self, type: str, place: int, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._data, type, count, place)


def blocks(data: memoryview, start: int) -> Iterator[Block]:
    """The blocks of a file. Parameters: `start`, the number of its first row in the snapshot."""
    place = 0
    while place < len(data):
        length, header = LENGTHS.unpack_from(data, place)
        arrays = place + LENGTHS.size + header
        described = orjson.loads(data[place + LENGTHS.size : arrays])
        block = Block(data[arrays : place + length], described, start)
        yield block
        start += block.rows
        place += length


def float_keys(values: npt.NDArray[np.float64]) -> Keys:
    """The keys of numbers: their bits, in the order of the numbers; both zeros are one."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
