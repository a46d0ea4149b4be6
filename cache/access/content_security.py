"""Sources in a Content-Security-Policy for what stands in a page itself."""

from __future__ import annotations

import base64
import hashlib
import re


def inline_hashes(page: bytes, tag: str) -> str:
    """Sources that allow the inline elements of a page, by their SHA-256 (https://www.w3.org/TR/CSP3/#hash-source).

    Args:
        page: HTML, in which the elements have no attributes.
        tag: `script` or `style`.

    Returns:
        The hashes, separated by spaces; `'none'` where there is no such element.
    """
    elements = re.findall(f"<{tag}>(.*?)</{tag}>".encode(), page, re.DOTALL)
    hashes = (base64.b64encode(hashlib.sha256(element).digest()).decode() for element in elements)
    return " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"
