"""`GET /fetch-data`: waits for a refresh if the request asks for one, then plans and executes the request."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.auth.authentication import Admission, admission_of
from api.contract.errors import ParameterInvalid, RefreshFailed
from api.contract.queries.fetch_query import RESTART_PAGING, FetchQuery, parse_fetch_query
from api.http.compute_threads import compute_in_thread
from api.http.event_stream import EVENT_STREAM_TYPE
from api.http.prepared_response import PreparedResponse
from api.routes.prepared import prepare
from api.routes.refresh import AutomaticRefresh, no_snapshot_error, request_automatically
from api.routes.refresh_stream import DONE_ID, Payload, RefreshStream
from api.routes.request_plan import RequestPlan, plan_request
from api.routes.snapshot_view import SnapshotView, SnapshotViews
from api.routes.streamed import StreamedExecutor, stream_response
from cache.access.masking import NOTHING_HIDDEN
from cache.errors import NoSnapshot, UnknownGeneration, WarmingUp
from cache.settings import Settings
from cache.storage.store import Cache

PARAMETERS, PLAN = "orders.parameters", "orders.plan"  # keys in the ASGI scope that the fast path sets
MAX_PLANS = 256  # of the newest view that are kept; what each was made from is shorter than fast_path.MAX_BYTES
PLAN_HEADERS = (b"if-none-match", b"accept", b"accept-encoding")  # request headers that a plan depends on


class FetchEndpoint:
    """The endpoint `GET /fetch-data`.

    Args:
        cache: The cache.
        settings: Limit how often a refresh may start.
        views: The open generations.
        stream: Follows refreshes.
        executor: Executes the plans for which `prepare` returns None.
    """

    def __init__(
        self,
        cache: Cache,
        settings: Settings,
        views: SnapshotViews,
        stream: RefreshStream,
        executor: StreamedExecutor,
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._views = views
        self._stream = stream
        self._executor = executor
        # Clients that poll repeat the same request, so what was planned is kept, by view and by what was requested.
        self._plans: tuple[SnapshotView | None, dict[object, RequestPlan | PreparedResponse]] = (None, {})

    def try_prepared(
        self, scope: Scope, admission: Admission, headers: Mapping[bytes, bytes]
    ) -> PreparedResponse | None:
        """Returns the response if it can be sent at once, else None.

        The parsed parameters and the plan stay in the ASGI scope, where `get` reads them.

        Raises:
            OrdersError: The request is refused.
        """
        access = admission.access
        access.require("read")
        if access.masked:
            return None  # the set-up says what is hidden, and is read from a file
        view = self._views.open_view()
        if self._plans[0] is not view:
            self._plans = view, {}
        plans = self._plans[1]
        request = (admission.query, access.name, *map(headers.get, PLAN_HEADERS))
        plan = plans.get(request)
        if plan is None:
            parameters = scope[PARAMETERS] = parse_fetch_query(admission.query)
            any_tag = (
                headers.get(b"if-none-match", b"").strip() == b"*"
            )  # a list of values may be checked, which takes long
            if parameters.refresh or parameters.stream or parameters.wait or any_tag:
                return None
            if parameters.after:
                view = self._views.open_view(parameters.after.generation)
            if view is None:
                return None
            plan = plan_request(view, parameters, headers, access.name, NOTHING_HIDDEN)
            if not parameters.after:
                if len(plans) >= MAX_PLANS:
                    plans.clear()
                plans[request] = plan
        if isinstance(plan, PreparedResponse):
            return plan
        scope[PLAN] = plan
        return prepare(plan)

    async def get(self, request: Request) -> Response | PreparedResponse:
        """Answers a request for which `try_prepared` returned no response, or was not called.

        Raises:
            OrdersError: The request is refused.
            RefreshFailed: `wait=true`, and the refresh failed.
        """
        if planned := request.scope.get(PLAN):
            return await self._executor.respond(request, planned.begun())
        admission = admission_of(request)
        # Up to MAX_HEAD bytes are parsed, and checked against the columns, in a thread.
        parameters: FetchQuery | None = request.scope.get(PARAMETERS)
        if parameters is None:
            parameters = await compute_in_thread(parse_fetch_query, admission.query)
        if parameters.refresh or parameters.wait:
            admission.access.require("refresh")
        if parameters.stream and request.headers.get("last-event-id") == DONE_ID:
            return Response(status_code=204)
        refresh = None
        if parameters.refresh:
            refresh = await run_in_threadpool(request_automatically, self._cache, self._settings)
        elif parameters.wait:
            await self._wait_for_refresh()
        view = await self._open_view(parameters, refresh)
        info = refresh.info if refresh else None
        if parameters.stream:
            return await self._events(request, view, parameters, refresh)
        headers = dict(request.scope["headers"])
        mask = await self._views.mask(view, admission.access)
        key = admission.access.name
        plan = await compute_in_thread(plan_request, view, parameters, headers, key, mask, info)
        if isinstance(plan, PreparedResponse):
            return plan
        return prepare(plan) or await self._executor.respond(request, plan.begun())

    async def check(self, request: Request) -> None:
        """Checks what an address asks for that is to be signed. It may refresh only as a stream.

        Raises:
            OrdersError: The request is refused.
        """
        admission = admission_of(request)
        parameters = await compute_in_thread(parse_fetch_query, admission.query)
        if parameters.wait or (parameters.refresh and not parameters.stream):
            name = "wait" if parameters.wait else "refresh"
            raise ParameterInvalid(
                f"Parameter '{name}' cannot be signed: a link that is opened would start a refresh.",
                "Leave it out, or send stream=true&refresh=true.",
            )
        if parameters.refresh:
            admission.access.require("refresh")
        view = await self._open_view(parameters, None)
        mask = await self._views.mask(view, admission.access)
        plan = await compute_in_thread(plan_request, view, parameters, {}, admission.access.name, mask)
        if isinstance(plan, RequestPlan):
            await compute_in_thread(plan.check)

    async def _wait_for_refresh(self) -> None:
        task = await run_in_threadpool(self._cache.runs.request, "api, waiting", automatic=True)
        trouble = await self._stream.wait_for(task)
        if trouble:
            raise RefreshFailed(task.id, trouble)

    async def _open_view(self, parameters: FetchQuery, refresh: AutomaticRefresh | None) -> SnapshotView:
        try:
            return await self._views.get(parameters.after.generation if parameters.after else None)
        except WarmingUp:
            raise
        except NoSnapshot as error:
            raise await run_in_threadpool(no_snapshot_error, self._cache, refresh) from error
        except UnknownGeneration as error:
            raise UnknownGeneration(error.message, RESTART_PAGING) from error

    async def _events(
        self, request: Request, view: SnapshotView, parameters: FetchQuery, refresh: AutomaticRefresh | None
    ) -> Response:
        access = admission_of(request).access

        async def payload(view: SnapshotView, info: str | None) -> Payload:
            plan = plan_request(view, parameters, {}, access.name, await self._views.mask(view, access), info)
            assert isinstance(plan, RequestPlan)  # no headers, so no 304
            if parameters.rows == "chunked":
                return await self._executor.chunked_payload(plan.begun())
            _, body = await self._executor.json_body(plan.begun())
            return Payload(body)

        async def refreshed_payload() -> Payload:
            return await payload(await self._views.get(), None)

        cached = await payload(view, refresh.info if refresh else None)
        events = self._stream.events(cached, refresh, refreshed_payload)
        return stream_response(request, events, view, {"Content-Type": EVENT_STREAM_TYPE, "X-Accel-Buffering": "no"})
