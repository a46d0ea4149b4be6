"""Executes a plan if nothing has to be waited for: rows as they were rendered at publish, between head and end.

The protocol calls it while other requests wait (api/http/fast_path.py), so it does nothing that takes long.
"""

from __future__ import annotations

from api.contract.queries.fetch_query import ALL_ROWS, PUBLISHED_FORMAT
from api.http.negotiation import compress
from api.http.prepared_response import Chunk, PreparedResponse
from api.routes.request_plan import RequestPlan
from api.routes.snapshot_view import BODY_END
from cache.query.budget import COMPRESSED_BYTE_NS, COPIED_BYTE_NS, LOOP_SECONDS, PICKED_ROW_NS, READ_ROW_NS, Budget

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
    try:
        return _prepare(plan, Budget(LOOP_SECONDS))
    except LookupError:  # the index does not have it, or the budget is spent
        return None


def _prepare(plan: RequestPlan, budget: Budget) -> PreparedResponse | None:
    everything = plan.query is ALL_ROWS
    facets = plan.facets(budget)
    rows: list[Chunk]
    if everything:
        page = plan.page(plan.view.rows)
        rows = list(plan.view.snapshot.json_slices(page.start, page.stop))
    else:
        matches = plan.view.index.find(plan.query, plan.first, plan.limit, budget)
        page = plan.page(matches.total)
        if page.row_count > MAX_PICKED_ROWS:
            return None
        row_cost = READ_ROW_NS if plan.gzip else PICKED_ROW_NS
        budget.spend(page.row_count * (row_cost + plan.view.mean_row_bytes * COPIED_BYTE_NS))
        if plan.gzip:
            rows = [plan.view.snapshot.gather(matches.rows)]
        else:
            rows = list(plan.view.snapshot.gather_to_send(matches.rows))
    head = plan.body_head(page, facets)
    headers = plan.headers(page)
    chunks: list[Chunk] = [head, *rows, BODY_END]
    if plan.gzip:
        if everything and 0 < page.row_count == page.total:
            chunks, compressed = plan.view.snapshot.gzip_slices(head, BODY_END), True
        else:
            budget.spend(sum(map(len, chunks)) * COMPRESSED_BYTE_NS)
            if everything:  # the slices are only to be sent
                chunks = [head, *plan.view.snapshot.read_json(page.start, page.stop), BODY_END]
            chunks, compressed = compress(chunks)
        if compressed:
            headers.append((b"content-encoding", b"gzip"))
    return PreparedResponse(200, plan.view.headers, headers, chunks)
