"""How an answer is written: JSON as the contract prints it, and the three forms of a time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.responses import JSONResponse


def dumps(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


class Answer(JSONResponse):
    """A JSON body with a space after commas and colons."""

    def render(self, content: Any) -> bytes:
        return dumps(content)


def ctime(at: datetime) -> str:
    """C's ctime form in UTC, `Sun Dec 29 10:25:00 2025`: what `last_updated` and `timestamp` have always been."""
    return time.asctime(at.astimezone(UTC).timetuple())


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, whole seconds: `2025-12-29T10:25:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(at: datetime | None) -> str | None:
    return iso(at) if at else None


def http_date(at: datetime) -> str:
    """The form of `Last-Modified` (RFC 9110)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)
