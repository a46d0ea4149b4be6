"""What a file says of itself, in formats that have a place for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cache.storage.snapshot import Head
from cache.version import VERSION


@dataclass(frozen=True)
class About:
    """Where the rows of a file come from. It names no host, database or user.

    Attributes:
        source: The table.
        generation: The generation.
        verified: Whether the rows are proven equal to the table.
        verified_at: When they were last proven equal, in ISO 8601 (UTC); None: never.
        version: The version of this product.
    """

    source: str
    generation: int
    verified: bool
    verified_at: str | None
    version: str = VERSION

    @classmethod
    def of(cls, table: str, head: Head) -> Self:
        """What a file of a generation says.

        Args:
            table: The name of the table.
            head: The freshness of the generation, as whoever asked is told it.
        """
        at = head.verified_at
        return cls(table, head.generation, head.verified, f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None)

    def texts(self) -> dict[str, str]:
        """What is known, by name."""
        known = {
            "source": self.source,
            "generation": str(self.generation),
            "verified": str(self.verified).lower(),
            "verified_at": self.verified_at,
            "version": self.version,
        }
        return {name: text for name, text in known.items() if text is not None}
