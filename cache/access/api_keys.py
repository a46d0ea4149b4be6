"""API keys beside ORDERS_API_KEY, feeds, and the secret that signs URLs.

A key is 256 random bits, and only its SHA-256 is stored. A slow hash would protect passwords that people choose. It
adds nothing to 256 random bits, and every request would pay for it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from cache.access.feeds import Feed
from cache.errors import BadFeed, BadKey

log = logging.getLogger(__name__)

Scope = Literal["read", "refresh"]

RESERVED = frozenset({"default", "dashboard"})  # the key of the settings, and the signer of URLs that has no key
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class ApiKey(BaseModel, frozen=True):
    """A key beside ORDERS_API_KEY.

    Attributes:
        name: How people and logs call it.
        digest: SHA-256 of the key, in hexadecimal.
        scopes: What it may do: `read` rows, or ask for a `refresh`. Neither includes the other.
        masked: Whether personal data is hidden from it (`cache.access.masking`).
        created_at: When it was made (UTC).
        expires_at: When it ends (UTC); None for never.
    """

    name: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...]
    masked: bool = False
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None


class ApiKeys(BaseModel, frozen=True):
    """All keys of a cache, and the secret that signs URLs.

    Attributes:
        secret: 256 random bits, in hexadecimal (`cache.access.signed_urls`).
        keys: The keys, oldest first.
        feeds: The feeds, oldest first (`cache.access.feeds`).
    """

    secret: str = Field(default_factory=lambda: secrets.token_hex(32), pattern=r"^[0-9a-f]{64}$")
    keys: tuple[ApiKey, ...] = ()
    feeds: tuple[Feed, ...] = ()

    @field_validator("keys", "feeds", mode="wrap")
    @classmethod
    def _intact(
        cls, value: object, validate: ValidatorFunctionWrapHandler, about: ValidationInfo
    ) -> tuple[ApiKey | Feed, ...]:
        """Leaves out damaged keys and feeds: one that cannot be read must not shut out the others."""
        kept: dict[str, ApiKey | Feed] = {}
        what, many, reserved = ("API key", "keys", RESERVED) if about.field_name == "keys" else ("Feed", "feeds", ())
        for number, item in enumerate(value if isinstance(value, (list, tuple)) else validate(value), 1):
            try:
                (each,) = validate((item,))
            except ValidationError:
                log.warning("%s %d in the list of %s is damaged and left out. Make it again.", what, number, many)
                continue
            if not _NAME.fullmatch(each.name) or each.name in reserved or each.name in kept:
                log.warning(
                    "%s %d in the list of %s has a name that none may have; it is left out.", what, number, many
                )
                continue
            kept[each.name] = each
        return tuple(kept.values())

    def add(self, key: ApiKey) -> ApiKeys:
        """These keys and one more.

        Raises:
            BadKey: The name is taken or not valid.
        """
        if not _NAME.fullmatch(key.name):
            raise BadKey(f"'{key.name[:50]}' cannot be the name of a key.", "Take up to 40 letters, digits, - and _.")
        if key.name in RESERVED or any(key.name == kept.name for kept in self.keys):
            raise BadKey(f"There is a key named '{key.name}' already.", "Take another name, or revoke that key first.")
        return self.model_copy(update={"keys": (*self.keys, key)})

    def revoke(self, name: str) -> ApiKeys:
        """These keys without one.

        Raises:
            BadKey: No key has that name.
        """
        left = tuple(key for key in self.keys if key.name != name)
        if len(left) == len(self.keys):
            advice = "`python -m api keys list` shows the names."
            if name in RESERVED:
                advice = (
                    "That one is ORDERS_API_KEY, or stands in DATA_DIR/api_key: set or delete it there, and restart."
                )
            raise BadKey(f"There is no key named '{name[:50]}' to revoke.", advice)
        return self.model_copy(update={"keys": left})

    def add_feed(self, feed: Feed) -> ApiKeys:
        """The same, and one more feed.

        Raises:
            BadFeed: The name is taken or not valid.
        """
        if not _NAME.fullmatch(feed.name):
            raise BadFeed(
                f"'{feed.name[:50]}' cannot be the name of a feed.", "Take up to 40 letters, digits, - and _."
            )
        if any(feed.name == kept.name for kept in self.feeds):
            raise BadFeed(f"There is a feed named '{feed.name}' already.", "Take another name, or revoke it first.")
        return self.model_copy(update={"feeds": (*self.feeds, feed)})

    def revoke_feed(self, name: str) -> ApiKeys:
        """The same without one feed.

        Raises:
            BadFeed: No feed has that name.
        """
        left = tuple(feed for feed in self.feeds if feed.name != name)
        if len(left) == len(self.feeds):
            raise BadFeed(f"There is no feed named '{name[:50]}' to revoke.")
        return self.model_copy(update={"feeds": left})


def new_key() -> str:
    """A key of 256 random bits, safe in URLs."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Returns the key of a request: the header `X-API-Key`, else the Bearer token in `Authorization`."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key" and (key := value.strip(b" \t")):  # without the white space around it (RFC 9110, 5.5)
            return key
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
    return bearer


def read_key(file: Path) -> str:
    """Returns the key in a file; "" where there is none yet.

    Raises:
        OSError: The file cannot be read.
    """
    return file.read_text(encoding="ascii").strip() if file.exists() else ""
