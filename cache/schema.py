"""Columns of the source table and what their values become."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

Kind = Literal[
    "integer",
    "unsigned",
    "boolean",
    "decimal",
    "float",
    "double",
    "date",
    "datetime",
    "timestamp",
    "text",
    "json",
    "bytes",
]
"""What the values of a column become.

`boolean` is a TINYINT(1) that held only 0, 1 and NULL when the table was first loaded. `json` is a text column that
held objects or arrays then, also where they were encoded twice, and nothing else but NULL and empty values
(`EMPTY_JSON`).
"""

JSON_SPACE = " \t\r\n"
"""The characters that JSON allows around a value."""

EMPTY_JSON = ("", "null", '""', '"null"')
"""Texts that mean NULL in a `json` column, without the space around them."""


class Column(BaseModel, frozen=True):
    """A column of the source table.

    Attributes:
        name: Its name.
        type: Its type as MySQL declares it, such as `decimal(12,2)`.
        kind: What its values become.
        nullable: Whether it may hold NULL.
        key: Its place in the table's key, from 1; 0 where it is not in the key.
        digits: Digits of a DECIMAL.
        decimals: Decimal places of a DECIMAL, or of the seconds of a DATETIME or TIMESTAMP.
        decided: False while no value has been seen that decides whether it is `boolean` or `json`.
        blank: Whether it is not decided and has held values of `EMPTY_JSON`.
    """

    name: str
    type: str
    kind: Kind
    nullable: bool
    key: int = 0
    digits: int = 0
    decimals: int = 0
    decided: bool = True
    blank: bool = False
