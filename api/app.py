"""The application: every address, and what stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access_log import AccessLog, Note, Noted
from api.auth.authentication import ACCESS, Access, Gate, RequireKey
from api.contract.errors import Unfinished, on_client_gone, on_fault, on_http_error, on_own_error, on_unfinished
from api.contract.fetch_query import PATH
from api.http.headers import CommonHeaders, Lines
from api.http.prepared_response import Ready
from api.routes.changes import ChangesFeed
from api.routes.demo import demo_page
from api.routes.docs import docs_page
from api.routes.fetch import Fetch
from api.routes.metrics import Metrics
from api.routes.openapi import Description
from api.routes.refresh import Refresh
from api.routes.refresh_stream import Events
from api.routes.sign import Sign
from api.routes.snapshot_view import Views
from api.routes.status import Reports
from cache.errors import OrdersError
from cache.export.pool import ScanPool
from cache.settings import Settings
from cache.storage.store import Cache


class Service(Protocol):
    """What runs beside the application, from its start to its end."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def create_app(cache: Cache, settings: Settings, key: str, events: Events, service: Service | None = None) -> Api:
    """Parameters: `key` is what clients send; `events` feeds the streams; `service` is started and stopped with the
    application (the scheduler, where this process hosts it)."""
    views = Views(cache, settings.personal_columns)
    scanner = ScanPool(settings.cache_url)
    fetch = Fetch(cache, settings, views, events, scanner)
    changes = ChangesFeed(cache, settings, views)
    refresh = Refresh(cache)
    reports = Reports(cache, settings, views)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        events.start()
        if service:
            service.start()
        if access_log:
            access_log.start()
        try:
            yield
        finally:
            if service:
                await run_in_threadpool(service.stop)
            await events.stop()
            if access_log:
                access_log.stop()
            await scanner.close()
            fetch.close()

    access_log = AccessLog() if settings.access_log == "on" else None
    metrics = Metrics(cache)
    notes = [metrics.note, *([access_log.note] if access_log else [])]
    gate = Gate(cache, key, settings)
    keyed = [Middleware(RequireKey, gate=gate)]
    reading, refreshing = ([Middleware(RequireKey, gate=gate, scope=scope)] for scope in ("read", "refresh"))
    application = Starlette(
        routes=[
            Route(PATH, fetch.get, middleware=reading),
            Route("/changes", changes.get, middleware=reading),
            Route("/refresh", refresh.post, methods=["POST"], middleware=refreshing),
            Route("/sign", Sign(gate).post, methods=["POST"], middleware=reading),
            Route("/tasks/{id}", refresh.get, middleware=keyed),
            Route("/events", events.feed, methods=["GET"], middleware=keyed),
            Route("/status", reports.status, middleware=keyed),
            Route("/metrics", metrics.get, middleware=reading),
            Route("/health", reports.health),
            Route("/ready", reports.ready),
            Route("/openapi.json", Description(gate, views).get),
            Route("/docs", docs_page()),
            Route("/demo", demo_page()),
            Route("/", _to_demo),
        ],
        exception_handlers={
            OrdersError: on_own_error,
            Unfinished: on_unfinished,
            HTTPException: on_http_error,
            ClientDisconnect: on_client_gone,
            Exception: on_fault,
        },
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False
    return Api(CommonHeaders(application, settings.cors_origins), fetch, gate, notes)


class Api:
    """The application, and its short cut: what lies in memory is answered without passing through it."""

    def __init__(self, app: CommonHeaders, fetch: Fetch, gate: Gate, notes: Sequence[Note]) -> None:
        self._app: ASGIApp = Noted(app, self.note)
        self._fetch = fetch
        self._gate = gate
        self._notes = notes
        self.lines = app.lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def note(self, scope: Scope, status: int, size: int, started: float) -> None:
        """An answer has been sent."""
        for note in self._notes:
            note(scope, status, size, started)

    def at_hand(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[Ready, Lines] | None:
        """The answer to a request and the headers that stand on all, if nothing has to be waited for.

        What fails here is left to the application, where it fails again and is answered.
        """
        if scope["path"] != PATH or scope["method"] not in ("GET", "HEAD") or b"signature=" in scope["query_string"]:
            return None
        access = scope[ACCESS] = self._gate.admit(scope)
        try:
            answer = self._fetch.at_hand(scope, headers) if isinstance(access, Access) else None
        except Exception:
            return None
        return (answer, self.lines(headers.get(b"origin"))) if answer else None


async def _to_demo(_: Request) -> Response:
    return RedirectResponse("/demo")
