"""Removes what opens a session from texts that are logged, shown or saved."""

from __future__ import annotations

import re

REMOVED = "[removed]"
SECRET_NAME = re.compile(r"token|csrf|xsrf|nonce|session|sess_?id|cookie|auth|passw", re.IGNORECASE)
"""Names of form fields, attributes and parameters whose values no saved page shows."""

# A name and its value, in a script, a URL or JSON.
_NAMED = re.compile(
    rf"""((?:{SECRET_NAME.pattern})[\w-]{{0,40}}["']?\s{{0,9}}[:=]\s{{0,9}}["']?)([\w%+/=.-]{{8,}})""", re.IGNORECASE
)
# As in `/cpsess1234567890/`.
_IN_PATH = re.compile(
    r"(/(?:cp)?sess(?:ion)?[-_]?)(?=[a-z]{0,40}\d)[0-9a-z]{6,}", re.IGNORECASE
)  # `/cpsess1234567890/`


def mask_sessions(text: str) -> str:
    """Replaces the values of tokens and the ids of sessions in a text, also those in the paths of URLs."""
    return _IN_PATH.sub(rf"\1{REMOVED}", _NAMED.sub(rf"\1{REMOVED}", text))


def public_url(url: str) -> str:
    """Returns a URL without its query, and without a session in its path."""
    return _IN_PATH.sub(rf"\1{REMOVED}", url.partition("?")[0])
