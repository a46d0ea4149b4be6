"""The prefix under which every path of the API stands too."""

from __future__ import annotations

PREFIX = "/v1"


def without_prefix(path: str) -> str:
    """The path of a request as the table of operations names it."""
    if path == PREFIX:
        return "/"
    return path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else path
