"""Who may read over HTTP: keys beside SHOPIFY_API_KEY, and the secret that signs addresses.

A key is 256 random bits, and its SHA-256 is all that is kept. Slow hashes are for passwords that people choose; nobody
tries 2^256 keys, and a slow hash would be paid at every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from cache.errors import BadKey

Scope = Literal["read", "refresh"]

RESERVED = frozenset({"default", "dashboard"})  # the key of the settings, and who signs addresses without a key
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class ApiKey(BaseModel, frozen=True):
    """`digest` is the key's SHA-256 in hex. `read` is for rows, `refresh` for asking for a sync; neither includes the
    other. `masked` hides personal data (cache/access/masking.py). At `expires_at` the key ends."""

    name: str
    digest: str
    scopes: tuple[Scope, ...]
    masked: bool = False
    created_at: datetime
    expires_at: datetime | None = None


class ApiKeys(BaseModel, frozen=True):
    """What a cache knows of its clients. `secret` is made with it, and signs addresses (`signed_urls`)."""

    secret: str = Field(default_factory=lambda: secrets.token_hex(32))
    keys: tuple[ApiKey, ...] = ()

    def add(self, key: ApiKey) -> ApiKeys:
        """Raises BadKey where the name is taken, or is none."""
        if not _NAME.fullmatch(key.name):
            raise BadKey(f"'{key.name[:50]}' cannot be the name of a key.", "Take up to 40 letters, digits, - and _.")
        if key.name in RESERVED or any(key.name == kept.name for kept in self.keys):
            raise BadKey(f"There is a key named '{key.name}' already.", "Take another name, or revoke that key first.")
        return self.model_copy(update={"keys": (*self.keys, key)})

    def revoke(self, name: str) -> ApiKeys:
        """Raises BadKey where there is none of that name."""
        left = tuple(key for key in self.keys if key.name != name)
        if len(left) == len(self.keys):
            advice = "`python -m api keys list` shows the names."
            if name in RESERVED:
                advice = (
                    "That one is SHOPIFY_API_KEY, or stands in DATA_DIR/api_key: set or delete it there, and restart."
                )
            raise BadKey(f"There is no key named '{name[:50]}' to revoke.", advice)
        return self.model_copy(update={"keys": left})


def new_key() -> str:
    return secrets.token_urlsafe(32)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
