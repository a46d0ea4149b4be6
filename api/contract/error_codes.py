"""Every error code of the API: its HTTP status, when it occurs, and an example of its message.

An example is an error as the code raises it, so that it cannot differ from the real message.
"""

from __future__ import annotations

from typing import NamedTuple

from api.contract import errors as api_errors
from api.contract.fetch_query import LIMIT
from api.contract.json_response import iso
from api.contract.parameters import does_not_parse
from api.contract.request_limits import MAX_BODY, MAX_HEAD, RECEIVE_SECONDS
from api.contract.response_models import INSTANT, TASK_ID
from cache import errors
from cache.errors import OrdersError


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


def _api(example: api_errors.ApiError, occurs: str) -> ErrorCode:
    return ErrorCode(example.code, example.status, occurs, str(example))


def _cache(status: int, example: OrdersError, occurs: str) -> ErrorCode:
    return ErrorCode(example.code, status, occurs, str(example))


REFRESH_FAILED = 502  # with the code of the error that the sync ended with
_CODES = (
    _api(api_errors.BadRequest(), "the request is not valid HTTP"),
    _api(api_errors.ClientGone(), "the client disconnected before its request was complete"),
    _api(does_not_parse(LIMIT), "a parameter is unknown, missing, given twice, or does not parse"),
    _cache(
        400,
        errors.BadFilter(
            "total_price does not take 'abc'.", "It takes a decimal number of up to 38 digits, such as 598.94."
        ),
        "a filter, sort or list of columns does not fit the columns",
    ),
    _cache(
        400,
        errors.QueryRefused("The engine refused the query (OutOfMemoryException)."),
        "the query engine cannot run the query",
    ),
    _cache(
        400,
        errors.TooManyRows("These are 2,000,000 rows, and a sheet of Excel holds 1,048,575."),
        "the format cannot hold that many rows",
    ),
    _api(api_errors.Unauthorized(), "no key, a wrong key, or one that has expired"),
    _api(api_errors.SignatureInvalid(), "a signed address was changed, or its key is gone"),
    _api(api_errors.SignatureExpired(), "a signed address has expired"),
    _api(api_errors.Forbidden("shop", "refresh"), "the key lacks the scope"),
    _cache(
        403,
        errors.ColumnMasked("Column 'email' is hidden from this key, and cannot be filtered, sorted or counted by."),
        "the request needs a column that is hidden from the key",
    ),
    _api(api_errors.NotFound(), "there is no such path"),
    _cache(404, errors.UnknownTask("There is no refresh with that id."), "there is no refresh with that id"),
    _api(
        api_errors.MethodNotAllowed("DELETE", ("GET", "HEAD")),
        "the path does not take this method; `Allow` lists those it takes",
    ),
    _api(api_errors.RequestTooSlow(RECEIVE_SECONDS), "the request took too long to arrive"),
    _cache(
        409,
        errors.NoKey("The table orders has no key that tells its rows apart."),
        "the table has no primary key, so changed rows cannot be identified",
    ),
    _cache(
        410,
        errors.UnknownGeneration("Generation 12 is not kept.", "Start again without `after`."),
        "the generation of `after` is no longer kept",
    ),
    _cache(
        410,
        errors.ChangesGone("What changed since generation 12 is not kept."),
        "the changes since that generation are no longer known",
    ),
    _api(api_errors.BodyTooLarge(MAX_BODY), f"the body is longer than {MAX_BODY // 1024} KB"),
    _api(api_errors.RateLimited(12), "too many requests, or too many wrong keys; `Retry-After` says how long to wait"),
    _api(api_errors.HeadTooLarge(MAX_HEAD), f"address and headers are longer than {MAX_HEAD // 1024} KB"),
    _api(api_errors.InternalError(), "a fault in the API; the log has the cause"),
    _cache(503, errors.NoSnapshot("No cached data available."), "nothing is cached yet; `status` is `pending`"),
    _cache(503, errors.NoWorker("No scheduler is alive."), "no scheduler is alive to run a refresh"),
    _api(
        api_errors.SnapshotTooOld(iso(INSTANT)),
        "the data is older than two sync intervals plus the time limit of a sync",
    ),
    _cache(503, errors.SnapshotDamaged("Generation 12: segment 5f2c is damaged."), "a file of the cache is damaged"),
    _cache(503, errors.CacheFormat("The cache has format 3, this version reads 2."), "a newer version wrote the cache"),
    _cache(
        503,
        errors.CacheUnwritable("The cache folder cannot be written: No space left on device."),
        "the cache cannot be written",
    ),
    _cache(503, errors.QueryTimeout("The query took longer than 10 seconds."), "a query took too long"),
    _cache(
        503,
        errors.ScanFailed("The process that scans ended before it had answered."),
        "the process that runs the query ended",
    ),
    _cache(
        503, errors.ScanBusy("The processes that scan are at work for other requests."), "all query processes are busy"
    ),
    _api(api_errors.ShuttingDown(), "the API stops while `wait` waits"),
    _api(
        api_errors.RefreshTimeout(TASK_ID),
        "the refresh that `wait` requested continues; `task_id` and `Location` say where to follow it",
    ),
)
CODES = {code.name: code for code in _CODES}
