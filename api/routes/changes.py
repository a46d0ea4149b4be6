"""`GET /changes`: the rows that were inserted, updated and deleted since a client last asked, and where to ask next.

The changes are the net of all generations since. Rows are sent as they are in the newest generation, even if that was
published between two pages. Then `more` stays true until the client has received everything that changed meanwhile, and
its copy is exactly the newest generation.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth.authentication import admission_of
from api.contract.errors import ParameterInvalid
from api.contract.json_response import dump_model
from api.contract.queries.changes_query import PARAMETERS, SINCE, Since
from api.contract.queries.parameters import read_parameters
from api.contract.response_models import ChangesHead
from api.http.compute_threads import compute_in_thread
from api.http.links import next_link
from api.http.negotiation import compress, etag_matches
from api.http.prepared_response import Chunk, PreparedResponse
from api.routes.snapshot_view import SnapshotView, SnapshotViews
from cache.accept_encoding import accepts_gzip
from cache.access.masking import Mask
from cache.errors import ChangesGone, ColumnMasked, NoKey, SnapshotDamaged
from cache.query.budget import JOINED_BYTES
from cache.storage.change_log import ChangeList, Page, fingerprint, page, row_numbers
from cache.storage.store import Cache

REACH_SECONDS = 5.0  # how long a client waits for a generation that this host is still copying
JOIN_BYTES = 4 << 20  # a body up to this size is copied, to be sent in one go


class ChangesEndpoint:
    """The endpoint.

    Args:
        cache: The cache.
        views: The open generations.
        threads: Bounds how many threads put pages together at once.
    """

    def __init__(self, cache: Cache, views: SnapshotViews, threads: CapacityLimiter) -> None:
        self._cache = cache
        self._views = views
        self._threads = threads

    async def get(self, request: Request) -> PreparedResponse:
        """A page of changes.

        Raises:
            ParameterInvalid: `since` or `limit` does not parse, or `since` is in the future.
            ColumnMasked: The key of the rows is hidden from the key of the client.
            NoKey: The table has no primary key.
            ChangesGone: The changes are no longer known.
            SnapshotDamaged: The newest generation is damaged.
            WarmingUp: The client is further than this host, which is copying the newest generation.
        """
        admission = admission_of(request)
        parameters = read_parameters(admission.query, request.url.path, *PARAMETERS)
        view = await self._views.get()
        since: Since = parameters["since"]
        if since.position > view.generation and await run_in_threadpool(
            self._cache.snapshots.reach, since.position, REACH_SECONDS
        ):
            view = await self._views.get()  # another host had it before
        mask = await self._views.mask(view, admission.access)
        if mask.hides_one_of(view.snapshot.manifest.key):
            raise ColumnMasked(
                "The primary key of the table is hidden from this key, and changes are told by it.",
                "Use a key that may see personal data, or load the rows with GET /fetch-data.",
            )
        headers = dict(request.scope["headers"])
        limit = min(parameters["limit"], JOINED_BYTES // view.mean_row_bytes + 1)
        return await compute_in_thread(
            self._respond, view, since, limit, headers, mask, admission.query, limiter=self._threads
        )

    def _respond(
        self,
        view: SnapshotView,
        since: Since,
        limit: int,
        headers: dict[bytes, bytes],
        mask: Mask,
        query: bytes,
    ) -> PreparedResponse:
        lists = self._lists(view, since)
        gzip = accepts_gzip(headers.get(b"accept-encoding", b""))
        etag = view.etag(f"changes\0{since}\0{limit}\0{gzip}\0{mask or ''}".encode())
        own = [(b"etag", etag)]
        if_none_match = headers.get(b"if-none-match")
        if if_none_match is not None and etag_matches(if_none_match, etag):
            return PreparedResponse(304, view.headers, own, [])
        changes = page(lists, since.low, limit)
        following = _next(view, since, lists, changes.rest)
        if _has_more(view, following):
            own += next_link(query, SINCE.name, str(following))
        chunks = _body(view, since, following, changes, mask)
        if sum(map(len, chunks)) <= JOIN_BYTES:
            chunks = [b"".join(chunks)]
        if gzip:
            chunks, compressed = compress(chunks)
            own += [(b"content-encoding", b"gzip")] if compressed else []
        own += [(b"content-type", b"application/json")]
        return PreparedResponse(200, view.headers, own, chunks)

    def _lists(self, view: SnapshotView, since: Since) -> list[ChangeList]:
        """What each generation changed that the client has not received."""
        newest, position = view.snapshot.generation, since.position
        if not view.snapshot.manifest.key:
            raise NoKey.of(view.snapshot.manifest.source.table)
        if position > newest:
            head = self._cache.snapshots.head()
            if head is not None and position <= head.generation:
                raise SnapshotDamaged.without_changes(head.generation)
            if since.fingerprint is not None:  # of a cache that was deleted
                raise ChangesGone(f"Generation {position} is from a cache that was deleted: the newest is {newest}.")
            raise ParameterInvalid(
                f"Parameter 'since' is later than the newest generation, {newest}.",
                "It takes the `generation` of a response; load all rows again with GET /fetch-data.",
            )
        return self._cache.snapshots.changes(since.generation, newest, since.fingerprint)


def _has_more(view: SnapshotView, following: Since) -> bool:
    return following.through is not None or following.generation != view.snapshot.generation


def _body(view: SnapshotView, since: Since, following: Since, changes: Page, mask: Mask) -> list[Chunk]:
    snapshot = view.snapshot
    inserted, updated = (
        mask.json_rows(snapshot.columns, snapshot.gather(row_numbers(snapshot, sums)))
        for sums in (changes.inserted, changes.updated)
    )
    deleted = [dict(zip(snapshot.manifest.key, orjson.loads(text), strict=True)) for text in changes.deleted]
    head = ChangesHead(
        status="success",
        count=len(changes.inserted) + len(changes.updated) + len(deleted),
        since=str(since),
        next=str(following),
        more=_has_more(view, following),
    )
    begin = dump_model(head)[:-1] + b", " + view.freshness_json + b', "inserted": ['
    return [begin, inserted, b'], "updated": [', updated, b'], "deleted": ' + orjson.dumps(deleted) + b"}"]


def _next(view: SnapshotView, since: Since, lists: Sequence[ChangeList], rest: int | None) -> Since:
    newest = view.snapshot.generation
    fingerprints = [each.about.parent_fingerprint for each in lists] + [fingerprint(view.snapshot.manifest.created_at)]
    through = newest if since.through is None else since.through
    if rest is not None:
        return Since(since.generation, fingerprints[0], through, rest)
    return Since(through, fingerprints[through - since.generation])
