"""Bodies of `/status`, `/health` and `/ready`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema

from api.contract.response_models import (
    AT,
    CTIME,
    Body,
    ChangeCounts,
    CheckedAt,
    Count,
    Ctime,
    ErrorDetail,
    Generation,
    Iso,
    Progress,
    Share,
    VerifiedAt,
    key,
)
from cache.storage import documents, records


class Sync(Body):
    """How the last sync went."""

    result: str = key("published")
    started_at: Iso = key(AT)
    finished_at: Iso | None = key(AT)
    seconds: Annotated[float, Field(ge=0)] | None = key(8.7)
    generation: Count | None = key(12)
    rows: Count | None = key(10000)
    changes: ChangeCounts | None
    error: ErrorDetail | None = key(None)

    @classmethod
    def of(cls, run: records.Run) -> Self:
        """A sync of the history."""
        return cls(
            result=run.outcome,
            started_at=run.started_at,
            finished_at=run.finished_at,
            seconds=round((run.finished_at - run.started_at).total_seconds(), 3) if run.finished_at else None,
            generation=run.generation,
            rows=run.rows,
            changes=ChangeCounts.of(run.changes) if run.changes else None,
            error=ErrorDetail.of(run.error) if run.error else None,
        )


class Worker(Body):
    """The process that runs syncs."""

    alive: bool = key(True)
    host: str | None = key("shop-1")


_CountByColumn = Annotated[
    dict[str, int],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}),
]


class FiguresStatus(Body):
    """Whether the figures can be trusted; `GET /checks` has the details."""

    ok: Share | None = key(0.9998, "The share of orders that add up; null where no check was made.")
    reading: Literal["confirmed", "open"] = key("confirmed", "Whether the data confirms what the columns mean.")
    failing: tuple[str, ...] = key((), "The checks that some orders do not agree with.")
    questions: Count = key(0, "Questions that the data leaves open.")


class ServiceRestarts(Body):
    """A service that crashed under `serve.py` and was started again."""

    service: str = key("dashboard", "`api` or `dashboard`; `one port` for both in one process.")
    count: Count = key(1, "How many times it was started again, without a day between two of them.")
    last_at: Iso = key(AT, "When it crashed last.")
    reason: str = key("It was ended by SIGKILL.")

    @classmethod
    def of(cls, restarts: documents.ServiceRestarts) -> Self:
        """A stored record."""
        return cls.model_validate(restarts, from_attributes=True)


class Status(Body):
    """State of the cache and of syncs."""

    api_status: Literal["online"]
    cache_exists: bool = key(True)
    cache_age_minutes: Count | None = key(45, "Since the last verification; null without a cache.")
    update_in_progress: bool = key(False, "Whether a sync runs or is about to.")
    timestamp: Ctime = key(CTIME, "Now, in UTC.")
    timestamp_iso: Iso = key(AT, "The same in ISO 8601.")
    generation: Count | None = key(12)
    rows: Count | None = key(10000)
    verified: bool | None = key(True)
    reason: str | None = key(None, "Why `verified` is false.")
    verified_at: VerifiedAt
    checked_at: CheckedAt
    last_updated: Ctime | None = key(CTIME, "When the rows were last verified to equal the table, in UTC.")
    last_updated_iso: Iso | None = key(AT, "The same in ISO 8601.")
    progress: Progress | None = key(None, "Of the sync that runs.")
    last_sync: Sync | None
    next_sync: Iso | None = key(AT, "When the next sync is due; null if none is planned.")
    worker: Worker
    cache_error: ErrorDetail | None = key(None, "Why the cache cannot be written.")
    misfits: _CountByColumn = key({}, "By column: values that do not fit the kind of the column.")
    zero_dates: _CountByColumn = key(
        {}, "By column: dates that do not exist or have no year from 1 to 9999 in UTC; they are null in rows."
    )
    figures: FiguresStatus | None
    restarts: tuple[ServiceRestarts, ...] = key([], "What crashed within the last day and was started again.")
    version: str = key("0.1.0")


class Health(Body):
    """The process answers."""

    status: Literal["healthy"]
    timestamp: Ctime = key(CTIME, "Now, in UTC.")
    timestamp_iso: Iso = key(AT, "The same in ISO 8601.")


class Ready(Body):
    """Fresh rows can be served."""

    status: Literal["ready"]
    generation: Generation
    timestamp_iso: Iso = key(AT, "Now.")


STATUS_BODIES = (Status, Health, Ready)  # and what they refer to
