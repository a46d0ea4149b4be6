"""The parameters of GET /changes."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from api.contract.parameters import Parameter

MOST_ROWS = 10_000


_FORM = re.compile(r"^([0-9]{1,10})(?:-([0-9a-f]{8})(?:-([0-9]{1,10})-([0-9a-f]{16}))?)?$")


class Since(NamedTuple):
    """How far a client has come: the generation it has.

    `mark` tells that one from others of its number (None: the client knows the number alone). A client that is half
    through what changed has the rows whose keys hash to less than `low` as they were in generation `through`, or later.
    """

    generation: int
    mark: str | None = None
    through: int | None = None
    low: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError."""
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError
        generation, mark, through, low = found.groups()
        if through and int(through) < int(generation):
            raise ValueError
        return cls(int(generation), mark, int(through) if through else None, int(low, 16) if low else 0)

    def __str__(self) -> str:
        half = "" if self.through is None else f"-{self.through}-{self.low:016x}"
        return f"{self.generation}" + (f"-{self.mark}{half}" if self.mark is not None else "")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= MOST_ROWS):
        raise ValueError
    return int(text)


SINCE = Parameter(
    "since",
    Since.read,
    "the `next` of the answer before, or the `generation` of the rows that you hold",
    {"type": "string", "pattern": _FORM.pattern},
    "From where on changes are asked for.",
    "12",
    required=True,
)


LIMIT = Parameter(
    "limit",
    _limit,
    f"a whole number from 1 to {MOST_ROWS}",
    {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
    "Rows of an answer at most; fewer may come although there are more.",
    "100",
    1000,
)


PARAMETERS = (SINCE, LIMIT)
