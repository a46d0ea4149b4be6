"""The token of a page: the `next` of a response, and the `after` of the next request."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import NamedTuple, Self

_LAYOUT = struct.Struct(">QQ8s")


class PageToken(NamedTuple):
    """Where a page begins.

    Attributes:
        generation: The generation that the pages come from.
        row: The number of the first row among those of the query.
        binding: Eight bytes that bind the token to the query (see SnapshotView.binding).
    """

    generation: int
    row: int
    binding: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a token.

        Raises:
            ValueError: It is not one of ours.
        """
        try:
            return cls(*_LAYOUT.unpack(base64.b64decode(text, b"-_", validate=True)))
        except (binascii.Error, struct.error) as error:
            raise ValueError from error

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_LAYOUT.pack(*self)).decode()
