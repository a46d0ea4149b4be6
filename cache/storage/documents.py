"""Documents that no sync can restore: what people made, what stays as it was first decided, and crashes of services.

They are stored outside the folder of snapshots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, Base64Bytes, BaseModel

from cache.access.api_keys import ApiKeys
from cache.reading import StoredReading
from cache.saved.plan import Plan
from cache.saved.views import SavedViews
from cache.table_setup import Setup

RESTARTS_SHOWN = timedelta(days=1)
PICTURE_KEPT = timedelta(days=7)

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A kind of document. Each cache has one document of each kind.

    Attributes:
        name: The name under which it is stored, without a file extension.
        model: The class of its content. Without arguments, the class makes the initial document.
        secret: Whether it has secrets. The first read saves a secret document: all processes then share its secrets. A
            damaged secret document is an error. Any other damaged document counts as initial.
    """

    name: str
    model: type[Content]
    secret: bool = False


class ServiceRestarts(BaseModel, frozen=True):
    """The crashes of one service, after each of which it was started again.

    Attributes:
        service: `api` or `dashboard`; `one port` for both in one process.
        count: Their number, without a day between two of them.
        last_at: The time of the last one (UTC).
        reason: How it ended, in a sentence.
    """

    service: str
    count: int
    last_at: AwareDatetime
    reason: str


class Restarts(BaseModel, frozen=True):
    """What `serve.py` started again. A record is kept for a day after the last crash."""

    services: tuple[ServiceRestarts, ...] = ()

    def recent(self, at: datetime) -> tuple[ServiceRestarts, ...]:
        """Returns the services that crashed in the day before a time."""
        return tuple(each for each in self.services if abs(at - each.last_at) < RESTARTS_SHOWN)

    def add(self, service: str, reason: str, at: datetime) -> Restarts:
        """Records a crash."""
        others = tuple(each for each in self.recent(at) if each.service != service)
        count = sum(each.count for each in self.recent(at) if each.service == service)
        return Restarts(
            services=(*others, ServiceRestarts(service=service, count=count + 1, last_at=at, reason=reason))
        )


class FeedUses(BaseModel, frozen=True):
    """When feeds were read last.

    Attributes:
        last: The times (UTC), by the digests of the feeds.
    """

    last: dict[str, AwareDatetime] = {}

    def with_uses(self, noted: Mapping[str, datetime], feeds: Collection[str]) -> FeedUses:
        """Records uses.

        Args:
            noted: When feeds were read, by their digests.
            feeds: The digests of all feeds; others are left out.
        """
        known = {digest: at for digest, at in self.last.items() if digest in feeds}
        newer = {digest: max(at, known.get(digest, at)) for digest, at in noted.items() if digest in feeds}
        return FeedUses(last=known | newer)


class FailurePicture(BaseModel, frozen=True):
    """The screenshot of the newest failed login, for the hosts that did not run the sync.

    Attributes:
        run: The id of the sync; empty if there is none.
        at: When the sync ended (UTC).
        png: The image.
    """

    run: str = ""
    at: AwareDatetime | None = None
    png: Base64Bytes = b""

    def of(self, run: str, at: datetime) -> bytes | None:
        """Returns the image for a sync; None if it belongs to another one, or is more than seven days old.

        Args:
            run: The id of the sync.
            at: The time now (UTC).
        """
        return self.png if self.run == run and self.at and at - self.at < PICTURE_KEPT else None


SETUP = Document("setup", Setup)
READING = Document("reading", StoredReading)
API_KEYS = Document("clients", ApiKeys, secret=True)
RESTARTS = Document("restarts", Restarts)
FEED_USES = Document("feed_uses", FeedUses)
FAILURE_PICTURE = Document("failure_picture", FailurePicture)
VIEWS = Document("views", SavedViews)
PLAN = Document("plan", Plan)
DOCUMENTS: tuple[Document[Any], ...] = (SETUP, READING, API_KEYS, VIEWS, PLAN)
