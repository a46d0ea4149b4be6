"""Decides what to tell, and remembers what was told.

A condition begins and ends, and each of both is told once: `sync.failed`, then `sync.failed.resolved`. Which conditions
hold is read from the cache, so that a process that died in between leaves nothing untold.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal, get_args

import orjson
from pydantic import BaseModel, SecretStr

from cache.check_report import share_text
from cache.errors import CacheError, Trouble
from cache.settings import Settings
from cache.storage.documents import Document
from cache.storage.records import Run, now
from cache.storage.store import Cache
from scraper.notifications.delivery import NotDelivered, send, signed_headers

log = logging.getLogger(__name__)

Condition = Literal["sync.failed", "table.held_back", "data.stale", "checks.failed"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
STALE_INTERVALS = 3  # without STALE_AFTER_MINUTES, data is stale after so many intervals between syncs


class Told(BaseModel, frozen=True):
    """What was told.

    Attributes:
        code: The code of the error, or "".
        id: The id of the event.
    """

    code: str
    id: str


class Notified(BaseModel, frozen=True):
    """The conditions that were told and have not ended."""

    told: dict[str, Told] = {}


NOTIFIED = Document("notified", Notified)


class Notifier:
    """Tells PING_URL and WEBHOOK_URL. A failure of theirs is logged, and never fails a sync.

    Args:
        cache: The cache.
        settings: Say where to, and from when on data is stale.
    """

    def __init__(self, cache: Cache, settings: Settings) -> None:
        self._cache = cache
        self._settings = settings
        self._private = settings.notify_private_hosts == "allowed"

    def after(self, run: Run) -> None:
        """Calls PING_URL if a sync verified the copy, then tells what has changed."""
        if self._settings.ping_url and run.outcome in ("published", "unchanged"):
            self._send("PING_URL", "GET", self._settings.ping_url)
        self.update()

    def update(self) -> None:
        """Tells which conditions have begun or ended since the last call."""
        if self._settings.webhook_url is None or self._cache.read_only:
            return
        try:
            told = self._cache.documents.read(NOTIFIED).told
            holding = self._holding()
            for condition in CONDITIONS:
                self._tell(condition, told.get(condition), holding.get(condition))
        except CacheError as error:
            log.warning("notifications: %s", error)

    def _tell(self, condition: Condition, before: Told | None, trouble: Trouble | None) -> None:
        if (before.code if before else None) == (trouble.code if trouble else None):
            return
        kind = condition if trouble else f"{condition}.resolved"
        id = f"{kind}-{self._occurrence()}"
        body = orjson.dumps({"type": kind, "timestamp": now().isoformat(), "data": self._data(trouble)})
        assert self._settings.webhook_url
        assert self._settings.webhook_secret
        headers = signed_headers(self._settings.webhook_secret.get_secret_value(), id, int(now().timestamp()), body)
        headers["Content-Type"] = "application/json"
        if self._send("WEBHOOK_URL", "POST", self._settings.webhook_url, body, headers):
            self._remember(condition, Told(code=trouble.code, id=id) if trouble else None)

    def _occurrence(self) -> str:
        """What tells one beginning or end of a condition from the next one. A repeated event has the same id."""
        newest = next(iter(self._cache.runs.recent(1)), None)
        head = self._cache.snapshots.head()
        return f"{newest.id if newest else '0'}-{head.generation if head else 0}"

    def _data(self, trouble: Trouble | None) -> dict[str, object]:
        head = self._cache.snapshots.head()
        age = self._cache.status().age_seconds(now())
        return {
            "code": trouble.code if trouble else None,
            "message": trouble.message if trouble else None,
            "advice": trouble.advice if trouble else None,
            "generation": head.generation if head else None,
            "verified": head.verified if head else None,
            "age_seconds": None if age is None else round(age),
        }

    def _remember(self, condition: Condition, told: Told | None) -> None:
        def changed(notified: Notified) -> Notified:
            others = {name: each for name, each in notified.told.items() if name != condition}
            return Notified(told=others | ({condition: told} if told else {}))

        self._cache.documents.change(NOTIFIED, changed)

    def _holding(self) -> Mapping[Condition, Trouble]:
        """The conditions that hold now."""
        status = self._cache.status()
        holding: dict[Condition, Trouble] = {}
        last = status.last
        if last and last.outcome == "failed" and last.error:
            holding["table.held_back" if last.error.code == "held_back" else "sync.failed"] = last.error
        age = status.age_seconds(now())
        minutes = self._settings.stale_after_minutes or STALE_INTERVALS * self._settings.sync_interval_minutes
        if age is not None and age > minutes * 60:
            holding["data.stale"] = Trouble(
                code="stale",
                message=f"The data was last verified more than {minutes:g} minutes ago.",
                advice="Look at GET /status, or run `python -m scraper doctor`.",
            )
        report = self._cache.snapshots.checks(status.head.generation) if status.head else None
        if report and report.ok is not None and report.ok < self._settings.checks_amber_below:
            holding["checks.failed"] = Trouble(
                code="checks",
                message=f"{share_text(report.agree, report.orders)} of all orders add up.",
                advice="Look at GET /checks, or at the checks on the page Data.",
            )
        return holding

    def _send(
        self, name: str, method: str, url: SecretStr, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bool:
        try:
            send(method, url.get_secret_value(), self._private, body, headers)
        except NotDelivered as error:
            log.warning("%s was not told: %s.", name, error)
            return False
        return True
