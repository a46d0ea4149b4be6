"""Executes a plan if nothing has to be waited for: rows as they were rendered at publish, between head and end.

The protocol calls it while other requests wait (api/http/fast_path.py), so it does nothing that takes long.
"""

from __future__ import annotations

from api.contract.queries.fetch_query import ALL_ROWS, PUBLISHED_FORMAT
from api.http.negotiation import MAX_GZIP, compress
from api.http.prepared_response import Chunk, PreparedResponse
from api.routes.request_plan import Facets, RequestPlan
from api.routes.snapshot_view import BODY_END

# Queries are answered here if the table has at most so many rows, which takes some milliseconds: for the first pages,
# and for any page.
MAX_TABLE_FIRST_PAGES, MAX_TABLE = 2_000_000, 100_000
MAX_PICKED_ROWS = 5_000  # rows of a query that are put together at once


def prepare(plan: RequestPlan) -> PreparedResponse | None:
    """Executes a plan.

    Returns:
        The response; None if the plan has to be streamed.

    Raises:
        BadFilter: A filter, sort or facet does not fit the columns.
    """
    if plan.row_format is not PUBLISHED_FORMAT:
        return None
    everything = plan.query is ALL_ROWS
    if not (everything or _is_small(plan)):
        return None
    facets: Facets = {}
    if plan.parameters.facet:
        if plan.view.rows > MAX_TABLE or not plan.index_has_facets():
            return None
        facets = plan.facets()
    rows: list[Chunk]
    if everything:
        page = plan.page(plan.view.rows)
        rows = list(plan.view.snapshot.json_slices(page.start, page.stop))
    else:
        try:
            matches = plan.view.index.find(plan.query, plan.first, plan.limit)
        except LookupError:  # the index does not have it
            return None
        page = plan.page(matches.total)
        if page.row_count > MAX_PICKED_ROWS:
            return None
        rows = [plan.view.snapshot.gather(matches.rows)]
    head = plan.body_head(page, facets)
    headers = plan.headers()
    chunks: list[Chunk] = [head, *rows, BODY_END]
    if plan.gzip:
        if everything and 0 < page.row_count == page.total:
            chunks, compressed = plan.view.snapshot.gzip_slices(head, BODY_END), True
        elif sum(map(len, chunks)) > MAX_GZIP:
            return None
        else:
            chunks, compressed = compress(chunks)
        if compressed:
            headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", b"%d" % sum(map(len, chunks))))
    return PreparedResponse(200, plan.view.headers, headers, chunks)


def _is_small(plan: RequestPlan) -> bool:
    """Whether a query takes some milliseconds at most."""
    first_pages = plan.limit is not None and plan.first + plan.limit <= MAX_PICKED_ROWS
    return plan.view.rows <= (MAX_TABLE_FIRST_PAGES if first_pages else MAX_TABLE)
