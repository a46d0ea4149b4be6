"""`GET /changes`: the rows that were inserted, updated and deleted since a client last asked, net of all generations
since, and from where to ask next.

Rows are sent as they are in the newest generation, even if it was published between two pages: then `more` stays true
until the client has been through all that changed meanwhile, and is exactly where the newest generation is.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import access_of
from api.contract.changes_query import PARAMETERS, Since
from api.contract.errors import ParameterInvalid
from api.contract.json_response import dumps
from api.contract.parameters import parameters
from api.http.prepared_response import Piece, Ready, ReadyResponse
from api.routes.prepared import compressed, matches, takes_gzip
from api.routes.snapshot_view import View, Views
from cache.access.masking import personal_columns
from cache.errors import ChangesGone, ColumnMasked, NoKey, SnapshotDamaged
from cache.settings import Settings
from cache.storage.change_log import ChangeList, Page, page, rows_of, stamp
from cache.storage.store import Cache

JOINED = 4 << 20  # bytes of a body that are copied to be sent at once


class ChangesFeed:
    """The endpoint."""

    def __init__(self, cache: Cache, settings: Settings, views: Views) -> None:
        self._cache = cache
        self._personal = settings.personal_columns
        self._views = views

    async def get(self, request: Request) -> Response:
        given = parameters(request, *PARAMETERS)
        since: Since = given["since"]
        view = await self._views.get()
        if access_of(request).masked and personal_columns(self._personal, view.snapshot.columns):
            raise ColumnMasked(
                "Personal data is hidden from this key, and changes are sent with all of it.",
                "Use a key that may see it, or load the rows with GET /fetch-data.",
            )
        headers = dict(request.scope["headers"])
        return ReadyResponse(await run_in_threadpool(self._ready, view, since, given["limit"], headers))

    def _ready(self, view: View, since: Since, limit: int, headers: dict[bytes, bytes]) -> Ready:
        lists = self._lists(view, since)
        gzip = takes_gzip(headers.get(b"accept-encoding", b""))
        tag = view.tag(f"changes\0{since}\0{limit}\0{gzip}".encode())
        own = [(b"etag", tag)]
        tags = headers.get(b"if-none-match")
        if tags is not None and matches(tags, tag):
            return Ready(304, view.headers, own, [])
        pieces = _body(view, since, lists, page(lists, since.low, limit))
        if sum(map(len, pieces)) <= JOINED:
            pieces = [b"".join(pieces)]
        if gzip:
            pieces, done = compressed(pieces)
            own += [(b"content-encoding", b"gzip")] if done else []
        own += [(b"content-type", b"application/json"), (b"content-length", b"%d" % sum(map(len, pieces)))]
        return Ready(200, view.headers, own, pieces)

    def _lists(self, view: View, since: Since) -> list[ChangeList]:
        """Raises ParameterInvalid, NoKey, ChangesGone, SnapshotDamaged."""
        newest, asked = view.snapshot.generation, max(since.generation, since.through or 0)
        if not view.snapshot.manifest.key:
            raise NoKey(f"The table {view.snapshot.manifest.source.table} has no key that tells its rows apart.")
        if asked > newest:
            head = self._cache.snapshots.head()
            if head is not None and asked <= head.generation:
                raise SnapshotDamaged(f"Generation {head.generation} is damaged; until it is mended, none can follow.")
            if since.mark is not None:  # of a cache that was begun anew since
                raise ChangesGone(f"There is no generation {asked} any more: the newest is {newest}.")
            raise ParameterInvalid(
                f"Parameter 'since' is later than the newest generation, {newest}.",
                "It takes the `generation` of an answer; load all rows again with GET /fetch-data.",
            )
        return self._cache.snapshots.changes(since.generation, newest, since.mark)


def _body(view: View, since: Since, lists: Sequence[ChangeList], found: Page) -> list[Piece]:
    snapshot = view.snapshot
    inserted, updated = (snapshot.gather(rows_of(snapshot, sums)) for sums in (found.inserted, found.updated))
    deleted = [dict(zip(snapshot.manifest.key, orjson.loads(text), strict=True)) for text in found.deleted]
    following = _next(view, since, lists, found.rest)
    head = {
        "status": "success",
        "count": len(found.inserted) + len(found.updated) + len(deleted),
        "since": str(since),
        "next": str(following),
        "more": following.through is not None or following.generation != snapshot.generation,
    }
    pieces: list[Piece] = [dumps(head)[:-1] + b", " + view.said, b', "inserted": [', inserted]
    return [*pieces, b'], "updated": [', updated, b'], "deleted": ' + orjson.dumps(deleted) + b"}"]


def _next(view: View, since: Since, lists: Sequence[ChangeList], rest: int | None) -> Since:
    newest = view.snapshot.generation
    marks = [each.about.parent_mark for each in lists] + [stamp(view.snapshot.manifest.created_at)]
    through = newest if since.through is None else since.through
    if rest is not None:
        return Since(since.generation, marks[0], through, rest)
    return Since(through, marks[through - since.generation])
