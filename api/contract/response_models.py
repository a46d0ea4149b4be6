"""Response bodies: one Pydantic model each. Responses are made from these models, and so is OpenAPI.

A row has the columns of the table, so its schema is made from them (`row_schema`). `/fetch-data` and `/changes` write
their bodies around rows that are JSON already; tests hold these bodies to the models.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from api.contract.json_response import ctime, iso
from cache import schema
from cache.errors import Trouble
from cache.machine.logs import REQUEST_ID
from cache.storage import records
from cache.storage.snapshot import ChangeCounts as StoredCounts
from cache.storage.snapshot import Head

Schema = dict[str, Any]

INSTANT = datetime(2025, 12, 29, 10, 25, tzinfo=UTC)  # the time of all examples
TASK_ID = "5f2c"
EXAMPLE_REQUEST_ID = "9c1e3f2a4b5d0000002a"
_FOLLOW = f"A refresh was requested and runs in the background. Follow it at /tasks/{TASK_ID}."
REFS = "#/components/schemas/"
RUNNING: tuple[str, ...] = get_args(records.Progress.model_fields["phase"].annotation)
PHASES: tuple[str, ...] = ("queued", *RUNNING)


def _is_none(value: object) -> bool:
    return value is None


def key(example: Any, description: str | None = None, **constraints: Any) -> Any:
    """A key of a body, with an example of its value."""
    return Field(description=description, examples=[example], **constraints)


def _optional(example: Any, description: str, **more: Any) -> Any:
    """A key that is not in every body."""
    return Field(default=None, exclude_if=_is_none, description=description, examples=[example], **more)


Absent = SkipJsonSchema[None]
Iso = Annotated[
    datetime, PlainSerializer(iso, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
Ctime = Annotated[
    datetime,
    PlainSerializer(ctime, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$"}),
]
AT, CTIME = iso(INSTANT), ctime(INSTANT)

LastUpdated = Annotated[Ctime, key(CTIME, "When the rows were last verified to equal the table, in UTC.")]
LastUpdatedIso = Annotated[Iso, key(AT, "The same in ISO 8601.")]
Generation = Annotated[int, key(12, "Number of the snapshot. A sync that finds no change keeps it.", ge=0)]
Verified = Annotated[bool, key(True, "Whether the newest sync proved that all rows equal the table.")]
VerifiedAt = Annotated[Iso | None, key(AT, "When all rows were last proven equal.")]
CheckedAt = Annotated[
    Iso | None,
    key(AT, "When rows were last compared. Later than `verified_at` if only new and changed rows were."),
]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
RowItem = Annotated[dict[str, Any], WithJsonSchema({"$ref": f"{REFS}Row"})]


class Body(BaseModel):
    """Base of the response bodies. Later versions may add keys."""

    model_config = ConfigDict(frozen=True)


class Freshness(Body):
    """How old the rows are, and how well that is known."""

    last_updated: LastUpdated
    last_updated_iso: LastUpdatedIso
    generation: Generation
    verified: Verified
    reason: str | Absent = _optional("2 ranges kept changing.", "Why `verified` is false.")
    verified_at: VerifiedAt
    checked_at: CheckedAt

    @classmethod
    def of(cls, head: Head) -> Self:
        """The freshness of a generation."""
        return cls(
            last_updated=head.updated_at,
            last_updated_iso=head.updated_at,
            generation=head.generation,
            verified=head.verified,
            reason=None if head.verified else head.reason,
            verified_at=records.known(head.verified_at),
            checked_at=records.known(head.checked_at),
        )


class Column(Body):
    """A column of the table."""

    name: str = key("total_price")
    type: str = key("decimal(12,2)", "As the database declares it.")
    kind: schema.Kind = key("decimal", "What its values become.")
    nullable: bool = key(False, "Whether it may be null.")
    key: Count = key(0, "Its place in the primary key, from 1; 0 if it is not part of it.")


class Facet(Body):
    """A value, and how many rows have it."""

    value: Any = key("paid", "The value.")
    count: Count = key(8120, "Number of rows.")


class RowsHead(Body):
    """How the body of rows begins."""

    status: Literal["success"]
    count: Count = key(1, "Number of rows in `data`.")


class PageInfo(Body):
    """Which rows `data` has, counted from 1."""

    start_row: Count | None = key(1, "The first row; null if there is none.")
    end_row: Count | None = key(1, "The last row, included.")
    has_next: bool = key(False, "Whether more rows follow.")


class Rows(Freshness, RowsHead):
    """Rows, and how fresh they are."""

    info: str | Absent = _optional(
        "A refresh was requested and runs in the background.",
        "What became of the refresh that `refresh=true` requested.",
        serialization_alias="_info",
    )
    columns: tuple[Column, ...] | Absent = Field(
        default=None, exclude_if=_is_none, description="With `metadata_only`: the columns."
    )
    size: Count | Absent = _optional(8123456, "With `metadata_only`: bytes of all rows.")
    facets: dict[str, tuple[Facet, ...]] | Absent = _optional(
        {"financial_status": [{"value": "paid", "count": 8120}]},
        "With `facet`: values by column, the most frequent first.",
    )
    total_count: Count = key(1, "Number of rows that match, on all pages.")
    next: str | None = key(None, "The `after` of the next page; null on the last one.")
    record_count: Count = key(1, "The same as `count`.")
    returned_count: Count = key(1, "The same as `count`.")
    page_info: PageInfo
    data: tuple[RowItem, ...]


class ChangesHead(Body):
    """How the body of changes begins."""

    status: Literal["success"]
    count: Count = key(2, "Number of rows in the three lists.")
    since: str = key("12", "The `since` of the request.")
    next: str = key("14-8d1f03ab", "The `since` of the next request.")
    more: bool = key(False, "Whether to send the next request at once.")


class Changes(Freshness, ChangesHead):
    """Rows that changed."""

    inserted: tuple[RowItem, ...]
    updated: tuple[RowItem, ...] = key([])
    deleted: tuple[dict[str, Any], ...] = Field(description="The key columns of each row.")


class RefreshResult(Body):
    """What became of a request to refresh."""

    status: Literal["triggered", "in_progress"] = key(
        "triggered",
        "`in_progress` while a sync runs or is about to start: `message` says which one answers the request.",
    )
    message: str = key(_FOLLOW)
    task_id: str = key(TASK_ID, "Follow the refresh at /tasks/{id}.")


class Progress(Body):
    """How far a sync is."""

    phase: Annotated[str, WithJsonSchema({"type": "string", "enum": list(PHASES)})] = key("rows")
    rows: Count = key(2000, "Rows received so far.")
    total: Count = key(10000, "Rows to receive; 0 while that is unknown.")
    bytes: Count = key(812345, "Bytes received so far.")
    fraction: float | None = key(0.2, "Fraction of the phase; null while that is unknown.", ge=0, le=1)

    @classmethod
    def of(cls, run: records.Run, **more: Any) -> Self:
        """The progress of a sync. Subclasses have `more` keys."""
        at = run.progress
        return cls(phase=at.phase, rows=at.done, total=at.total, bytes=at.bytes, fraction=at.fraction, **more)


class ChangeCounts(Body):
    """How many rows changed."""

    inserted: Count = key(3)
    updated: Count = key(8)
    deleted: Count = key(0)

    @classmethod
    def of(cls, changes: StoredCounts, **more: Any) -> Self:
        """The counts of a sync. Subclasses have `more` keys."""
        return cls(inserted=changes.inserted, updated=changes.updated, deleted=changes.deleted, **more)


class ErrorDetail(Body):
    """What failed, and what to do next."""

    code: str = key("login_refused")
    message: str = key("phpMyAdmin refused the login.")
    advice: str = key("Check PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD.")
    transient: bool = key(False, "Whether a retry may succeed.")

    @classmethod
    def of(cls, trouble: Trouble) -> Self:
        """A stored error."""
        return cls.model_validate(trouble, from_attributes=True)


class Task(Body):
    """A refresh."""

    task_id: str = key(TASK_ID)
    status: records.TaskState = key("completed")
    requested_at: Iso = key(AT)
    finished_at: Iso | None = key(AT)
    progress: Progress | None = key(None)
    generation: Count | None = key(13)
    changes: ChangeCounts | None
    error: ErrorDetail | None = key(None)


class SignedUrl(Body):
    """A signed address."""

    status: Literal["success"]
    address: str = key(
        f"/fetch-data?format=csv&expires=1767004500&signature=default.{'7fQ' * 14}-", "From the path on."
    )
    expires_at: Iso = key(AT, "When it ends.")


class Error(Body):
    """What failed, and what to do next."""

    status: Literal["error", "pending"] = key("error", "`pending` while nothing is cached yet.")
    message: str = key("Unauthorized access")
    code: str = key("unauthorized", "For programs.")
    task_id: str | Absent = _optional(TASK_ID, "The refresh that `wait` requested.")
    request_id: str | Absent = Field(
        default_factory=lambda: REQUEST_ID.get(),  # noqa: PLW0108  its overloads confuse mypy
        exclude_if=_is_none,
        description="The id of the request, as in `X-Request-ID` and in the log.",
        examples=[EXAMPLE_REQUEST_ID],
    )


PROBLEM_TYPE = "application/problem+json"


class Problem(Body):
    """An error in the form of RFC 9457."""

    type: Literal["about:blank"] = "about:blank"
    title: str = key("Unauthorized", "What the HTTP status means.")
    status: int = key(401, "The HTTP status.")
    detail: str = key("Unauthorized access", "What failed, and what to do next.")
    code: str = key("unauthorized", "For programs.")
    task_id: str | Absent = _optional(TASK_ID, "The refresh that `wait` requested.")
    request_id: str | Absent = _optional(EXAMPLE_REQUEST_ID, "As in `X-Request-ID` and in the log.")

    @classmethod
    def of(cls, status: int, error: Error) -> Self:
        """The same error."""
        title = HTTPStatus(status).phrase
        same = {name: getattr(error, name) for name in ("code", "task_id", "request_id")}
        return cls(title=title, status=status, detail=error.message, **same)


BODIES = (Rows, Changes, RefreshResult, Task, SignedUrl, Error, Problem)  # and what they refer to


def ref(name: str) -> Schema:
    """A reference to the body of that name."""
    return {"$ref": f"{REFS}{name}"}
