"""Quoting of names and texts in SQL for DuckDB."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string literal, for places that take no parameter."""
    return "'" + text.replace("'", "''") + "'"
