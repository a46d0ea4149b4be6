"""The plan of a request to `/fetch-data`: the request is planned once, then executed.

A plan says which rows of which generation are sent, in which format, and under which ETag. `prepared` executes it if
nothing has to be waited for, `streamed` executes any plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, NamedTuple

from api.contract.errors import ParameterInvalid
from api.contract.queries.fetch_query import REPLACED_BY_AFTER, FetchQuery, content_type
from api.contract.queries.page_token import PageToken
from api.contract.response_models import Column
from api.http.links import next_link
from api.http.negotiation import etag_matches
from api.http.prepared_response import PreparedResponse
from api.routes.snapshot_view import SnapshotView
from cache.accept_encoding import accepts_gzip
from cache.access.masking import Mask
from cache.export.row_format import RowFormat
from cache.query.budget import Budget
from cache.query.filters import Query, find_column

MAX_FACET_VALUES = 100

Facets = Mapping[str, list[tuple[Any, int]]]
"""The most frequent values of columns, with their counts."""


class Page(NamedTuple):
    """The page that is sent: rows `start` to `stop` of the `total` that match, and the token of the next page."""

    start: int
    stop: int
    total: int
    next: str | None

    @property
    def row_count(self) -> int:
        """The number of rows on the page."""
        return self.stop - self.start


@dataclass(slots=True)
class RequestPlan:
    """What is sent.

    Attributes:
        view: The generation.
        key: The name of the key that asks.
        parameters: The parameters of the request.
        query: Which rows match, and their order.
        row_format: How rows are written.
        content_type: The header `Content-Type`.
        gzip: Whether the client takes gzip.
        etag: The ETag of the response.
        first: The number of the first row of the page among those that match.
        limit: The maximum number of rows of the page; None: all that follow.
        info: What became of the refresh that was requested, if one was.
        since: When its execution began, as `time.monotonic` tells it; None before. A plan is kept for the next request.
    """

    view: SnapshotView
    key: str
    parameters: FetchQuery
    query: Query
    row_format: RowFormat
    content_type: str
    gzip: bool
    etag: bytes
    first: int
    limit: int | None
    info: str | None
    since: float | None = None

    def begun(self) -> RequestPlan:
        """The plan for an execution that begins now."""
        return replace(self, since=monotonic())

    def page(self, total: int) -> Page:
        """The page, where `total` rows match."""
        start = min(total, self.first)
        stop = total if self.limit is None else min(total, start + self.limit)
        following = None
        if start < stop < total:
            following = str(PageToken(self.view.generation, stop, self.view.binding(self.query)))
        return Page(start, stop, total, following)

    def body_head(self, page: Page, facets: Facets, rows_follow: bool = False) -> bytes:
        """The JSON body up to its rows. After the rows comes BODY_END.

        Args:
            page: The page.
            facets: The facets.
            rows_follow: Whether the body has no rows, since they follow it.
        """
        keys: dict[str, Any] = {}
        if self.info:
            keys["_info"] = self.info
        if self.parameters.metadata_only:
            columns = self.view.columns
            keys["columns"] = [Column.model_validate(column, from_attributes=True).model_dump() for column in columns]
            keys["size"] = self.view.snapshot.json_size
        if facets:
            keys["facets"] = {
                column: [{"value": value, "count": count} for value, count in values]
                for column, values in facets.items()
            }
        count = 0 if rows_follow else page.row_count
        return self.view.body_head(count, range(page.start, page.stop), page.total, page.next, keys)

    def headers(self, page: Page) -> list[tuple[bytes, bytes]]:
        """The response headers that depend on the request."""
        text = self.parameters.text
        link = next_link(text, "after", page.next, REPLACED_BY_AFTER) if page.next else []
        return [*link, (b"etag", self.etag), (b"content-type", self.content_type.encode())]

    def facets(self, budget: Budget) -> Facets:
        """The facets, counted by the index of the view.

        Raises:
            BadFilter: A facet is not a column.
            LookupError: The index does not have them, or the budget is spent.
        """
        index = self.view.index
        return {column: index.facet(self.query, column, MAX_FACET_VALUES, budget) for column in self.parameters.facet}

    def check(self) -> None:
        """Checks the names and values that the response depends on.

        Raises:
            BadFilter: A filter, sort, facet or list of columns does not fit the columns.
        """
        self.row_format.select(self.view.columns)
        self.view.index.supports(self.query)
        for column in self.parameters.facet:
            find_column(column, self.view.columns)


def plan_request(
    view: SnapshotView,
    parameters: FetchQuery,
    headers: Mapping[bytes, bytes],
    key: str,
    mask: Mask,
    info: str | None = None,
) -> RequestPlan | PreparedResponse:
    """Plans a request.

    Args:
        view: The generation that is sent.
        parameters: The parameters of the request.
        headers: The headers of the request.
        key: The name of the key that asks.
        mask: What is hidden from it.
        info: What became of the refresh that was requested, if one was.

    Returns:
        The plan. If the client has the response already: 304.

    Raises:
        ParameterInvalid: `after` belongs to another query, or a parameter is unknown.
        BadFilter: A filter, sort or list of columns does not fit the columns.
        ColumnMasked: The request needs a column that is hidden from the key.
    """
    accept = headers.get(b"accept")
    row_format = parameters.row_format(accept, mask, view.about)
    type_of_body = content_type(row_format.format, accept)
    gzip = accepts_gzip(headers.get(b"accept-encoding", b""))
    variant = f"\0{type_of_body}\0{gzip}\0{mask or ''}\0{info or ''}"
    etag = view.etag(parameters.identity(view.names) + variant.encode())
    if_none_match = headers.get(b"if-none-match")
    any_tag = if_none_match is not None and if_none_match.strip() == b"*"
    if if_none_match is not None and not any_tag and etag_matches(if_none_match, etag):
        return _not_modified(view, etag)
    query = parameters.query(view.names)
    if mask:
        conditions, sort = (column.column for column in query.conditions), (column.column for column in query.sort)
        mask.refuse([*conditions, *sort, *parameters.facet])
    first = parameters.offset if parameters.after is None else _first_row(parameters.after, view.binding(query))
    limit = 0 if parameters.metadata_only else parameters.limit
    plan = RequestPlan(view, key, parameters, query, row_format, type_of_body, gzip, etag, first, limit, info)
    if any_tag:  # no tag proves that the request is valid, so it is checked first
        plan.check()
        return _not_modified(view, etag)
    return plan


def _first_row(token: PageToken, binding: bytes) -> int:
    if token.binding != binding:
        raise ParameterInvalid(
            "Parameter 'after' belongs to another query.",
            "Send it with the filters and the sort of the response it came from, or start again without it.",
        )
    return token.row


def _not_modified(view: SnapshotView, etag: bytes) -> PreparedResponse:
    return PreparedResponse(304, view.headers, [(b"etag", etag)], [])
