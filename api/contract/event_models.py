"""Server-sent events: one Pydantic model each, as in response_models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import WithJsonSchema

from api.contract.response_models import (
    RUNNING,
    Body,
    ChangeCounts,
    CheckedAt,
    Count,
    Generation,
    LastUpdatedIso,
    Progress,
    RowItem,
    Rows,
    Verified,
    VerifiedAt,
    key,
)
from cache.storage.records import known
from cache.storage.snapshot import Head


class CachedEvent(Body):
    """At once."""

    type: Literal["cached"]
    payload: Rows


class RowsPayload(Body):
    """Some of the rows."""

    count: Count = key(1, "Number of rows in `data`.")
    data: tuple[RowItem, ...]


class RowsEvent(Body):
    """With `rows=chunked`: the rows of the `cached` or `updated` before, in several events."""

    type: Literal["rows"]
    payload: RowsPayload


class UpdatedEvent(Body):
    """When the refresh has completed."""

    type: Literal["updated"]
    payload: Rows


class QueuedEvent(Body, json_schema_serialization_defaults_required=True):
    """While the refresh waits for a sync."""

    type: Literal["progress"] = "progress"
    phase: Literal["queued"] = "queued"
    fraction: None = key(None)


class _ProgressType(Body):
    type: Literal["progress"]


class ProgressEvent(Progress, _ProgressType):
    """While a sync runs."""

    phase: Annotated[str, WithJsonSchema({"type": "string", "enum": list(RUNNING)})] = key("rows")


class ErrorEvent(Body, json_schema_serialization_defaults_required=True):
    """Instead of `updated`."""

    type: Literal["error"] = "error"
    message: str = key("No scheduler is alive.")
    code: str = key("no_worker")


class DoneEvent(Body, json_schema_serialization_defaults_required=True):
    """At the end, with an `id`."""

    type: Literal["done"] = "done"


class SnapshotEvent(Body):
    """When a generation was published or verified again."""

    type: Literal["snapshot"]
    generation: Generation
    rows: Count | None = key(10000)
    verified: Verified
    reason: str | None = key(None, "Why `verified` is false.")
    verified_at: VerifiedAt
    checked_at: CheckedAt
    last_updated_iso: LastUpdatedIso

    @classmethod
    def of(cls, head: Head, rows: int | None) -> Self:
        """The event of a generation."""
        return cls(
            type="snapshot",
            generation=head.generation,
            rows=rows,
            verified=head.verified,
            reason=head.reason,
            verified_at=known(head.verified_at),
            checked_at=known(head.checked_at),
            last_updated_iso=head.updated_at,
        )


class _ChangesType(Body):
    type: Literal["changes"]
    generation: Count = key(13)
    since: Count = key(12, "The generation before.")


class ChangesEvent(ChangeCounts, _ChangesType):
    """What a snapshot changed."""


EVENTS: Mapping[str, tuple[str, tuple[type[Body], ...]]] = {
    "StreamEvent": (
        "The JSON of a `data:` line of `/fetch-data?stream=true`.",
        (CachedEvent, RowsEvent, QueuedEvent, ProgressEvent, UpdatedEvent, ErrorEvent, DoneEvent),
    ),
    "FeedEvent": (
        "The JSON of a `data:` line of `/events`; `event:` gives the type as well.",
        (SnapshotEvent, ChangesEvent, ProgressEvent),
    ),
}
