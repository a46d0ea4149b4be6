"""`GET /figures`, `/figures/events` and `/figures/metrics`: the figures of the dashboard, for programs.

They are computed by a worker process (cache/export/figure_pool.py). This process keeps the newest responses by their
ETags, so that a repeated request waits for no worker.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth.authentication import admission_of
from api.contract.errors import ParameterInvalid
from api.contract.figure_models import FigureEventsHead, FigureMetrics, FiguresHead
from api.contract.json_response import dump_model
from api.contract.queries.fetch_query import RESTART_PAGING, content_type
from api.contract.queries.figures_query import FiguresQuery, parse_events_query, parse_figures_query
from api.contract.queries.page_token import PageToken
from api.contract.queries.parameters import read_parameters
from api.http.compute_threads import compute_in_thread
from api.http.links import next_link
from api.http.negotiation import compress, etag_matches
from api.http.prepared_response import Chunk, PreparedResponse
from api.routes.snapshot_view import BODY_END, SnapshotView, SnapshotViews
from cache.accept_encoding import accepts_gzip
from cache.analytics.exchange_rates import ExchangeRates, RatesFile
from cache.errors import UnknownGeneration
from cache.export.figure_pool import FigurePool
from cache.export.figure_request import FigureRequest, OrdersSource
from cache.export.row_format import CONTENT_TYPES, FileFormat
from cache.settings import Settings
from cache.storage.documents import READING, SETUP
from cache.storage.records import now
from cache.storage.store import Cache

KEPT_BYTES = 16 << 20  # of all kept responses together
_TEXT_FORMATS: tuple[FileFormat, ...] = ("json", "ndjson", "csv")  # the others are compressed themselves

_HEADS: Mapping[str, type[FiguresHead | FigureEventsHead]] = {"figures": FiguresHead, "events": FigureEventsHead}

_Headers = list[tuple[bytes, bytes]]


class Body(NamedTuple):
    """A body with its own headers."""

    headers: _Headers
    chunks: list[Chunk]


class FiguresEndpoints:
    """The endpoints.

    Args:
        cache: The cache.
        settings: Clock, week and currency of the shop, where the set-up of the table names none.
        rates_file: Exchange rates; None where the settings name none.
        views: The open generations.
        pool: Computes figures.
    """

    def __init__(
        self,
        cache: Cache,
        settings: Settings,
        rates_file: RatesFile | None,
        views: SnapshotViews,
        pool: FigurePool,
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._rates_file = rates_file
        self._views = views
        self._pool = pool
        self._responses = KeptBodies()

    async def figures(self, request: Request) -> PreparedResponse:
        """Figures by dimensions and over time.

        Raises:
            OrdersError: The request is refused.
        """
        parameters = await compute_in_thread(parse_figures_query, admission_of(request).query)
        return await self._rows(request, "figures", parameters)

    async def events(self, request: Request) -> PreparedResponse:
        """The events that sum to a figure.

        Raises:
            OrdersError: The request is refused.
        """
        parameters = await compute_in_thread(parse_events_query, admission_of(request).query)
        return await self._rows(request, "events", parameters)

    async def _rows(
        self, request: Request, what: Literal["figures", "events"], parameters: FiguresQuery
    ) -> PreparedResponse:
        try:
            view = await self._views.get(parameters.after.generation if parameters.after else None)
        except UnknownGeneration as error:
            raise UnknownGeneration(error.message, RESTART_PAGING) from error
        source, at = await self._source(view), now()
        accept = _header(request, b"accept")
        file_format = parameters.file_format(accept)
        type_of_body = content_type(file_format, accept)
        day = at.astimezone(ZoneInfo(source.setup.timezone or source.timezone)).date()
        rates = await run_in_threadpool(self._rates, parameters)
        asked = f"{source.model_dump_json()}\0{day}\0{parameters.query!r}\0{rates and rates.version}"
        first = _first_row(view, parameters, asked)
        access = admission_of(request).access
        mask = await self._views.mask(view, access)
        figure_request = FigureRequest(
            what=what,
            source=source,
            now=at,
            verified_at=view.head.updated_at,
            query=parameters.query,
            rates=rates,
            mask=mask,
            format=file_format,
            csv=parameters.csv,
            about=view.about,
            offset=first,
            limit=parameters.limit,
        )

        async def body() -> Body:
            query = admission_of(request).query
            computed = await self._compute(view, figure_request, view.bind(asked.encode()), access.name, query)
            return Body([(b"content-type", type_of_body.encode()), *computed.headers], computed.chunks)

        page = f"{first}\0{parameters.limit}\0{type_of_body}\0{parameters.csv}\0{mask or ''}"
        return await self._respond(request, view, f"{asked}\0{page}", file_format in _TEXT_FORMATS, body)

    async def metrics(self, request: Request) -> PreparedResponse:
        """The metrics and dimensions.

        Raises:
            OrdersError: The request is refused.
        """
        read_parameters(admission_of(request).query, request.scope["path"])
        view = await self._views.get()
        source = await self._source(view)

        async def body() -> Body:
            asked = FigureRequest(what="describe", source=source, now=now(), verified_at=view.head.updated_at)
            answer = await self._pool.execute(asked, admission_of(request).access.name)
            described = FigureMetrics.model_validate({"status": "success", **answer.summary})
            return Body([(b"content-type", CONTENT_TYPES["json"].encode())], [dump_model(described)])

        return await self._respond(request, view, source.model_dump_json(), True, body)

    def _rates(self, parameters: FiguresQuery) -> ExchangeRates | None:
        """The rates that amounts are to be converted by."""
        if not parameters.convert:
            return None
        if self._rates_file is None:
            raise ParameterInvalid(
                "Parameter 'convert' needs exchange rates.", "Set RATES_FILE and SHOP_CURRENCY, or leave 'convert' out."
            )
        main = self._rates_file.currency
        if parameters.query.currency not in ("", main):
            raise ParameterInvalid(
                f"Parameter 'convert' converts to {main} only.", f"Send currency={main}, or leave 'currency' out."
            )
        return self._rates_file.read()

    async def _source(self, view: SnapshotView) -> OrdersSource:
        return OrdersSource(
            generation=view.generation,
            setup=await run_in_threadpool(self._cache.documents.read, SETUP),
            timezone=self._settings.shop_timezone,
            week_start=self._settings.week_start,
            cancelled_orders=self._settings.cancelled_orders,
            main_currency=self._settings.shop_currency or "",
            mask=await run_in_threadpool(self._views.personal_data, view),
        )

    async def _compute(
        self, view: SnapshotView, request: FigureRequest, binding: bytes, key: str, query: bytes
    ) -> Body:
        answer = await self._pool.execute(request, key)
        rows = answer.rows
        stop = request.offset + answer.summary["count"]
        more = stop < answer.summary["total_count"]
        following = str(PageToken(view.generation, stop, binding)) if more else None
        headers = next_link(query, "after", following) if following else []
        if request.format == "json":
            head = _HEADS[request.what].model_validate({"status": "success", **answer.summary, "next": following})
            begin = dump_model(head)[:-1] + b", " + view.freshness_json + b', "data": ['
            return Body(headers, [begin, rows, BODY_END])
        headers.append((b"x-total-count", b"%d" % answer.summary["total_count"]))
        if following:
            headers.append((b"x-next", following.encode()))
        if request.format != "ndjson":
            headers.append((b"content-disposition", f'attachment; filename="{request.what}.{request.format}"'.encode()))
        return Body(headers, [rows])

    async def _respond(
        self, request: Request, view: SnapshotView, variant: str, is_text: bool, body: Callable[[], Awaitable[Body]]
    ) -> PreparedResponse:
        gzip = is_text and accepts_gzip(_header(request, b"accept-encoding") or b"")
        masked = admission_of(request).access.masked
        reading = await run_in_threadpool(self._cache.documents.read, READING)
        etag = view.etag(f"{request.scope['path']}\0{variant}\0{gzip}\0{masked}\0{reading!r}".encode())
        if_none_match = _header(request, b"if-none-match")
        is_known = if_none_match is not None and etag_matches(if_none_match, etag)
        if is_known and if_none_match != b"*":  # any tag proves nothing: the request is checked first
            return PreparedResponse(304, view.headers, [(b"etag", etag)], [])
        kept = await self._responses.get(etag, lambda: _complete(body, gzip))
        if is_known:
            return PreparedResponse(304, view.headers, [(b"etag", etag)], [])
        return PreparedResponse(200, view.headers, [(b"etag", etag), *kept.headers], kept.chunks)


class KeptBodies:
    """The newest bodies by ETag. Requests for the same one at the same time are computed once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Body] = OrderedDict()  # the one used last is at the end
        self._size = 0
        self._running: dict[bytes, asyncio.Task[Body]] = {}

    async def get(self, etag: bytes, compute: Callable[[], Coroutine[Any, Any, Body]]) -> Body:
        """The body with that tag, computed if it is not kept."""
        if etag in self._kept:
            self._kept.move_to_end(etag)
            return self._kept[etag]
        task = self._running.get(etag)
        if task is None:
            task = self._running[etag] = asyncio.create_task(compute())
            task.add_done_callback(lambda _: self._running.pop(etag))
        body = await asyncio.shield(task)
        self._keep(etag, body)
        return body

    def _keep(self, etag: bytes, body: Body) -> None:
        if etag not in self._kept:
            self._kept[etag] = body
            self._size += _size(body)
        while self._size > KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= _size(oldest)


def _size(body: Body) -> int:
    return sum(map(len, body.chunks))


async def _complete(body: Callable[[], Awaitable[Body]], gzip: bool) -> Body:
    """The body, compressed if the client takes that and it is worth it."""
    return await compute_in_thread(_completed, *await body(), gzip)


def _completed(headers: _Headers, chunks: list[Chunk], gzip: bool) -> Body:
    if gzip:
        chunks, compressed = compress(chunks)
        headers += [(b"content-encoding", b"gzip")] if compressed else []
    return Body(headers, [b"".join(chunks)])


def _first_row(view: SnapshotView, parameters: FiguresQuery, asked: str) -> int:
    if parameters.after is None:
        return 0
    if parameters.after.binding != view.bind(asked.encode()):
        raise ParameterInvalid(
            "Parameter 'after' belongs to another query, another day or other settings.",
            "Send it with the parameters of the response it came from, or start again without it.",
        )
    return parameters.after.row


def _header(request: Request, name: bytes) -> bytes | None:
    return next((value for key, value in request.scope["headers"] if key == name), None)
