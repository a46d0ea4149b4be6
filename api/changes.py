"""`GET /changes`: the rows that were inserted, updated and deleted since a client last asked, net of all generations
since, and from where to ask next.

Rows are sent as they are in the newest generation, even if it was published between two pages: then `more` stays true
until the client has been through all that changed meanwhile, and is exactly where the newest generation is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Self

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.answers import dumps
from api.errors import ParameterInvalid
from api.fetch import ReadyResponse
from api.gate import access_of
from api.parameters import Parameter, parameters
from api.ready import compressed, matches, takes_gzip
from api.views import Piece, Ready, View, Views
from cache.access.masking import personal_columns
from cache.errors import ChangesGone, ColumnMasked, NoKey, SnapshotDamaged
from cache.settings import Settings
from cache.storage.change_log import ChangeList, Page, mark, page, rows_of
from cache.storage.store import Store

MOST_ROWS = 10_000
JOINED = 4 << 20  # bytes of a body that are copied to be sent at once
_FORM = re.compile(r"^([0-9]{1,10})(?:-([0-9a-f]{8})(?:-([0-9]{1,10})-([0-9a-f]{16}))?)?$")


class Since(NamedTuple):
    """How far a client has come: the generation it has.

    `mark` tells that one from others of its number (None: the client knows the number alone). A client that is half
    through what changed has the rows whose keys hash to less than `low` as they were in generation `through`, or later.
    """

    generation: int
    mark: str | None = None
    through: int | None = None
    low: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError."""
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError
        generation, mark, through, low = found.groups()
        if through and int(through) < int(generation):
            raise ValueError
        return cls(int(generation), mark, int(through) if through else None, int(low, 16) if low else 0)

    def __str__(self) -> str:
        half = "" if self.through is None else f"-{self.through}-{self.low:016x}"
        return f"{self.generation}" + (f"-{self.mark}{half}" if self.mark is not None else "")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= MOST_ROWS):
        raise ValueError
    return int(text)


SINCE = Parameter(
    "since",
    Since.read,
    "the `next` of the answer before, or the `generation` of the rows that you hold",
    {"type": "string", "pattern": _FORM.pattern},
    "From where on changes are asked for.",
    "12",
    required=True,
)
LIMIT = Parameter(
    "limit",
    _limit,
    f"a whole number from 1 to {MOST_ROWS}",
    {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
    "Rows of an answer at most; fewer may come although there are more.",
    "100",
    1000,
)
PARAMETERS = (SINCE, LIMIT)


class ChangesFeed:
    """The endpoint."""

    def __init__(self, store: Store, settings: Settings, views: Views) -> None:
        self._store = store
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
            head = self._store.head()
            if head is not None and asked <= head.generation:
                raise SnapshotDamaged(f"Generation {head.generation} is damaged; until it is mended, none can follow.")
            if since.mark is not None:  # of a cache that was begun anew since
                raise ChangesGone(f"There is no generation {asked} any more: the newest is {newest}.")
            raise ParameterInvalid(
                f"Parameter 'since' is later than the newest generation, {newest}.",
                "It takes the `generation` of an answer; load all rows again with GET /fetch-data.",
            )
        return self._store.changes(since.generation, newest, since.mark)


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
    marks = [each.about.parent_mark for each in lists] + [mark(view.snapshot.manifest.created_at)]
    through = newest if since.through is None else since.through
    if rest is not None:
        return Since(since.generation, marks[0], through, rest)
    return Since(through, marks[through - since.generation])
