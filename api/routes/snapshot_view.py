"""Views: generations that are open for reading, with everything that their responses have in common."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.auth.authentication import Access
from api.contract.json_response import dump_model, dumps, http_date
from api.contract.queries.fetch_query import ALL_ROWS
from api.contract.response_models import Freshness
from api.http.headers import HeaderBlock
from cache.access.masking import NOTHING_HIDDEN, Mask, MaskRules
from cache.check_report import CheckReport
from cache.errors import CacheFormat, RangeDamaged
from cache.export.about import About
from cache.query.engine import ColumnIndex
from cache.query.filters import Query
from cache.storage.digest_checks import DigestChecks
from cache.storage.documents import SETUP
from cache.storage.snapshot import Snapshot
from cache.storage.store import Cache
from cache.version import VERSION

MAX_OLDER_VIEWS = 4  # generations before the newest that stay open, for clients that page through them
MAX_OPENINGS = 3  # where the newest view is found damaged as soon as it is open
FIRST_CHECK_SECONDS = 2  # the first request waits so long until the digests are compared
CHECK_SECONDS = 3600  # between two looks for segments whose digests are to be compared
_BODY_HEAD = (
    b'{"status": "success", "count": %d, %s, %s"total_count": %d, "next": %s, "record_count": %d, '
    b'"returned_count": %d, "page_info": {"start_row": %s, "end_row": %s, "has_next": %s}, "data": ['
)
BODY_END = b"]}"  # of a JSON body, after its rows


class SnapshotView:
    """One generation.

    Args:
        snapshot: The generation, opened.
        checks: What the checks found of it; None if they were not made.

    Attributes:
        about: What a file of it says of itself.
        headers: The headers of a prepared response.
        freshness: The same without Last-Modified.
        freshness_json: The keys of Freshness, as part of a JSON body.
        mean_row_bytes: The mean size of a row as JSON, in bytes.
        misfits: By column: values that do not fit the kind of the column.
        zero_dates: By column: dates that do not exist.
    """

    def __init__(self, snapshot: Snapshot, checks: CheckReport | None = None) -> None:
        self.snapshot = snapshot
        self.checks = checks
        self.index = ColumnIndex(snapshot)
        self._open_files()
        self.generation, self.rows, self.columns = snapshot.generation, snapshot.rows, snapshot.columns
        self.mean_row_bytes = 1 + snapshot.json_size // max(1, snapshot.rows)
        self.names = frozenset(column.name for column in snapshot.columns)
        self.misfits, self.zero_dates = _counts(snapshot)
        self.head = head = snapshot.head
        self.about = About.of(snapshot.manifest.source.table, head)
        self.last_modified = http_date(head.updated_at)
        self.freshness = HeaderBlock(
            {
                "X-Generation": str(snapshot.generation),
                "X-Verified": str(head.verified).lower(),
                "Cache-Control": "private, no-cache",
                "Vary": "Accept, Accept-Encoding, X-API-Key, Authorization",
            }
        )
        self.headers = self.freshness + HeaderBlock({"Last-Modified": self.last_modified})
        self.freshness_json = dump_model(Freshness.of(head))[1:-1]
        self._created_at = snapshot.manifest.created_at.isoformat().encode()
        self._binding = hashlib.blake2b(self._created_at, digest_size=8).digest()
        written_by = f"{head.model_dump_json()}{VERSION}".encode()  # another version may write other bytes
        self._identity = hashlib.blake2b(self._created_at + written_by, digest_size=8)

    def _open_files(self) -> None:
        """Opens and maps the files. A view is opened in a thread: the first request should not wait for this."""
        with suppress(RangeDamaged):
            list(self.snapshot.json_slices())
            self.snapshot.gzip_slices(b"", b"")
        self.index.supports(ALL_ROWS)

    def etag(self, variant: bytes) -> bytes:
        """The ETag of a response from this view. `variant` is everything else that the response depends on."""
        digest = self._identity.copy()
        digest.update(variant)
        return b'"%d-%s"' % (self.snapshot.generation, digest.hexdigest().encode())

    def binding(self, query: Query) -> bytes:
        """Eight bytes that identify the rows of a query in this generation."""
        if query is ALL_ROWS:
            return self._binding
        return self.bind(repr([*map(tuple, query.conditions), *map(tuple, query.sort)]).encode())

    def bind(self, text: bytes) -> bytes:
        """Eight bytes that identify a text in this generation."""
        return hashlib.blake2b(self._created_at + text, digest_size=8).digest()

    def body_head(self, count: int, page: range, total: int, next: str | None, more: Mapping[str, Any]) -> bytes:
        """The JSON body of `Rows` up to its rows; after them comes BODY_END.

        Args:
            count: The number of rows in the body.
            page: Which rows of all that match are on the page, from 0.
            total: The number of rows on all pages.
            next: The token of the next page.
            more: Keys that not every body has.
        """
        extra = dumps(dict(more))[1:-1] + b", " if more else b""
        token = b'"%s"' % next.encode() if next else b"null"
        rows = (b"%d" % (page.start + 1), b"%d" % page.stop) if page else (b"null", b"null")
        has_next = b"true" if next else b"false"
        return _BODY_HEAD % (count, self.freshness_json, extra, total, token, count, count, *rows, has_next)


def _counts(snapshot: Snapshot) -> tuple[dict[str, int], dict[str, int]]:
    misfits: Counter[str] = Counter()
    zero_dates: Counter[str] = Counter()
    for segment in snapshot.manifest.segments:
        misfits.update(segment.misfits)
        zero_dates.update(segment.zero_dates)
    return dict(misfits), dict(zero_dates)


class SnapshotViews:
    """The newest view, opened again when the cache has a newer generation, and some older ones.

    Args:
        cache: The cache.
        rules: What is personal data.
    """

    def __init__(self, cache: Cache, rules: MaskRules) -> None:
        self._cache = cache
        self._rules = rules
        self._checks = DigestChecks(cache.snapshots)
        self._opening = asyncio.Lock()
        self._pointer: object = None  # of the cache, when the newest view was opened
        self._newest: SnapshotView | None = None
        self._faults = 0  # damaged segments of the newest view, when it was opened
        self._older: OrderedDict[int, SnapshotView] = OrderedDict()

    def open_view(self, generation: int | None = None) -> SnapshotView | None:
        """The newest view, or that of a generation, if it is open."""
        return self._find(generation) if self._is_current() else None

    def _is_current(self) -> bool:
        """Whether the newest view is still the one to serve: no other was published, and none of its files was cut."""
        newest = self._newest
        unchanged = newest is None or len(newest.snapshot.faults) == self._faults
        return unchanged and self._pointer == self._cache.snapshots.pointer()

    async def get(self, generation: int | None = None) -> SnapshotView:
        """The newest view, or that of a generation; opens it if necessary.

        Raises:
            NoSnapshot: Nothing has been published yet.
            UnknownGeneration: The generation is not kept.
            CacheFormat: A newer version wrote the cache, and no generation can be read.
        """
        view = self.open_view(generation)
        if view is None:
            async with self._opening:
                for _ in range(MAX_OPENINGS):
                    if self._newest is None or not self._is_current():
                        await self._open_newest()
                view = self._find(generation)
                if view is None:
                    view = await run_in_threadpool(self._open, generation)
                    self._keep(view)
        return view

    def _open(self, generation: int | None = None) -> SnapshotView:
        snapshot = self._cache.snapshots.open_readable(generation)
        return SnapshotView(snapshot, self._cache.snapshots.checks(snapshot.generation))

    async def mask(self, view: SnapshotView, access: Access) -> Mask:
        """What is hidden from a key.

        Args:
            view: The generation that it asks for.
            access: What the key may do.
        """
        if not access.masked:
            return NOTHING_HIDDEN
        today = await run_in_threadpool(self.personal_data, view)
        return today.with_frozen(access.frozen_mask, view.columns) if access.frozen_mask else today

    def personal_data(self, view: SnapshotView) -> Mask:
        """What is hidden from masked keys. It reads the set-up of the table, so it is called in a thread."""
        return self._rules.mask(view.columns, self._cache.documents.read(SETUP))

    def _find(self, generation: int | None) -> SnapshotView | None:
        if generation is None or (self._newest and self._newest.generation == generation):
            return self._newest
        return self._older.get(generation)

    async def _open_newest(self) -> None:
        pointer = self._cache.snapshots.pointer()  # read first: if it moves meanwhile, the next request opens again
        try:
            view = await run_in_threadpool(self._open)
        except CacheFormat:
            if self._newest is None:
                raise
            self._pointer = pointer  # the view that is open stays valid
            self._faults = len(self._newest.snapshot.faults)
            return
        if self._newest and self._newest.generation != view.generation:
            self._keep(self._newest)
        await run_in_threadpool(self._drop_damaged)
        self._checks.begin(view.snapshot)
        if self._newest is None:  # what was damaged before this process started is not served
            await run_in_threadpool(self._checks.wait, FIRST_CHECK_SECONDS)
        self._newest, self._pointer, self._faults = view, pointer, len(view.snapshot.faults)

    async def check_regularly(self) -> None:
        """Compares the files of the newest view with their digests, each once a day. It never ends by itself."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._newest:
                self._checks.begin(self._newest.snapshot)

    def _drop_damaged(self) -> None:
        """Drops older views that share a segment that was found damaged since they were opened."""
        for generation, view in list(self._older.items()):
            if any(not view.snapshot.holds(segment) for segment in view.snapshot.manifest.segments):
                del self._older[generation]

    def _keep(self, view: SnapshotView) -> None:
        view.index.release()
        self._older[view.generation] = view
        if len(self._older) > MAX_OLDER_VIEWS:
            self._older.popitem(last=False)
