"""Removes from the texts of other programs what they could do to a terminal or a log."""

from __future__ import annotations

import re

# Escape sequences, control characters except line breaks, and characters that change the direction of the text.
_CONTROLS = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def without_controls(text: str) -> str:
    """Returns a text without escape sequences and control characters. Line breaks stay."""
    return _CONTROLS.sub("", text)
