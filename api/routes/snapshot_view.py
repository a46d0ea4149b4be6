"""Generations as they are answered: each opened once, with all that its answers have in common made beforehand."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.contract.fetch_query import ALL
from api.contract.json_response import ctime, dumps, http_date, iso, iso_or_none
from api.http.headers import Lines
from api.http.prepared_response import Ready
from cache.access.masking import personal_columns
from cache.errors import CacheFormat
from cache.query.engine import ColumnIndex
from cache.query.filters import Query
from cache.storage.snapshot import Snapshot
from cache.storage.store import Cache

OLDER_VIEWS = 4  # generations before the newest that are held open for those who page through them


class View:
    """One generation.

    Parameters: `snapshot`, opened; its head says how fresh it is. `personal` names columns, see `masking`.
    """

    def __init__(self, snapshot: Snapshot, personal: str) -> None:
        self.snapshot = snapshot
        self.index = ColumnIndex(snapshot)
        self._map_files()
        self.generation, self.rows, self.columns = snapshot.generation, snapshot.rows, snapshot.columns
        self.names = frozenset(column.name for column in snapshot.columns)
        self.polls: dict[object, Ready] = {}  # what was not modified, by what was asked; see api/routes/fetch.py
        self.personal = personal_columns(personal, snapshot.columns)
        self.head = head = snapshot.head
        self.last_modified = http_date(head.updated_at)
        self.freshness = Lines({
            "X-Generation": str(snapshot.generation),
            "X-Verified": str(head.verified).lower(),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept, Accept-Encoding, X-API-Key, Authorization",
        })  # fmt: skip
        self.headers = self.freshness + Lines({"Last-Modified": self.last_modified})
        said = {
            "last_updated": ctime(head.updated_at),
            "last_updated_iso": iso(head.updated_at),
            "generation": snapshot.generation,
            "verified": head.verified,
            **({} if head.verified else {"reason": head.reason}),
            "verified_at": iso_or_none(head.verified_at),
            "checked_at": iso_or_none(head.checked_at),
        }
        self.said = dumps(said)[1:-1]
        self._made = snapshot.manifest.created_at.isoformat().encode()
        self._binding = hashlib.blake2b(self._made, digest_size=8).digest()
        self._identity = hashlib.blake2b(self._made + head.model_dump_json().encode(), digest_size=8)

    def _map_files(self) -> None:
        """Views are opened in a thread: what this takes would hold up everyone at the first request."""
        list(self.snapshot.json_slices(0, 1))
        self.index.supports(ALL)

    def tag(self, said: bytes) -> bytes:
        """The ETag of an answer from this view; `said` is whatever else it depends on."""
        digest = self._identity.copy()
        digest.update(said)
        return b'"%d-%s"' % (self.snapshot.generation, digest.hexdigest().encode())

    def binding(self, query: Query) -> bytes:
        """Eight bytes that tell the rows of a query in this generation from all others."""
        if query is ALL:
            return self._binding
        said = repr([*map(tuple, query.conditions), *map(tuple, query.sort)])
        return hashlib.blake2b(self._made + said.encode(), digest_size=8).digest()

    def prefix(self, count: int, total: int, next: str | None, more: Mapping[str, Any]) -> bytes:
        """A body as far as its rows; `more` are further keys. After the rows come two closing brackets."""
        extra = dumps(dict(more))[1:-1] + b", " if more else b""
        token = b'"%s"' % next.encode() if next else b"null"
        return b'{"status": "success", "count": %d, %s, %s"total_count": %d, "next": %s, "data": [' % (
            count, self.said, extra, total, token,
        )  # fmt: skip


class Views:
    """The newest view, opened again when the pointer moves, and some older ones."""

    def __init__(self, cache: Cache, personal: str) -> None:
        self._cache = cache
        self._personal = personal
        self._opening = asyncio.Lock()
        self._pointer: object = None  # where the cache pointed when the newest view was opened
        self._newest: View | None = None
        self._older: OrderedDict[int, View] = OrderedDict()

    def at_hand(self, generation: int | None = None) -> View | None:
        """The newest view, or that of a generation, where it is open."""
        return self._held(generation) if self._pointer == self._cache.snapshots.pointer() else None

    async def get(self, generation: int | None = None) -> View:
        """The newest view, or that of a generation.

        Raises:
            NoSnapshot: Nothing has been published yet.
            SnapshotDamaged: No generation that is kept is intact.
            UnknownGeneration: That generation is not kept.
            CacheFormat: A newer version wrote the cache, and none of it can be read.
        """
        view = self.at_hand(generation)
        if view is None:
            async with self._opening:
                if self._newest is None or self._pointer != self._cache.snapshots.pointer():
                    await self._open_newest()
                view = self._held(generation)
                if view is None:
                    view = await run_in_threadpool(lambda: View(self._cache.snapshots.open(generation), self._personal))
                    self._keep(view)
        return view

    def _held(self, generation: int | None) -> View | None:
        if generation is None or (self._newest and self._newest.generation == generation):
            return self._newest
        return self._older.get(generation)

    async def _open_newest(self) -> None:
        pointer = self._cache.snapshots.pointer()  # taken before: if it moves meanwhile, the next request opens again
        try:
            view = await run_in_threadpool(lambda: View(self._cache.snapshots.open(), self._personal))
        except CacheFormat:
            if self._newest is None:
                raise
            self._pointer = pointer  # what is open stays good
            return
        if self._newest and self._newest.generation != view.generation:
            self._keep(self._newest)
        self._newest, self._pointer = view, pointer

    def _keep(self, view: View) -> None:
        view.index.release()
        self._older[view.generation] = view
        if len(self._older) > OLDER_VIEWS:
            self._older.popitem(last=False)
