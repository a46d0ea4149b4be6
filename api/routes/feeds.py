"""`GET /feeds/{token}`: what one path and query give, for readers that can send no key.

The path of the request never leaves this module: logs, metrics and errors name its template.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message

from api.auth.authentication import ADMISSION, Admission, Authenticator
from api.contract.errors import UnknownFeed
from api.contract.queries.feed_query import PATH
from api.contract.queries.parameters import read_parameters
from cache.access.feeds import Feed
from cache.errors import CacheError
from cache.storage.documents import API_KEYS, FEED_USES, FeedUses
from cache.storage.records import now
from cache.storage.store import Cache

WRITE_SECONDS = 60  # between two records of the last uses

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[ASGIApp]]


class FeedEndpoint:
    """The endpoint.

    Args:
        authenticator: Knows the feeds.
        handlers: What answers each path that a feed may stand for.
        uses: Notes when feeds are read.
    """

    def __init__(self, authenticator: Authenticator, handlers: Mapping[str, Handler], uses: LastUses) -> None:
        self._authenticator = authenticator
        self._handlers = handlers
        self._uses = uses

    async def get(self, request: Request) -> ASGIApp:
        """Answers the path and query that the feed stands for. Of the request, only the headers count.

        Raises:
            ParameterInvalid: The request has a parameter.
            OrdersError: The path refuses the query by now.
        """
        admission = self._authenticator.admit_feed(request.scope, request.path_params["token"])
        request.scope[ADMISSION] = admission
        if not isinstance(admission, Admission):
            return admission
        read_parameters(request.scope["query_string"], PATH)
        self._uses.note(admission.access.digest)
        return await self._answer(request, admission)

    async def check(self, feed: Feed) -> None:
        """Answers a feed that is to be made as its readers would be answered, to nobody.

        Raises:
            OrdersError: The readers would get this error.
        """
        admission = self._authenticator.admission_of(feed)
        scope = {"type": "http", "method": "GET", "headers": [], ADMISSION: admission}

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            """Drops a part of the answer."""

        answer = await self._answer(Request(scope | {"path": "", "query_string": b""}), admission)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, admission: Admission) -> ASGIApp:
        handler = self._handlers.get(admission.path)
        if handler is None:  # another version made the feed
            raise UnknownFeed()
        inner = {**request.scope, "path": admission.path, "query_string": admission.query}
        return await handler(Request(inner, request.receive))


class LastUses:
    """When each feed was read last. It belongs to one event loop, and writes at most once in WRITE_SECONDS.

    Args:
        cache: Where it is recorded.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._noted: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, digest: str) -> None:
        """Notes that the feed with this digest is read now."""
        self._noted[digest] = now()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Records what is noted."""
        if self._task:
            self._task.cancel()
        await self._write()

    async def _write_regularly(self) -> None:
        while self._noted:
            await self._write()
            await asyncio.sleep(WRITE_SECONDS)

    async def _write(self) -> None:
        noted, self._noted = self._noted, {}
        if not noted or self._cache.read_only:
            return
        try:
            await run_in_threadpool(self._record, noted)
        except CacheError as error:
            log.warning("The last use of feeds is not recorded. %s", error)

    def _record(self, noted: Mapping[str, datetime]) -> None:
        feeds = {feed.digest for feed in self._cache.documents.read(API_KEYS).feeds}
        self._cache.documents.change(FEED_USES, partial(FeedUses.with_uses, noted=noted, feeds=feeds))
