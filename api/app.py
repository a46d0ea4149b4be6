"""The application: what serves each operation of api/contract/operations.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from api.access_log import AccessLog, Recorder, RecordResponses
from api.auth.authentication import ADMISSION, Admission, Authenticator, LimitHeaders, RequireKey
from api.contract.error_responses import (
    on_client_gone,
    on_http_error,
    on_internal_error,
    on_orders_error,
    on_refresh_failed,
)
from api.contract.errors import RefreshFailed
from api.contract.operations import OPERATIONS, Operation
from api.contract.paths import own_path
from api.contract.queries.fetch_query import PATH as FETCH_PATH
from api.contract.queries.figures_query import EVENTS_PATH as FIGURE_EVENTS_PATH
from api.contract.queries.figures_query import PATH as FIGURES_PATH
from api.documentation.demo import demo_endpoint
from api.documentation.docs import docs_endpoint
from api.documentation.openapi import OpenApiEndpoint
from api.http.headers import CommonHeaders, header_lines
from api.http.prepared_response import PreparedResponse
from api.http.problem_details import ProblemDetails
from api.http.relative_locations import RelativeLocations
from api.http.request_ids import IDENTITY, RequestIds, identify
from api.routes.cache_watcher import CacheWatcher
from api.routes.changes import ChangesEndpoint
from api.routes.checks import ChecksEndpoint
from api.routes.feeds import FeedEndpoint, LastUses
from api.routes.fetch import FetchEndpoint
from api.routes.figures import FiguresEndpoints
from api.routes.metrics import Metrics
from api.routes.refresh import RefreshEndpoints
from api.routes.refresh_stream import RefreshStream
from api.routes.sign import SignEndpoint
from api.routes.snapshot_view import SnapshotViews
from api.routes.status import PATH as STATUS_PATH
from api.routes.status import StatusEndpoints
from api.routes.streamed import StreamedExecutor
from cache.access.api_keys import Scope as KeyScope
from cache.access.masking import MaskRules
from cache.analytics.exchange_rates import RatesFile
from cache.errors import OrdersError
from cache.export.figure_pool import FigurePool
from cache.export.pool import ScanPool
from cache.query.budget import QUERY_THREADS
from cache.settings import Settings
from cache.storage.store import Cache

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Any]] | ASGIApp


class Service(Protocol):
    """What runs beside the application, from its start to its end."""

    def start(self) -> None:
        """Starts it."""

    def stop(self) -> None:
        """Stops it and waits for its end."""


def create_app(
    cache: Cache, settings: Settings, key: str, watcher: CacheWatcher, service: Service | None = None
) -> Api:
    """Puts the application together.

    Args:
        cache: The cache.
        settings: The settings.
        key: The API key named `default`.
        watcher: Watches the cache; it is started and stopped with the application.
        service: Started and stopped with the application: the scheduler, if this process runs it.

    Raises:
        SettingsInvalid: A setting does not parse.
    """
    views = SnapshotViews(cache, MaskRules.of(settings))
    pool = ScanPool(settings.cache_place)
    threads = CapacityLimiter(QUERY_THREADS)
    executor = StreamedExecutor(pool, threads)
    fetch = FetchEndpoint(cache, settings, views, RefreshStream(cache, settings, watcher), executor)
    figure_pool = FigurePool(settings.cache_place)
    figures = FiguresEndpoints(cache, settings, RatesFile.of(settings), views, figure_pool)
    changes = ChangesEndpoint(cache, views, threads)
    refresh = RefreshEndpoints(cache)
    sign = SignEndpoint(
        {
            FETCH_PATH: fetch.check,
            "/changes": changes.get,
            FIGURES_PATH: figures.figures,
            FIGURE_EVENTS_PATH: figures.events,
            "/events": watcher.feed.check,
        }
    )
    status = StatusEndpoints(cache, settings, views)
    metrics = Metrics(cache)
    authenticator = Authenticator(cache, key, settings)
    uses = LastUses(cache)
    feeds = FeedEndpoint(
        authenticator,
        {FETCH_PATH: fetch.get, FIGURES_PATH: figures.figures, FIGURE_EVENTS_PATH: figures.events},
        uses,
    )
    access_log = AccessLog(settings.log_format) if settings.access_log == "on" else None
    handlers: Mapping[str, Handler] = {
        "getRows": fetch.get,
        "getChanges": changes.get,
        "getFigures": figures.figures,
        "getFigureEvents": figures.events,
        "getFigureMetrics": figures.metrics,
        "getChecks": ChecksEndpoint(cache, views).get,
        "getFeed": feeds.get,
        "getEvents": watcher.feed,
        "postRefresh": refresh.post,
        "getTask": refresh.get_task,
        "postSign": sign.post,
        "getStatus": status.status,
        "getMetrics": metrics.get,
        "getHealth": status.health,
        "getReady": status.ready,
        "getOpenapi": OpenApiEndpoint(authenticator, views, settings.public_path).get,
        "getDocs": docs_endpoint(),
        "getDemo": demo_endpoint(),
        "getRoot": _redirect_to_demo,
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watcher.start()
        if service:
            service.start()
        if access_log:
            access_log.start()
        checks = asyncio.create_task(views.check_regularly())
        try:
            yield
        finally:
            checks.cancel()
            if service:
                await run_in_threadpool(service.stop)
            await watcher.stop()
            await uses.stop()
            if access_log:
                access_log.stop()
            await pool.close()
            await figure_pool.close()
            executor.close()

    application = Starlette(
        routes=[_route(operation, handlers[operation.id], authenticator) for operation in OPERATIONS],
        exception_handlers={
            OrdersError: on_orders_error,
            RefreshFailed: on_refresh_failed,
            HTTPException: on_http_error,
            ClientDisconnect: on_client_gone,
            Exception: on_internal_error,
        },
        middleware=[Middleware(RelativeLocations)] if settings.public_path else [],
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False
    recorders = [metrics.record, *([access_log.record] if access_log else [])]
    return Api(application, settings.cors_origins, fetch, status, feeds, authenticator, metrics, recorders)


def _route(operation: Operation, handler: Handler, authenticator: Authenticator) -> Route:
    scope: KeyScope | None = operation.access if operation.access in ("read", "refresh") else None
    guard = [] if operation.access == "none" else [Middleware(RequireKey, authenticator=authenticator, scope=scope)]
    return Route(operation.path, handler, methods=[operation.method.upper()], middleware=guard)


class Api:
    """The application with its fast path (see api/http/fast_path.py).

    Args:
        application: The application.
        origins: CORS_ORIGINS.
        fetch: Gives prepared responses.
        status: Does so too.
        feeds: Checks feeds that are to be made.
        authenticator: Authenticates the requests that are tried on the fast path.
        metrics: Counts failures of the fast path.
        recorders: Called for each response.

    Attributes:
        lifespan: Starts and stops what runs beside the application. The lifespan of ASGI does so too.
        feeds: The feeds.
    """

    def __init__(
        self,
        application: Starlette,
        origins: str,
        fetch: FetchEndpoint,
        status: StatusEndpoints,
        feeds: FeedEndpoint,
        authenticator: Authenticator,
        metrics: Metrics,
        recorders: Sequence[Recorder],
    ) -> None:
        app = CommonHeaders(LimitHeaders(ProblemDetails(application)), origins)
        self._app: ASGIApp = RecordResponses(RequestIds(app), self.record)
        self._fetch = fetch
        self._status = status
        self.feeds = feeds
        self._authenticator = authenticator
        self._metrics = metrics
        self._recorders = recorders
        self.headers_for = app.headers_for
        self.lifespan: Lifespan[Any] = application.router.lifespan_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request the usual way."""
        if scope["type"] == "http":
            scope["path"] = own_path(scope["path"])
        await self._app(scope, receive, send)

    def record(self, scope: Scope, status: int, size: int, started: float) -> None:
        """Records a response (see access_log.Recorder)."""
        for recorder in self._recorders:
            recorder(scope, status, size, started)

    def try_prepared(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[PreparedResponse, bytes] | None:
        """The response and the lines of its other headers, if nothing has to be waited for.

        If the request is refused, it goes the usual way, which sends the error. The same happens after an exception,
        which is logged and counted.
        """
        path = scope["path"]
        if path not in (FETCH_PATH, STATUS_PATH) or b"signature=" in scope["query_string"]:
            return None
        identity = scope[IDENTITY] = identify(headers)
        try:
            admission = scope[ADMISSION] = self._authenticator.authenticate(scope)
            if not isinstance(admission, Admission):
                return None
            if path == STATUS_PATH:
                response = self._status.try_prepared()
            else:
                response = self._fetch.try_prepared(scope, admission, headers)
        except OrdersError:
            return None
        except Exception:
            log.exception("The fast path failed. The request goes the usual way.")
            self._metrics.fast_path_failures += 1
            return None
        if not response:
            return None
        own = header_lines(identity.headers + admission.limit_headers())
        return response, own + self.headers_for(headers.get(b"origin")).text


async def _redirect_to_demo(_: Request) -> Response:
    return RedirectResponse("/demo")
