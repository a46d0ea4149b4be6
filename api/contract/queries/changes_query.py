"""The parameters of GET /changes."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from api.contract.queries.parameters import Parameter

MAX_ROWS = 10_000

_FORM = re.compile(r"^([0-9]{1,10})(?:-([0-9a-f]{8})(?:-([0-9]{1,10})-([0-9a-f]{16}))?)?$")


class Since(NamedTuple):
    """How far a client has followed the changes.

    A client that has received part of the changes has the rows whose key hashes are below `low` as they were in
    generation `through` or later.

    Attributes:
        generation: The generation that the client has.
        fingerprint: Tells that generation from one with the same number in another cache; None: not known.
        through: The generation that the client is catching up to; None: it is between two rounds.
        low: The first hash of a key whose changes the client has not received.
    """

    generation: int
    fingerprint: str | None = None
    through: int | None = None
    low: int = 0

    @property
    def position(self) -> int:
        """The newest generation of which the client has rows."""
        return max(self.generation, self.through or 0)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads the parameter `since`.

        Raises:
            ValueError: It has another form.
        """
        match = _FORM.fullmatch(text)
        if not match:
            raise ValueError
        generation, fingerprint, through, low = match.groups()
        if through and int(through) < int(generation):
            raise ValueError
        return cls(int(generation), fingerprint, int(through) if through else None, int(low, 16) if low else 0)

    def __str__(self) -> str:
        position = "" if self.through is None else f"-{self.through}-{self.low:016x}"
        return f"{self.generation}" + (f"-{self.fingerprint}{position}" if self.fingerprint is not None else "")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= MAX_ROWS):
        raise ValueError
    return int(text)


SINCE = Parameter(
    "since",
    Since.read,
    "the `next` of the response before, or the `generation` of the rows that you have",
    {"type": "string", "pattern": _FORM.pattern},
    "Changes after this point.",
    "12",
    required=True,
)


LIMIT = Parameter(
    "limit",
    _limit,
    f"a whole number from 1 to {MAX_ROWS}",
    {"type": "integer", "minimum": 1, "maximum": MAX_ROWS},
    "Maximum number of rows. A response may have fewer although more follow.",
    "100",
    1000,
)


PARAMETERS = (SINCE, LIMIT)
