"""Who sends a request, by its cookies."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from cache.settings import Settings
from cache.storage.store import Documents
from dashboard.auth.oidc import listed_role, signed_claims
from dashboard.auth.passwords import Passwords, VisitorRole
from dashboard.auth.sessions import Sessions


@dataclass(frozen=True)
class Identity:
    """A visitor with access.

    Attributes:
        role: The role.
        account: The e-mail address, or the role whose password was entered; "" without a sign-in.
        session_id: The id of the session; "" without a sign-in.
    """

    role: VisitorRole
    account: str = ""
    session_id: str = ""


class _Credential(NamedTuple):
    """What the cookies prove. Its session may have ended."""

    role: VisitorRole | None  # None: the account is in no list
    account: str
    session_id: str


class Identities:
    """Recognises visitors. Without a sign-in, everyone is an operator.

    Attributes:
        passwords: The passwords; None where none is set.
        sessions: The sessions of all visitors.
    """

    def __init__(self, settings: Settings, documents: Documents, secret: str) -> None:
        """Reads the settings.

        Args:
            settings: The settings of the sign-in.
            documents: The documents of the cache.
            secret: The secret of the cache.

        Raises:
            SettingsInvalid: A password looks like a hash, but is not a valid one.
        """
        self.passwords = Passwords(settings, secret) if settings.dashboard_password else None
        self.sessions = Sessions(documents)
        self.by_oidc = bool(settings.oidc_client_id)
        self._settings = settings
        self._secret = secret

    @property
    def required(self) -> bool:
        """Whether visitors have to sign in."""
        return self.passwords is not None or self.by_oidc

    def identify(self, cookies: Mapping[str, str]) -> Identity | None:
        """Who has these cookies; None for a visitor without access, or whose session has ended."""
        if not self.required:
            return Identity("operator")
        role, account, session_id = self._credential(cookies)
        return Identity(role, account, session_id) if role and self.sessions.is_active(session_id) else None

    def start_session(self, cookies: Mapping[str, str]) -> None:
        """Starts the session of a visitor who has just signed in, and has access.

        Raises:
            CacheError: The list of sessions cannot be written.
        """
        role, account, session_id = self._credential(cookies)
        if role:
            self.sessions.start(session_id, account)

    def end_session(self, cookies: Mapping[str, str], everywhere: bool) -> None:
        """Ends the session of a visitor.

        Args:
            cookies: The cookies of the visitor.
            everywhere: Whether all sessions of the account end.

        Raises:
            CacheError: The list of sessions cannot be written.
        """
        if visitor := self.identify(cookies):
            if everywhere:
                self.sessions.end_all(visitor.account)
            else:
                self.sessions.end(visitor.session_id)

    def form_token(self, cookies: Mapping[str, str]) -> str:
        """What the form for the sign-out contains, so that no other site can send it; "" without a sign-in."""
        session_id = self._credential(cookies).session_id
        return hmac.new(self._secret.encode(), f"sign out {session_id}".encode(), "sha256").hexdigest()

    def _credential(self, cookies: Mapping[str, str]) -> _Credential:
        if self.passwords:
            cookie = cookies.get(self.passwords.session_cookie, "")
            role = self.passwords.role_of_cookie(cookie)
            return _Credential(role, role or "", _digest(cookie.encode()))
        claims = signed_claims(cookies, self._secret)
        account = orjson.loads(claims or b"{}")
        return _Credential(listed_role(account, self._settings), str(account.get("email", "")).lower(), _digest(claims))


def _digest(proof: bytes) -> str:
    return hashlib.sha256(proof).hexdigest()
