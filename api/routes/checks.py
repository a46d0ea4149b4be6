"""`GET /checks`: whether the orders of the newest generation add up, as found at its publish."""

from __future__ import annotations

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


class ChecksEndpoint:
    """The endpoint.

    Args:
        views: The open generations.
    """

    def __init__(self, views: SnapshotViews) -> None:
        self._views = views

    async def get(self, request: Request) -> PreparedResponse:
        """The checks of the newest generation.

        Raises:
            OrdersError: The request is refused.
        """
        admission = admission_of(request)
        read_parameters(admission.query, request.scope["path"])
        view = await self._views.get()
        masked = admission.access.masked
        etag = view.etag(f"checks\0{masked}".encode())
        tags = request.headers.get("if-none-match")
        if tags is not None and etag_matches(tags.encode(), etag):
            return PreparedResponse(304, view.headers, [(b"etag", etag)], [])
        with_keys = not masked or view.personal.isdisjoint(view.snapshot.manifest.key)
        report = view.checks or CheckReport()
        body = dump_model(Checks.of_report(report, Freshness.of(view.head), with_keys))
        return PreparedResponse(200, view.headers, [(b"etag", etag), (b"content-type", b"application/json")], [body])
