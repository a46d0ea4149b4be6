"""Merges all blocks of a small table into one. A query then needs a few NumPy calls, not a few calls for each block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from cache.query.budget import MERGED_ROW_NS
from cache.storage.column_arrays import Block, Numbers, Texts, Values

MAX_ROWS = 200_000  # the blocks of a table are merged if it has at most this many rows
MAX_TEXTS = 10_000  # maximum number of dictionary entries of a text column in all blocks; sorting them is slow


class MergedBlocks:
    """A block of all rows. A column is merged at first use.

    Attributes:
        start: Number of the first row in the snapshot.
        rows: Number of rows.
    """

    start = 0

    def __init__(self, blocks: Sequence[Block]) -> None:
        """Merges nothing yet.

        Args:
            blocks: All blocks of a snapshot, in order.
        """
        self.rows = sum(block.rows for block in blocks)
        self._blocks = blocks
        self._columns: dict[str, Values | None] = {}

    def cost(self, names: Iterable[str]) -> float:
        """Returns what it costs to merge the columns that are not merged yet, in nanoseconds."""
        return self.rows * MERGED_ROW_NS * len(set(names).difference(self._columns))

    def has_columns(self, names: Iterable[str]) -> bool:
        """Returns whether all these columns can be merged."""
        return all(self._column(name) for name in names)

    def __getitem__(self, name: str) -> Values:
        column = self._column(name)
        if column is None:
            raise KeyError(name)
        return column

    def _column(self, name: str) -> Values | None:
        if name not in self._columns:
            self._columns[name] = merge_columns([block[name] for block in self._blocks])
        return self._columns[name]


def merge_columns(parts: Sequence[Values]) -> Values | None:
    """Concatenates a column of several blocks under one dictionary.

    Args:
        parts: The column in each block, in order; all `Texts` or all `Numbers`.

    Returns:
        The column of all rows; None if its codes need more than 32 bits, or if it has more than MAX_TEXTS texts.
    """
    nulls = any(part.nulls for part in parts)
    texts = [part for part in parts if isinstance(part, Texts)]
    return _texts(texts, nulls) if texts else _numbers([part for part in parts if isinstance(part, Numbers)], nulls)


def _numbers(parts: Sequence[Numbers], nulls: bool) -> Numbers | None:
    keys = np.concatenate([part.keys(part.codes) for part in parts])
    null = keys == Numbers.null if nulls else np.zeros(len(keys), np.bool_)
    present = keys[~null]
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, -1)
    if high - low >= Numbers.null:
        return None
    unit = int(np.gcd.reduce(present - low)) or 1
    top = (high - low) // unit + 1
    if top > np.iinfo(np.uint32).max:
        return None
    codes = np.full(len(keys), top, _narrowest(top))
    codes[~null] = (present - low) // unit
    return Numbers(codes, top, nulls, low, unit, None)


def _texts(parts: Sequence[Texts], nulls: bool) -> Texts | None:
    if sum(part.top for part in parts) > MAX_TEXTS:
        return None
    texts = sorted({text for part in parts for text in part.texts})
    code_of = {text: code for code, text in enumerate(texts)}
    top = len(texts)
    codes = [np.array([*(code_of[text] for text in part.texts), top], _narrowest(top))[part.codes] for part in parts]
    return Texts(np.concatenate(codes), top, nulls, texts)


def _narrowest(top: int) -> npt.DTypeLike:
    return next(type for type in (np.uint8, np.uint16, np.uint32) if top <= np.iinfo(type).max)
