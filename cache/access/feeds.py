"""Feeds: addresses for programs that can send no key, such as a spreadsheet.

    /feeds/Zk3…

A feed stands for one path and query. It is good until it is revoked, or for some days. The token is 256 random bits,
and only its SHA-256 is stored, as that of a key. What is hidden when the feed is made stays hidden, whatever the
settings say later.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, Field

from cache.access.masking import NOTHING_HIDDEN, Mask


class Feed(BaseModel, frozen=True):
    """A feed.

    Attributes:
        name: How people and logs call it.
        digest: SHA-256 of its token, in hexadecimal.
        path: The path that it stands for.
        query: The query string that it stands for, without `?`.
        masked: Whether personal data is hidden from its readers.
        mask: What was hidden when it was made.
        created_at: When it was made (UTC).
        expires_at: When it ends (UTC); None for never.
    """

    name: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    path: str
    query: str
    masked: bool = True
    mask: Mask = NOTHING_HIDDEN
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
