"""`GET /checks`: whether the orders of the newest generation add up, as found at its publish."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth.authentication import admission_of
from api.contract.check_models import Checks
from api.contract.json_response import dump_model
from api.contract.queries.parameters import read_parameters
from api.contract.response_models import Freshness
from api.http.negotiation import etag_matches
from api.http.prepared_response import PreparedResponse
from api.routes.snapshot_view import SnapshotViews
from cache.check_report import CheckReport
from cache.storage.documents import READING
from cache.storage.store import Cache


class ChecksEndpoint:
    """The endpoint.

    Args:
        cache: The cache.
        views: The open generations.
    """

    def __init__(self, cache: Cache, views: SnapshotViews) -> None:
        self._cache = cache
        self._views = views

    async def get(self, request: Request) -> PreparedResponse:
        """The checks of the newest generation.

        Raises:
            OrdersError: The request is refused.
        """
        admission = admission_of(request)
        read_parameters(admission.query, request.scope["path"])
        view = await self._views.get()
        mask = await self._views.mask(view, admission.access)
        identity = await run_in_threadpool(self._identity) if mask else ()
        with_keys = not mask.hides_one_of((*view.snapshot.manifest.key, *identity))
        etag = view.etag(f"checks\0{with_keys}".encode())
        tags = request.headers.get("if-none-match")
        if tags is not None and etag_matches(tags.encode(), etag):
            return PreparedResponse(304, view.headers, [(b"etag", etag)], [])
        report = view.checks or CheckReport()
        body = dump_model(Checks.of_report(report, Freshness.of(view.head), with_keys))
        return PreparedResponse(200, view.headers, [(b"etag", etag), (b"content-type", b"application/json")], [body])

    def _identity(self) -> tuple[str, ...]:
        """The columns that the keys of orders come from, where several rows belong to one order."""
        reading = self._cache.documents.read(READING).reading
        return reading.identity if reading else ()
