"""Passwords of the dashboard: their roles, and the cookie of a visitor who entered one.

A password is kept as an Argon2id hash (RFC 9106) with the parameters that OWASP recommends; the settings may hold the
hash itself. The cookie is signed with a key that is made of the cache's secret and the password. So it stays valid
after a restart, and a new password ends it. A sign-out ends it too (dashboard/auth/sessions.py).
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
from cache.storage.records import new_id
from dashboard.auth.sessions import SESSION_SECONDS

VisitorRole = Literal["operator", "viewer"]

BROWSER_SECONDS = 90 * 24 * 3600
_HASH_PREFIX = "$argon2"
_SETTINGS: tuple[tuple[VisitorRole, str], ...] = (
    ("operator", "dashboard_password"),
    ("viewer", "dashboard_viewer_password"),
)
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # 19 MB, about 30 ms


def hashed(password: str) -> str:
    """The Argon2id hash of a password, which DASHBOARD_PASSWORD may hold in its place."""
    return _hasher.hash(password)


class Passwords:
    """The passwords of operators and viewers.

    Browsers send cookies to every port of a host, so names of cookies differ with the cache: dashboards of two shops
    on one host do not replace each other's.

    Attributes:
        session_cookie: The name of the cookie of a session.
        browser_cookie: The name of the cookie that stays after the sign-out.
    """

    def __init__(self, settings: Settings, secret: str) -> None:
        """Hashes the passwords.

        Args:
            settings: They have a password for operators.
            secret: The secret of the cache.

        Raises:
            SettingsInvalid: A password looks like a hash, but is not a valid one.
        """
        instance = hmac.new(secret.encode(), b"dashboard cookies", hashlib.sha256).hexdigest()[:8]
        self.session_cookie = f"orders_signin_{instance}"
        self.browser_cookie = f"orders_browser_{instance}"
        self._hashes: dict[VisitorRole, str] = {}
        self._signers: dict[VisitorRole, TimestampSigner] = {}
        self._browser_signers: dict[VisitorRole, TimestampSigner] = {}
        for role, setting in _SETTINGS:
            if password := getattr(settings, setting):
                text = password.get_secret_value()
                self._hashes[role] = _checked(text, setting) if text.startswith(_HASH_PREFIX) else hashed(text)
                key = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
                self._signers[role] = TimestampSigner(key, salt=role, digest_method=hashlib.sha256)
                self._browser_signers[role] = TimestampSigner(key, salt=f"browser {role}", digest_method=hashlib.sha256)

    def role_of_password(self, password: str) -> VisitorRole | None:
        """The role that a password gives; None for a wrong one. Takes as long as hashing does."""
        for role, stored in self._hashes.items():
            try:
                _hasher.verify(stored, password)
            except VerificationError:
                continue
            return role
        return None

    def new_session(self, role: VisitorRole) -> str:
        """A cookie for a new session of a visitor with a role. No two are equal."""
        return self._signers[role].sign(f"{role}.{new_id()}").decode()

    def role_of_cookie(self, cookie: str) -> VisitorRole | None:
        """The role that a cookie gives; None where it is not valid or has expired."""
        for role, signer in self._signers.items():
            if _signed(signer, cookie, SESSION_SECONDS) is not None:
                return role
        return None

    def new_browser(self, role: VisitorRole, client: str) -> str:
        """A cookie for a browser in which a password was entered.

        Args:
            role: The role that the password gave.
            client: The address of the browser, as limits count it.
        """
        return self._browser_signers[role].sign(f"{role} from {client}").decode()

    def known_browser(self, cookie: str) -> str | None:
        """What limits count in place of the address of a known browser; None for any other browser.

        Browsers with the same role and address count together. Otherwise, whoever knows the password of viewers could
        make any number of known browsers, to guess the password of operators with.
        """
        for signer in self._browser_signers.values():
            if (known := _signed(signer, cookie, BROWSER_SECONDS)) is not None:
                return known
        return None


def _signed(signer: TimestampSigner, cookie: str, max_age: int) -> str | None:
    """What was signed; None where the signature is not valid, or older than `max_age` seconds."""
    try:
        return signer.unsign(cookie, max_age=max_age).decode()
    except BadSignature:
        return None


def _checked(text: str, setting: str) -> str:
    """A hash out of the settings. Raises SettingsInvalid where it is not valid."""
    try:
        _hasher.check_needs_rehash(text)
    except InvalidHashError as error:
        raise SettingsInvalid(
            f"{setting.upper()} starts like an Argon2 hash, but is not a valid one.",
            "Copy all that `python -m dashboard hash` prints. In a shell, put it in single quotes.",
        ) from error
    return text
