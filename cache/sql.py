"""SQL text: names in quotes."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
