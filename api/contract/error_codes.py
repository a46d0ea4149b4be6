"""Every error code of the API: its HTTP status, when it occurs, and an example of its message.

An example is an error as the code raises it, so that it cannot differ from the real message.
"""

from __future__ import annotations

from typing import NamedTuple

from api.contract.errors import (
    ApiError,
    BadRequest,
    BodyTooLarge,
    ClientGone,
    Forbidden,
    HeadTooLarge,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    RefreshTimeout,
    RequestTooSlow,
    ShuttingDown,
    SignatureExpired,
    SignatureInvalid,
    SnapshotTooOld,
    Unauthorized,
    UnknownFeed,
)
from api.contract.json_response import iso
from api.contract.queries.fetch_query import LIMIT, RESTART_PAGING
from api.contract.queries.parameters import does_not_parse
from api.contract.response_models import INSTANT, TASK_ID
from cache.access.client_limits import MAX_BODY, MAX_HEAD
from cache.analytics.exchange_rates import invalid_line
from cache.errors import (
    BadFilter,
    CacheFormat,
    CacheFull,
    CacheReadOnly,
    CacheUnreachable,
    CacheUnwritable,
    ChangesGone,
    ColumnMasked,
    DiskFull,
    NoKey,
    NoSnapshot,
    NoWorker,
    OrdersError,
    QueryRefused,
    QueryTimeout,
    RangeDamaged,
    ScanBusy,
    ScanFailed,
    SnapshotDamaged,
    TooManyRows,
    UnknownGeneration,
    UnknownTask,
    WarmingUp,
)
from cache.export.pool import QUERY_SECONDS
from cache.export.row_format import MAX_SHEET_ROWS
from cache.query.values import accepted_values
from cache.storage.file_format import FORMAT


class ErrorCode(NamedTuple):
    """An error code.

    Attributes:
        name: The code.
        status: The HTTP status.
        occurs: When it occurs, in words that follow the name of the code.
        message: An example of the message.
    """

    name: str
    status: int
    occurs: str
    message: str


REFRESH_FAILED = 502  # the status for the code of the error that a sync ended with

_BAD_FILTER = BadFilter.value("total_price", "abc", accepted_values("decimal"))
_API_ERRORS: tuple[tuple[ApiError, str], ...] = (
    (BadRequest(), "the request is not valid HTTP"),
    (ClientGone(), "the client disconnected before its request was complete"),
    (does_not_parse(LIMIT), "a parameter is unknown, missing, given twice, or does not parse"),
    (Unauthorized(), "no key, a wrong key, or one that has expired"),
    (SignatureInvalid(), "a signed address was changed, or its key is gone"),
    (SignatureExpired(), "a signed address has expired"),
    (Forbidden("shop", "refresh"), "the key lacks the scope"),
    (NotFound(), "there is no such path"),
    (UnknownFeed(), "there is no such feed: it was revoked, has expired, or never was"),
    (MethodNotAllowed("DELETE", ("GET", "HEAD")), "the path does not take this method; `Allow` lists those it takes"),
    (RequestTooSlow(), "the request took too long to arrive"),
    (BodyTooLarge(), f"the body is longer than {MAX_BODY // 1024} KB"),
    (RateLimited(12), "too many requests, or too many wrong keys; `Retry-After` says how long to wait"),
    (HeadTooLarge(), f"address and headers are longer than {MAX_HEAD // 1024} KB"),
    (InternalError(), "a fault in the API; the log has the cause"),
    (SnapshotTooOld(iso(INSTANT)), "the data is older than two sync intervals plus the time limit of a sync"),
    (ShuttingDown(), "the API stops while `wait` waits"),
    (RefreshTimeout(TASK_ID), "the refresh that `wait` requested continues; `task_id` and `Location` say where"),
)
_CACHE_ERRORS: tuple[tuple[int, OrdersError, str], ...] = (
    (
        400,
        BadFilter.value("total_price", "abc", accepted_values("decimal")),
        "a filter, sort or facet does not fit the columns",
    ),
    (400, QueryRefused.by_engine("OutOfMemoryException"), "the query engine cannot run the query"),
    (
        400,
        TooManyRows.for_sheet(2_000_000, MAX_SHEET_ROWS),
        "the format cannot hold that many rows, or a request for figures that many groups",
    ),
    (403, ColumnMasked.of("email"), "the request needs a column that is hidden from the key"),
    (404, UnknownTask(), "there is no refresh with that id"),
    (409, NoKey.of("orders"), "the table has no primary key, so changed rows cannot be identified"),
    (410, UnknownGeneration.of(12, RESTART_PAGING), "the generation of `after` is no longer kept"),
    (410, ChangesGone.since(12), "the changes since that generation are no longer known"),
    (503, NoSnapshot(), "nothing is cached yet; `status` is `pending`"),
    (
        503,
        WarmingUp.of(120 << 20, 331 << 20),
        "this host copies its first generation from the shared cache; `status` is `pending`",
    ),
    (503, NoWorker(), "no scheduler is alive to run a refresh"),
    (503, RangeDamaged.of("5f2c", "lacks columns.bin"), "rows that the request needs are damaged in the cache"),
    (
        503,
        SnapshotDamaged.without_changes(12),
        "the newest generation is damaged, and the client already has its changes",
    ),
    (503, CacheFormat.of(FORMAT + 1, FORMAT), "a newer version of the product wrote the cache"),
    (503, DiskFull(), "the disk is full, so that nothing can be recorded"),
    (503, CacheFull(), "the disk of the shared cache's database is full"),
    (
        503,
        CacheUnreachable.at("db.example:5432", "connection refused"),
        "the database of the shared cache does not answer",
    ),
    (503, CacheReadOnly(), "the API has no write access to the cache"),
    (503, CacheUnwritable.because("File too large"), "the cache cannot be written for another reason"),
    (503, QueryTimeout.after(QUERY_SECONDS), "a query took too long"),
    (503, invalid_line(3, "it has 4 values instead of 3", "EUR"), "the file of exchange rates does not parse"),
    (503, ScanFailed(), "the process that runs the query ended"),
    (503, ScanBusy(), "all query processes are busy"),
)
_CODES = [
    *(ErrorCode(error.code, error.status, occurs, str(error)) for error, occurs in _API_ERRORS),
    *(ErrorCode(error.code, status, occurs, str(error)) for status, error, occurs in _CACHE_ERRORS),
]
CODES = {code.name: code for code in sorted(_CODES, key=lambda code: code.status)}
