"""Every code that an error of the API can have: its HTTP status, when it comes, and how its message may read."""

from __future__ import annotations

from typing import NamedTuple

from cache import errors
from cache.errors import CacheError


class Code(NamedTuple):
    """`means` says when it comes, in words that follow the name of a code; `message` is an example."""

    name: str
    status: int
    means: str
    message: str


def _of(error: type[CacheError], status: int, means: str, message: str, advice: str | None = None) -> Code:
    return Code(error.code, status, means, f"{message} {advice or error.advice}")


REFRESH_FAILED = 502  # with the code of what failed, which is none of these
_CODES = (
    Code("bad_request", 400, "what arrived is no HTTP request",
         "This is no HTTP request that can be read. GET /demo shows how to ask."),
    Code("client_gone", 400, "the client went away before its request had arrived",
         "The client went away before its request had arrived."),
    Code("parameter_invalid", 400, "a parameter is unknown, given twice, missing, or does not parse",
         "Parameter 'limit' does not parse. It takes a whole number from 0 on."),
    _of(errors.BadFilter, 400, "a filter, sort or list of columns is not what the columns take",
        "total_price does not take 'abc'.", "It takes a decimal number of up to 38 digits, such as 598.94."),
    _of(errors.QueryRefused, 400, "the engine that scans cannot run the query",
        "The engine refused the query (OutOfMemoryException)."),
    _of(errors.TooManyRows, 400, "the format does not take so many rows",
        "These are 2,000,000 rows, and a sheet of Excel holds 1,048,575."),
    Code("unauthorized", 401, "no key, a wrong one, or one that has expired", "Unauthorized access"),
    Code("signature_invalid", 401, "a signed address was changed, or its key is gone",
         "This address was changed, or its key is gone. Have it signed anew."),
    Code("signature_expired", 401, "the time of a signed address is over",
         "This signed address has expired. Have it signed anew."),
    Code("forbidden", 403, "the key lacks the scope",
         "The key 'shop' may not ask for a refresh. "
         "Use a key with the scope `refresh`: `python -m api keys add NAME --scope refresh` makes one."),
    _of(errors.ColumnMasked, 403, "what is asked for needs a column that is hidden from the key",
        "Column 'email' is hidden from this key, and cannot be filtered, sorted or counted by."),
    Code("not_found", 404, "there is nothing at the address",
         "There is nothing at this address. GET /demo shows every endpoint."),
    _of(errors.UnknownTask, 404, "no refresh has that id", "There is no refresh with that id."),
    Code("method_not_allowed", 405, "the address exists, the method does not; `Allow` names those that do",
         "This address does not take DELETE. It takes GET, HEAD."),
    Code("too_slow", 408, "the request took too long to arrive",
         "The request took over 20 seconds to arrive. Try again."),
    _of(errors.NoKey, 409, "the table has no key to tell its changes by",
        "The table orders has no key that tells its rows apart."),
    _of(errors.UnknownGeneration, 410, "the generation of `after` is not kept any more",
        "Generation 12 is not kept.", "Start again without `after`, from the newest one."),
    _of(errors.ChangesGone, 410, "what changed since then is not known any more",
        "What changed since generation 12 is not kept."),
    Code("body_too_large", 413, "the body is longer than 64 KB",
         "The body is longer than 64 KB. No address takes so much."),
    Code("rate_limited", 429, "too many requests, or too many wrong keys; `Retry-After` says how long to wait",
         "Too many requests. Wait 12 seconds, then ask less often."),
    Code("head_too_large", 431, "address and headers are longer than 32 KB",
         "Address and headers are longer than 32 KB. Send fewer headers, or a shorter query."),
    Code("internal_error", 500, "a fault of ours; the log has the cause",
         "The API failed to answer this request. Try again; the log has the cause."),
    _of(errors.NoSnapshot, 503, "nothing has been cached yet; `status` is `pending`", "No cached data available."),
    _of(errors.NoWorker, 503, "no scheduler is alive to run a refresh", "No scheduler is alive."),
    Code("too_old", 503, "the data is older than two sync intervals and a sync's time limit",
         "The data was last verified at 2025-12-29T10:25:00Z. See GET /status."),
    _of(errors.SnapshotDamaged, 503, "a file of the cache is damaged", "Generation 12: segment 5f2c is damaged."),
    _of(errors.CacheFormat, 503, "a newer version of the product wrote the cache",
        "The cache has format 3, this version reads 2."),
    _of(errors.CacheUnwritable, 503, "the cache cannot be written",
        "The cache folder cannot be written: No space left on device."),
    _of(errors.QueryTimeout, 503, "a scan took too long", "The scan took over 30 seconds."),
    _of(errors.ScanFailed, 503, "a scan did not come to its end",
        "The worker process ended before it had answered."),
    _of(errors.ScanBusy, 503, "every process that scans is at work for someone else", "All scans are busy."),
    Code("shutting_down", 503, "the API ends while `wait` waits", "The API is shutting down. Connect again."),
    Code("timeout", 504, "the refresh that `wait` asked for goes on; `task_id` and `Location` tell where to follow it",
         "The refresh has not completed in time; it goes on in the background. Follow it at /tasks/5f2c."),
)  # fmt: skip
CODES = {code.name: code for code in _CODES}
