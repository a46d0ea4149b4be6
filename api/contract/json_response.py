"""How a response is written: JSON as the contract prints it, and the three forms of a time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response


def dumps(body: Any) -> bytes:
    """A body as JSON, with a space after commas and colons."""
    return json.dumps(body, ensure_ascii=False).encode()


def dump_model(model: BaseModel) -> bytes:
    """A response model as JSON."""
    return dumps(model.model_dump(mode="json", by_alias=True))


class JsonResponse(Response):
    """A response whose body is a response model."""

    media_type = "application/json"

    def __init__(self, body: BaseModel, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(dump_model(body), status_code, headers)


def ctime(at: datetime) -> str:
    """The form of C's `ctime` in UTC, `Sun Dec 29 10:25:00 2025`: `last_updated` and `timestamp` keep it."""
    return time.asctime(at.astimezone(UTC).timetuple())


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, whole seconds: `2025-12-29T10:25:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(at: datetime) -> str:
    """The form of `Last-Modified` (RFC 9110)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)
