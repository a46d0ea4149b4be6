"""Columns of the source table and what their values become."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

Kind = Literal[
    "integer", "unsigned", "boolean", "decimal", "float", "double", "date", "datetime", "timestamp", "text", "json",
    "bytes",
]  # fmt: skip


class Column(BaseModel, frozen=True):
    """A column of the source, and what its values become.

    `type` is MySQL's own (`decimal(12,2)`); `digits` and `decimals` are those of a DECIMAL, `decimals` also those of a
    second; `key` is the place in the key, from 1, or 0. Kinds: `boolean` is a TINYINT(1) that held only 0, 1 and NULL,
    `json` a text whose every value was an object or an array (also encoded twice) when the table was first loaded.
    `decided` is false while no value has been seen that could tell.
    """

    name: str
    type: str
    kind: Kind
    nullable: bool
    key: int = 0
    digits: int = 0
    decimals: int = 0
    decided: bool = True
