"""Every operation of the API, in one table. Routes, access log and metrics, OpenAPI and `/docs` are made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from api.contract.operation_codes import (
    CHANGES_CODES,
    COMPUTED_CODES,
    FEED_CODES,
    FETCH_CODES,
    FIGURE_CODES,
    KEY_CODES,
    SIGN_CODES,
    UNWRITABLE_CODES,
)
from api.contract.queries.changes_query import PARAMETERS as CHANGES_PARAMETERS
from api.contract.queries.feed_query import PATH as FEED_PATH
from api.contract.queries.feed_query import TOKEN
from api.contract.queries.fetch_query import JSON_LINES, PARAMETERS, PATH
from api.contract.queries.figures_query import EVENTS_PARAMETERS as FIGURE_EVENTS_PARAMETERS
from api.contract.queries.figures_query import EVENTS_PATH as FIGURE_EVENTS_PATH
from api.contract.queries.figures_query import PARAMETERS as FIGURES_PARAMETERS
from api.contract.queries.figures_query import PATH as FIGURES_PATH
from api.contract.queries.parameters import Parameter
from api.contract.queries.sign_request import SIGNABLE
from api.contract.response_models import TASK_ID, Schema, ref
from cache.access.api_keys import Scope
from cache.access.signed_urls import EXPIRES, SIGNATURE
from cache.export.row_format import MEDIA_TYPES

VIEW_HEADERS = ("ETag", "Last-Modified", "X-Generation", "X-Verified")
_PAGE_HEADERS = (*VIEW_HEADERS, "Link")
LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")
FORMAT_HEADERS = ("X-Total-Count", "X-Next", "Content-Disposition", "Accept-Ranges")
SECURITY_SCHEMES: Mapping[str, Schema] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The same key as the password, with any user name."},
    "signed": {
        "type": "apiKey",
        "in": "query",
        "name": SIGNATURE,
        "description": f"With `{EXPIRES}`: an address from `POST /sign`, valid for one path and query, for minutes.",
    },
}
_TASK = Parameter(
    "id",
    str,
    "the task_id that POST /refresh gave",
    {"type": "string", "minLength": 1},
    "Which refresh.",
    TASK_ID,
    required=True,
)


@dataclass(frozen=True)
class Operation:
    """An operation: what it takes, what it answers, and how it may fail.

    Attributes:
        id: Its name in OpenAPI. The application has a handler for each.
        method: `get` or `post`. HEAD is served wherever GET is.
        path: With parameters in braces.
        summary: What it does.
        bodies: Its body by media type.
        status: The status of success.
        access: The scope that the key needs; `any` key, or `none`.
        codes: Its error codes beside those of every operation.
        more: Other statuses of success, with a description.
        headers: Its response headers.
        parameters: Its parameters.
        request_headers: Its request headers, each with a description and an example.
        request_body: The name of the body that it takes.
        links: Operations that take values of the response, with their parameters.
        filters: What else are parameters: the `columns` of the table, or `dimensions` of figures.
    """

    id: str
    method: Literal["get", "post"]
    path: str
    summary: str
    bodies: Mapping[str, Schema]
    status: int = 200
    access: Scope | Literal["any", "none"] = "any"
    codes: Sequence[str] = ("parameter_invalid",)
    more: Mapping[int, str] = field(default_factory=dict)
    headers: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    request_headers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    request_body: str | None = None
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    filters: Literal["columns", "dimensions"] | None = None

    @property
    def security(self) -> Sequence[str]:
        """The names of SECURITY_SCHEMES that it accepts; none: it needs no key."""
        if self.access == "none":
            return ()
        return tuple(SECURITY_SCHEMES) if self.path in SIGNABLE else ("key", "bearer", "basic")


def _events(name: str) -> Mapping[str, Schema]:
    """Server-sent events, described as https://spec.openapis.org/oas/v3.2.0.html describes one."""
    data = {"type": "string", "contentMediaType": MEDIA_TYPES["json"], "contentSchema": ref(name)}
    keys = {"data": data, "event": TEXT, "id": TEXT, "retry": {"type": "integer"}}
    return {"text/event-stream": {"type": "object", "properties": keys}}


def json_of(name: str) -> Mapping[str, Schema]:
    """A JSON body of that name."""
    return {MEDIA_TYPES["json"]: ref(name)}


TEXT: Schema = {"type": "string"}
_BINARY: Schema = {}
_PAGE: Mapping[str, Schema] = {"text/html": TEXT}
_FILES: Mapping[str, Schema] = {
    MEDIA_TYPES["ndjson"]: TEXT,
    JSON_LINES: TEXT,
    MEDIA_TYPES["csv"]: TEXT,
    MEDIA_TYPES["xlsx"]: _BINARY,
    MEDIA_TYPES["parquet"]: _BINARY,
    MEDIA_TYPES["sqlite"]: _BINARY,
}
_ROWS: Mapping[str, Schema] = {MEDIA_TYPES["json"]: ref("Rows"), **_FILES, **_events("StreamEvent")}
_NOT_MODIFIED = {304: "The client has this response: its tag is in `If-None-Match`."}
_PARTIAL = {206: "The byte ranges of a file that `Range` asks for."}
_RANGE = {"Range": ("Byte ranges of a file.", "bytes=0-99")}
_IF_NONE_MATCH = {"If-None-Match": ("Tags of responses that the client has.", '"12-9f3c1d20a1b2c3d4"')}
_LAST_EVENT_ID = {"Last-Event-ID": ("The `id` of the last event received.", "12-1767003900000")}
_STREAM_DONE = {204: "The client has the whole stream: `Last-Event-ID` is that of its event `done`."}

OPERATIONS = (
    Operation(
        "getRows",
        "get",
        PATH,
        "Returns rows: all of them, or those that the parameters select.",
        _ROWS,
        access="read",
        codes=FETCH_CODES,
        more=_PARTIAL | _NOT_MODIFIED | _STREAM_DONE,
        headers=_PAGE_HEADERS,
        parameters=PARAMETERS,
        request_headers=_IF_NONE_MATCH | _RANGE | _LAST_EVENT_ID,
        links={"getChanges": {"since": "$response.header.X-Generation"}},
        filters="columns",
    ),
    Operation(
        "getChanges",
        "get",
        "/changes",
        "Returns the rows that were inserted, updated or deleted since a generation.",
        json_of("Changes"),
        access="read",
        codes=CHANGES_CODES,
        more=_NOT_MODIFIED,
        headers=_PAGE_HEADERS,
        parameters=CHANGES_PARAMETERS,
        request_headers=_IF_NONE_MATCH,
        links={"getChanges": {"since": "$response.body#/next"}},
    ),
    Operation(
        "getFigures",
        "get",
        FIGURES_PATH,
        "Returns figures such as net sales, by dimensions and over time, as the dashboard shows them.",
        {**_FILES, MEDIA_TYPES["json"]: ref("Figures")},
        access="read",
        codes=COMPUTED_CODES,
        more=_NOT_MODIFIED,
        headers=_PAGE_HEADERS,
        parameters=FIGURES_PARAMETERS,
        request_headers=_IF_NONE_MATCH,
        filters="dimensions",
    ),
    Operation(
        "getFigureEvents",
        "get",
        FIGURE_EVENTS_PATH,
        "Returns the sales, returns, orders or customers that sum to a figure, in order of time.",
        {**_FILES, MEDIA_TYPES["json"]: ref("FigureEvents")},
        access="read",
        codes=COMPUTED_CODES,
        more=_NOT_MODIFIED,
        headers=_PAGE_HEADERS,
        parameters=FIGURE_EVENTS_PARAMETERS,
        request_headers=_IF_NONE_MATCH,
        filters="dimensions",
    ),
    Operation(
        "getFigureMetrics",
        "get",
        f"{FIGURES_PATH}/metrics",
        "Lists the metrics and dimensions of figures, and what this table cannot tell.",
        json_of("FigureMetrics"),
        access="read",
        codes=(*FIGURE_CODES, "query_refused"),
        more=_NOT_MODIFIED,
        headers=VIEW_HEADERS,
        request_headers=_IF_NONE_MATCH,
    ),
    Operation(
        "getChecks",
        "get",
        "/checks",
        "Says whether the orders add up: what each check found, and the keys of the first orders that fail.",
        json_of("Checks"),
        access="read",
        codes=("parameter_invalid", "forbidden", "no_snapshot", "warming_up", "cache_format"),
        more=_NOT_MODIFIED,
        headers=VIEW_HEADERS,
        request_headers=_IF_NONE_MATCH,
    ),
    Operation(
        "getFeed",
        "get",
        FEED_PATH,
        "Returns what a feed stands for: one path and query, in its format. The address itself is the secret.",
        {**_FILES, MEDIA_TYPES["json"]: {"anyOf": [ref("Rows"), ref("Figures"), ref("FigureEvents")]}},
        access="none",
        codes=FEED_CODES,
        more=_PARTIAL | _NOT_MODIFIED,
        headers=(*VIEW_HEADERS, *FORMAT_HEADERS, *LIMIT_HEADERS),
        parameters=(TOKEN,),
        request_headers=_IF_NONE_MATCH | _RANGE,
    ),
    Operation(
        "getEvents",
        "get",
        "/events",
        "Sends events about syncs and new snapshots, without end.",
        _events("FeedEvent"),
        request_headers=_LAST_EVENT_ID,
    ),
    Operation(
        "postRefresh",
        "post",
        "/refresh",
        "Requests a sync that begins after this moment.",
        json_of("RefreshResult"),
        202,
        access="refresh",
        codes=("parameter_invalid", "forbidden", "no_worker", *UNWRITABLE_CODES),
        headers=("Location",),
        links={"getTask": {"id": "$response.body#/task_id"}},
    ),
    Operation(
        "getTask",
        "get",
        "/tasks/{id}",
        "Returns the state of a refresh.",
        json_of("Task"),
        codes=("parameter_invalid", "unknown_task", *UNWRITABLE_CODES),
        parameters=(_TASK,),
    ),
    Operation(
        "postSign",
        "post",
        "/sign",
        "Signs an address, which then works without a key for some minutes.",
        json_of("SignedUrl"),
        access="read",
        codes=SIGN_CODES,
        request_body="SignRequest",
    ),
    Operation(
        "getStatus",
        "get",
        "/status",
        "Returns the age of the rows, the running sync and the result of the last one.",
        json_of("Status"),
        codes=(),
    ),
    Operation(
        "getMetrics",
        "get",
        "/metrics",
        "Returns metrics of cache, syncs and responses for Prometheus.",
        {"text/plain": TEXT},
        access="read",
        codes=("parameter_invalid", "forbidden"),
    ),
    Operation(
        "getHealth", "get", "/health", "Says that the process answers.", json_of("Health"), access="none", codes=()
    ),
    Operation(
        "getReady",
        "get",
        "/ready",
        "Says whether fresh rows can be served.",
        json_of("Ready"),
        access="none",
        codes=(
            "no_snapshot",
            "warming_up",
            "cache_format",
            "too_old",
            "no_worker",
            *UNWRITABLE_CODES,
        ),
    ),
    Operation(
        "getOpenapi",
        "get",
        "/openapi.json",
        "Returns this description. With a key, it includes the columns.",
        {MEDIA_TYPES["json"]: {"type": "object"}},
        access="none",
        codes=("parameter_invalid", *KEY_CODES),
        more=_NOT_MODIFIED,
        headers=("ETag",),
        request_headers=_IF_NONE_MATCH,
    ),
    Operation("getDocs", "get", "/docs", "Shows this description as a page.", _PAGE, access="none", codes=()),
    Operation("getDemo", "get", "/demo", "Shows a page to try the API.", _PAGE, access="none", codes=()),
    Operation("getRoot", "get", "/", "Redirects to the demo.", {}, 307, access="none", codes=(), headers=("Location",)),
)
_PATHS = frozenset(operation.path for operation in OPERATIONS)
_PREFIXES = tuple((path.partition("{")[0], path) for path in sorted(_PATHS) if "{" in path)


_OTHER = "(other)"


def is_operation(path: str) -> bool:
    """Whether a path is that of an operation."""
    return path_label(path) != _OTHER


def path_label(path: str) -> str:
    """The path of a request as logs and metrics show it.

    Values in a path are replaced by their names, and paths without an operation by `(other)`: a client may have put
    anything there.
    """
    if path in _PATHS:
        return path
    return next((template for prefix, template in _PREFIXES if path.startswith(prefix)), _OTHER)
