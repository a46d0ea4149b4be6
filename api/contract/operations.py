"""Every operation of the API: what it takes, what it answers, and how it may be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api.contract.changes_query import PARAMETERS as CHANGES_PARAMETERS
from api.contract.fetch_query import MEDIA_TYPES, PARAMETERS, PATH
from api.contract.parameters import Parameter
from api.contract.response_models import Schema, ref
from cache.access.signed_urls import EXPIRES, SIGNATURE

OF_VIEW = ("ETag", "Last-Modified", "X-Generation", "X-Verified")
OF_FORMATS = ("X-Total-Count", "X-Next", "Content-Disposition", "Accept-Ranges")
SECURITY: Mapping[str, Schema] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "signed": {
        "type": "apiKey", "in": "query", "name": SIGNATURE,
        "description": f"With `{EXPIRES}`: an address made by `POST /sign`, good for one path and query, for minutes.",
    },
}  # fmt: skip
_TASK_ID = Parameter(
    "id", str, "the task_id that POST /refresh gave", {"type": "string", "minLength": 1},
    "Which refresh.", "5f2c", required=True,
)  # fmt: skip

ANYONE = ("bad_request", "client_gone", "too_slow", "body_too_large", "head_too_large", "internal_error")
KEYED = ("unauthorized", "rate_limited")
SIGNED = ("signature_invalid", "signature_expired")
_FETCH = (
    "parameter_invalid", "bad_filter", "query_refused", "too_many_rows", "forbidden", "column_masked",
    "unknown_generation", "no_snapshot", "no_worker", "snapshot_damaged", "cache_format", "cache_unwritable",
    "query_timeout", "scan_failed", "scan_busy", "shutting_down", "timeout",
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """What an address answers.

    `bodies` are those of `status`, by media type; `codes` the errors, beside those of every address; `security` tells
    what may stand for the key (none: no key is needed); `links` are operations that take values of the body, by their
    parameters.
    """

    method: str
    path: str
    id: str
    says: str
    bodies: Mapping[str, Schema]
    status: int = 200
    more: Mapping[int, str] = field(default_factory=dict)
    headers: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    asked_headers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    wish: str | None = None
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    codes: Sequence[str] = ("parameter_invalid",)
    security: Sequence[str] = ("key", "bearer")
    columns: bool = False


def _events(name: str) -> Mapping[str, Schema]:
    """Server-sent events, described as https://spec.openapis.org/oas/v3.2.0.html describes one."""
    data = {"type": "string", "contentMediaType": MEDIA_TYPES["json"], "contentSchema": ref(name)}
    keys = {"data": data, "event": TEXT, "id": TEXT, "retry": {"type": "integer"}}
    return {"text/event-stream": {"type": "object", "properties": keys}}


TEXT: Schema = {"type": "string"}
_BINARY: Schema = {}
_ROWS: Mapping[str, Schema] = {
    MEDIA_TYPES["json"]: ref("Rows"),
    MEDIA_TYPES["ndjson"]: TEXT,
    MEDIA_TYPES["csv"]: TEXT,
    MEDIA_TYPES["xlsx"]: _BINARY,
    MEDIA_TYPES["parquet"]: _BINARY,
    **_events("StreamEvent"),
}
_UNCHANGED = {304: "The client has this answer: its tag is among those of `If-None-Match`."}
_PARTS = {206: "The parts of an Excel or Parquet file that `Range` asks for."}
_RANGE = {"Range": ("Parts of an Excel or Parquet file.", "bytes=0-99")}
_TAGS = {"If-None-Match": ("Tags of answers that the client has.", '"12-9f3c1d20a1b2c3d4"')}


def json_of(name: str) -> Mapping[str, Schema]:
    return {MEDIA_TYPES["json"]: ref(name)}


OPERATIONS = (
    Operation("get", PATH, "getRows", "The rows, all or as asked.", _ROWS, more=_PARTS | _UNCHANGED, headers=OF_VIEW,
              parameters=PARAMETERS, asked_headers=_TAGS | _RANGE, codes=_FETCH, security=(*SECURITY,), columns=True,
              links={"getChanges": {"since": "$response.header.X-Generation"}}),
    Operation("get", "/changes", "getChanges", "The rows inserted, updated and deleted since then.", json_of("Changes"),
              more=_UNCHANGED, headers=OF_VIEW, parameters=CHANGES_PARAMETERS, asked_headers=_TAGS,
              codes=("parameter_invalid", "forbidden", "column_masked", "no_key", "changes_gone", "no_snapshot",
                     "snapshot_damaged", "cache_format"), security=(*SECURITY,),
              links={"getChanges": {"since": "$response.body#/next"}}),
    Operation("get", "/events", "getEvents", "What happens to the cache, as it happens, without end.",
              _events("FeedEvent"),
              asked_headers={"Last-Event-ID": ("The `id` of the last event that came.", "12-1767003900000")},
              security=(*SECURITY,)),
    Operation("post", "/refresh", "postRefresh", "Asks for a sync that begins after this moment.", json_of("Asked"),
              202, links={"getTask": {"id": "$response.body#/task_id"}}, headers=("Location",),
              codes=("parameter_invalid", "forbidden", "no_worker", "cache_unwritable")),
    Operation("get", "/tasks/{id}", "getTask", "How a refresh is getting on.", json_of("Task"), parameters=(_TASK_ID,),
              codes=("parameter_invalid", "unknown_task", "cache_unwritable")),
    Operation("post", "/sign", "postSign", "An address that stands for the key for some minutes.", json_of("Signed"),
              wish="Wish", codes=("parameter_invalid", "forbidden")),
    Operation("get", "/status", "getStatus", "How old the rows are, what runs, how the last sync went.",
              json_of("Status")),
    Operation("get", "/metrics", "getMetrics", "The state of cache, syncs and answers for Prometheus.",
              {"text/plain": TEXT}, codes=("parameter_invalid", "forbidden")),
    Operation("get", "/health", "getHealth", "Says that the process answers.", json_of("Health"), security=()),
    Operation("get", "/ready", "getReady", "Whether fresh rows can be served.", json_of("Ready"), security=(),
              codes=("parameter_invalid", "no_snapshot", "cache_format", "too_old", "no_worker")),
    Operation("get", "/openapi.json", "getOpenapi", "This description; with a key, the columns too.",
              {MEDIA_TYPES["json"]: {"type": "object"}}, more=_UNCHANGED, headers=("ETag",), asked_headers=_TAGS,
              security=(), codes=("parameter_invalid", *KEYED)),
    Operation("get", "/docs", "getDocs", "This description as a page.", {"text/html": TEXT}, security=(), codes=()),
    Operation("get", "/demo", "getDemo", "The page to try it on.", {"text/html": TEXT}, security=(), codes=()),
    Operation("get", "/", "getRoot", "Leads to the demo.", {}, 307, headers=("Location",), security=(), codes=()),
)  # fmt: skip
