"""What answers look like: a JSON Schema for each body, with an example that is put together from those of its keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from api.contract.sign_request import Wish
from cache.schema import Column, Kind
from cache.storage.records import TaskState

Schema = dict[str, Any]

AT, CTIME = "2025-12-29T10:25:00Z", "Mon Dec 29 10:25:00 2025"
PHASES = ("queued", "login", "table", "checksums", "rows", "publish")
OPTIONAL = "x-optional"  # a key that is not in every body


def key(type: str | Sequence[str], example: Any, says: str = "", **more: Any) -> Schema:
    """One key of a body."""
    named = {"description": says} if says else {}
    return {"type": type if isinstance(type, str) else list(type), **named, **more, "examples": [example]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def body(says: str, /, **keys: Schema) -> Schema:
    """A body with these keys. Others may come with later versions."""
    required = [name for name, schema in keys.items() if not schema.get(OPTIONAL)]
    shown = {name: {k: v for k, v in schema.items() if k != OPTIONAL} for name, schema in keys.items()}
    example = {name: schema["examples"][0] for name, schema in keys.items()}
    return {"type": "object", "description": says, "properties": shown, "required": required, "examples": [example]}


def or_null(schema: Schema, example: Any = None) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "examples": [example]}


def only(value: str) -> Schema:
    return {"const": value, "examples": [value]}


def _instant(says: str, nullable: bool = False) -> Schema:
    return key(("string", "null") if nullable else "string", AT, says, format="date-time")


def _ctime(says: str) -> Schema:
    return key("string", CTIME, says, pattern=r"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$")


def _count(example: int, says: str = "", nullable: bool = False) -> Schema:
    return key(("integer", "null") if nullable else "integer", example, says, minimum=0)


_FRESHNESS: Mapping[str, Schema] = {
    "last_updated": _ctime("When the rows were last verified to equal the table, in UTC: how old they are."),
    "last_updated_iso": _instant("The same in ISO 8601."),
    "generation": _count(12, "Number of the snapshot; it stays where a sync finds nothing changed."),
    "verified": key("boolean", True, "Whether the newest sync proved every row equal."),
    "reason": key(
        ("string", "null"), "2 ranges kept changing.", "Why not, where `verified` is false.", **{OPTIONAL: 1}
    ),
    "verified_at": _instant("When all rows were last proven equal.", nullable=True),
    "checked_at": _instant(
        "Later than `verified_at` where the newest and the lately changed rows alone were compared since.",
        nullable=True,
    ),
}
_CHANGES = body(
    "How many rows changed.", inserted=_count(3), updated=_count(8), deleted=_count(0)
)  # fmt: skip
_PROGRESS = body(
    "How far a sync is.",
    phase=key("string", "rows", enum=list(PHASES)),
    rows=_count(2000, "Rows that came so far."),
    total=_count(10000, "Of how many; 0 while that is not known."),
    bytes=_count(812345, "Bytes received."),
    fraction=key(("number", "null"), 0.2, "Of the phase; null where it is not known.", minimum=0, maximum=1),
)
_TROUBLE = body(
    "What failed, and what to do next.",
    code=key("string", "login_refused"),
    message=key("string", "phpMyAdmin refused the login."),
    advice=key("string", "Check PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD."),
    transient=key("boolean", False, "Whether it may succeed later by itself."),
)


def schemas(columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Schema]:
    """All bodies, by name. Parameters: `columns` of the rows, none where they are not to be told; those that are
    `hidden` hold no values."""
    row = _row(columns, hidden)
    rows = {"type": "array", "items": ref("Row"), "examples": [[row["examples"][0]]]}
    one = _key_of(row, columns)
    freshness = dict(_FRESHNESS)
    facet = {"value": "paid", "count": 8120}
    fetched = body(
        "Rows, and what is known of them.",
        status=only("success"),
        count=_count(1, "Rows in `data`."),
        **freshness,
        _info=key("string", "A refresh was requested and runs in the background.",
                  "What became of the refresh that `refresh=true` asked for.", **{OPTIONAL: 1}),
        columns={"type": "array", "items": ref("Column"), OPTIONAL: 1, "description": "With `metadata_only`.",
                 "examples": [[_COLUMN["examples"][0]]]},
        size={**_count(8123456, "With `metadata_only`: bytes of all rows."), OPTIONAL: 1},
        facets={"type": "object", "additionalProperties": {"type": "array", "items": ref("Facet")}, OPTIONAL: 1,
                "description": "With `facet`, by column: the most frequent values first.",
                "examples": [{"financial_status": [facet]}]},
        total_count=_count(1, "Rows that match, on all pages."),
        next=key(("string", "null"), None, "Send it as `after` for the page that follows; null on the last one."),
        data=rows,
    )  # fmt: skip
    return {
        "Rows": fetched,
        "Row": row,
        "Column": _COLUMN,
        "Facet": {**body("A value, and how many rows have it.", value={"examples": ["paid"]}, count=_count(8120))},
        "Changes": body(
            "Rows that changed since then.",
            status=only("success"),
            count=_count(2, "Rows in the three lists."),
            since=key("string", "12", "What was asked."),
            next=key("string", "14-8d1f03ab", "What to ask next."),
            more=key("boolean", False, "Whether to ask again at once."),
            **freshness,
            inserted=rows,
            updated={**rows, "examples": [[]]},
            deleted={"type": "array", "items": {"type": "object"}, "description": "The columns of the key of each.",
                     "examples": [[one]]},
        ),
        "Asked": body(
            "What became of a refresh.",
            status=key("string", "triggered", "`in_progress` while one runs: then another follows for this request.",
                       enum=["triggered", "in_progress"]),
            message=key("string", "A refresh was requested and runs in the background. Follow it at /tasks/5f2c."),
            task_id=key("string", "5f2c", "Follow it at /tasks/{id}."),
        ),
        "Task": body(
            "A refresh.",
            task_id=key("string", "5f2c"),
            status=key("string", "completed", enum=list(get_args(TaskState))),
            requested_at=_instant(""),
            finished_at=_instant("", nullable=True),
            progress=or_null(ref("Progress")),
            generation=_count(13, nullable=True),
            changes=or_null(ref("Counts"), _CHANGES["examples"][0]),
            error=or_null(ref("Trouble")),
        ),
        "Progress": _PROGRESS,
        "Counts": _CHANGES,
        "Trouble": _TROUBLE,
        "Status": _STATUS,
        "Sync": _SYNC,
        "Health": _HEALTH,
        "Ready": _READY,
        "Wish": {**Wish.model_json_schema(), "examples": [{"path": "/fetch-data?format=csv", "minutes": 10}]},
        "Signed": body(
            "An address that stands for the key.",
            status=only("success"),
            address=key("string", f"/fetch-data?format=csv&expires=1767004500&signature=default.{'7fQ' * 14}-"),
            expires_at=_instant("When it ends."),
        ),
        "Error": body(
            "What failed, and what to do next.",
            status=key("string", "error", "`pending` where nothing has been cached yet.", enum=["error", "pending"]),
            message=key("string", "Unauthorized access"),
            code=key("string", "unauthorized", "What programs read."),
            task_id=key("string", "5f2c", "Of the refresh that `wait` asked for.", **{OPTIONAL: 1}),
        ),
        "StreamEvent": _either(
            "The JSON of a `data:` line of `/fetch-data?stream=true`.",
            body("At once.", type=only("cached"), payload={**ref("Rows"), "examples": [fetched["examples"][0]]}),
            body("While the refresh runs; only `phase` and `fraction` while it is queued.", type=only("progress"),
                 **_PROGRESS["properties"]
                 | {name: {**_PROGRESS["properties"][name], OPTIONAL: 1} for name in ("rows", "total", "bytes")}),
            body("Once the refresh has completed.", type=only("updated"),
                 payload={**ref("Rows"), "examples": [fetched["examples"][0]]}),
            body("Instead of `updated`.", type=only("error"), message=key("string", "No scheduler is alive."),
                 code=key("string", "no_worker")),
            body("At the end.", type=only("done")),
        ),
        "FeedEvent": _either(
            "The JSON of a `data:` line of `/events`; `event:` says the type too.",
            body("A generation was published, or confirmed.", type=only("snapshot"), rows=_count(10000, nullable=True),
                 **{name: _FRESHNESS[name] for name in ("generation", "verified", "verified_at", "checked_at")},
                 reason=key(("string", "null"), None), last_updated_iso=_FRESHNESS["last_updated_iso"]),
            body("What it changed.", type=only("changes"), generation=_count(13),
                 since=_count(12, "The generation before."), **_CHANGES["properties"]),
            body("A sync under way.", type=only("progress"), **_PROGRESS["properties"]),
        ),
    }  # fmt: skip


def _either(says: str, *bodies: Schema) -> Schema:
    return {"description": says, "oneOf": list(bodies), "examples": [each["examples"][0] for each in bodies]}


_COLUMN = body(
    "A column of the table.",
    name=key("string", "total_price"),
    type=key("string", "decimal(12,2)", "As the database names it."),
    kind=key("string", "decimal", "What its values become.", enum=list(get_args(Kind))),
    nullable=key("boolean", False),
    key=_count(0, "Place in the key, from 1; 0 where it is none of it."),
)
_SYNC = body(
    "How the last sync went.",
    result=key("string", "published"),
    started_at=_instant(""),
    finished_at=_instant("", nullable=True),
    seconds=key(("number", "null"), 8.7, minimum=0),
    generation=_count(12, nullable=True),
    rows=_count(10000, nullable=True),
    changes=or_null(ref("Counts"), _CHANGES["examples"][0]),
    error=or_null(ref("Trouble")),
)
_COUNTED = key("object", {}, additionalProperties={"type": "integer", "minimum": 1})
_STATUS = body(
    "How things stand.",
    api_status=only("online"),
    cache_exists=key("boolean", True),
    cache_age_minutes=_count(45, "Null without a cache.", nullable=True),
    update_in_progress=key("boolean", False, "While a sync runs, or is about to."),
    timestamp=_ctime("Now, in UTC."),
    timestamp_iso=_instant(""),
    generation=_count(12, nullable=True),
    rows=_count(10000, nullable=True),
    verified=key(("boolean", "null"), True),
    reason=key(("string", "null"), None, "Why it is not verified."),
    verified_at=_instant("", nullable=True),
    checked_at=_instant("", nullable=True),
    last_updated={**_FRESHNESS["last_updated"], "type": ["string", "null"]},
    last_updated_iso=_instant("", nullable=True),
    progress=or_null(ref("Progress")),
    last_sync=or_null(ref("Sync"), _SYNC["examples"][0]),
    next_sync=_instant("When the next sync is due; null where none is planned.", nullable=True),
    worker=body("Who runs syncs.", alive=key("boolean", True), host=key(("string", "null"), "shop-1")),
    cache_error=or_null(ref("Trouble")),
    misfits={**_COUNTED, "description": "By column: values that do not fit what it was found to hold."},
    zero_dates={**_COUNTED, "description": "By column: dates that no calendar has; they are null."},
    version=key("string", "0.1.0"),
)

_HEALTH = body("The process answers.", status=only("healthy"), timestamp=_ctime(""), timestamp_iso=_instant(""))
_READY = body("Fresh rows can be served.", status=only("ready"), generation=_count(12), timestamp_iso=_instant(""))

# How values of a kind are written, and an example. Decimals are strings, so that no digit is lost.
_CELLS: Mapping[Kind, tuple[Schema, Any]] = {
    "integer": ({"type": ["integer", "string"]}, 5),
    "unsigned": ({"type": ["integer", "string"]}, 1001),
    "boolean": ({"type": ["boolean", "integer"]}, False),
    "decimal": ({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, "598.94"),
    "float": ({"type": "number"}, 0.5),
    "double": ({"type": "number"}, 0.5),
    "date": ({"type": "string", "format": "date"}, "2025-12-29"),
    "datetime": ({"type": "string", "format": "date-time"}, "2025-12-29T09:12:44Z"),
    "timestamp": ({"type": "string", "format": "date-time"}, "2025-12-29T09:12:44Z"),
    "text": ({"type": "string"}, "paid"),
    "json": ({"type": ["object", "array", "string"]}, [{"title": "Mug"}]),
    "bytes": ({"type": "string", "contentEncoding": "base64"}, "3q2+7w=="),
}
_ROW = {"id": 1001, "total_price": "598.94", "created_at": "2025-12-29T09:12:44Z", "line_items": [{"title": "Mug"}]}


def _row(columns: Sequence[Column], hidden: Collection[str]) -> Schema:
    says = "A row, by the names of its columns."
    if not columns:
        return {"type": "object", "description": f"{says} With a key, this document lists them.", "examples": [_ROW]}
    cells: dict[str, Schema] = {}
    for column in columns:
        schema, example = _CELLS[column.kind]
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        null = ["null"] if column.nullable or column.name in hidden else []
        cells[column.name] = {**schema, "type": [*kinds, *null], "description": column.type, "examples": [example]}
    example = {name: cell["examples"][0] for name, cell in cells.items()}
    return {"type": "object", "description": says, "properties": cells, "additionalProperties": False,
            "examples": [example]}  # fmt: skip


def _key_of(row: Schema, columns: Sequence[Column]) -> dict[str, Any]:
    names = [column.name for column in columns if column.key] or ["id"]
    return {name: row["examples"][0][name] for name in names}
