"""The sessions of visitors who signed in. Each is listed from the sign-in until the sign-out, or for seven days.

The list is a document of the cache, so every process of the dashboard knows which sessions have ended. It holds digests
of what browsers send, so whoever reads the list cannot enter with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pydantic import AwareDatetime, BaseModel

from cache.storage.documents import Document
from cache.storage.records import known, now
from cache.storage.store import Documents

SESSION_SECONDS = 7 * 24 * 3600
MAX_SESSIONS = 100  # of an account; its oldest ones end where there are more


class VisitorSession(BaseModel, frozen=True):
    """A session of a visitor.

    Attributes:
        id: SHA-256 of its cookie, in hexadecimal.
        account: Who signed in: an e-mail address, or the role whose password was entered.
        started_at: The time of the sign-in (UTC).
    """

    id: str
    account: str
    started_at: AwareDatetime

    @property
    def active(self) -> bool:
        """Whether it has not expired. One that starts in the future has: the clock was wrong."""
        started_at = known(self.started_at)
        return started_at is not None and now() < started_at + timedelta(seconds=SESSION_SECONDS)


class VisitorSessions(BaseModel, frozen=True):
    """The list of all sessions, those of an account in the order in which they started."""

    sessions: tuple[VisitorSession, ...] = ()


SESSIONS = Document("sessions", VisitorSessions)


class Sessions:
    """The sessions of all visitors. A sign-out in one process ends a session in all of them."""

    def __init__(self, documents: Documents) -> None:
        """Reads nothing yet.

        Args:
            documents: The documents of the cache.
        """
        self._documents = documents

    def start(self, id: str, account: str) -> None:
        """Lists a session.

        Raises:
            CacheError: The list cannot be written.
        """
        started = VisitorSession(id=id, account=account, started_at=now())

        def change(listed: VisitorSessions) -> VisitorSessions:
            active = [each for each in listed.sessions if each.active and each.id != id]
            own = [each for each in (*active, started) if each.account == account][-MAX_SESSIONS:]
            return VisitorSessions(sessions=(*(each for each in active if each.account != account), *own))

        self._documents.change(SESSIONS, change)

    def is_active(self, id: str) -> bool:
        """Whether a session is listed and has not expired."""
        return any(each.id == id for each in self._active())

    def count(self, account: str) -> int:
        """The number of active sessions of an account."""
        return sum(each.account == account for each in self._active())

    def end(self, id: str) -> None:
        """Ends a session.

        Raises:
            CacheError: The list cannot be written.
        """
        self._keep(lambda each: each.id != id)

    def end_all(self, account: str) -> None:
        """Ends all sessions of an account.

        Raises:
            CacheError: The list cannot be written.
        """
        self._keep(lambda each: each.account != account)

    def _active(self) -> list[VisitorSession]:
        return [each for each in self._documents.read(SESSIONS).sessions if each.active]

    def _keep(self, kept: Callable[[VisitorSession], bool]) -> None:
        def change(listed: VisitorSessions) -> VisitorSessions:
            return VisitorSessions(sessions=tuple(each for each in listed.sessions if each.active and kept(each)))

        self._documents.change(SESSIONS, change)
