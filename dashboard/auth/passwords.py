"""Passwords of the dashboard: whose they are, and the cookie that stands for one once it was given.

Of a password an Argon2id hash is kept (RFC 9106), with the parameters that OWASP recommends; the settings may hold the
hash itself. The cookie is signed with a key made of the cache's secret and the password: it outlives a restart, and a
new password ends it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadSignature, TimestampSigner

from cache.errors import SettingsInvalid
from cache.settings import Settings

Role = Literal["operator", "viewer"]

COOKIE, SECONDS = "orders_signin", 7 * 24 * 3600
HASH = "$argon2"
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # 19 MB, about 30 ms


def hashed(password: str) -> str:
    """What DASHBOARD_PASSWORD may hold in place of the password."""
    return _hasher.hash(password)


class Passwords:
    """Parameters: `settings` hold a password for operators; `secret` is the cache's. Raises SettingsInvalid."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self._hashes: dict[Role, str] = {}
        self._signers: dict[Role, TimestampSigner] = {}
        roles: tuple[tuple[Role, str], ...] = (
            ("operator", "dashboard_password"),
            ("viewer", "dashboard_viewer_password"),
        )
        for role, name in roles:
            if password := getattr(settings, name):
                text = password.get_secret_value()
                self._hashes[role] = _checked(text, name) if text.startswith(HASH) else hashed(text)
                key = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
                self._signers[role] = TimestampSigner(key, salt=role, digest_method=hashlib.sha256)

    def role(self, password: str) -> Role | None:
        """Whose password this is. Takes as long as hashing does."""
        for role, kept in self._hashes.items():
            try:
                _hasher.verify(kept, password)
            except VerificationError:
                continue
            return role
        return None

    def cookie(self, role: Role) -> str:
        return self._signers[role].sign(role).decode()

    def known(self, cookie: str) -> Role | None:
        """Whose cookie this is, as long as it is good."""
        for role, signer in self._signers.items():
            try:
                if signer.unsign(cookie, max_age=SECONDS) == role.encode():
                    return role
            except BadSignature:
                continue
        return None


def _checked(text: str, name: str) -> str:
    try:
        _hasher.check_needs_rehash(text)
    except InvalidHashError as error:
        raise SettingsInvalid(
            f"{name.upper()} begins like an Argon2 hash, and is none.",
            "Copy all that `python -m dashboard hash` prints; in a shell it needs single quotes around it.",
        ) from error
    return text
