"""GET /export: a file of the orders that a page shows, as CSV, Excel or Parquet, sent while it is made.

The address holds everything, and is signed: which orders of which generation, the format, and what is hidden.
It is valid for minutes, and only for the visitor for whom it was made, in the same session and role.
A process of its own finds and renders the rows (cache/export), at the speed of the client.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from cache.access.masking import Mask
from cache.access.signed_urls import ExpiredSignature, InvalidSignature, sign_url, verify_url
from cache.errors import BadFilter, OrdersError, ScanBusy, TooManyRows, UnknownGeneration
from cache.export.about import About
from cache.export.order_selection import OrderSelection
from cache.export.pool import ScanPool
from cache.export.row_format import CONTENT_TYPES, CsvStyle, RowFormat
from cache.query.filters import Query
from cache.storage.records import now
from cache.storage.store import Snapshots
from dashboard.auth.identity import Identities, Identity

Format = Literal["csv", "xlsx", "parquet"]

PATH = "/export"
VALID_FOR = timedelta(minutes=10)  # an open page makes new links before that
_SIGNER = "dashboard"
FOR_SPREADSHEETS = CsvStyle(escape_formulas=True, bom=True)
_STATUS: Mapping[type[OrdersError], int] = {UnknownGeneration: 410, TooManyRows: 400, BadFilter: 400, ScanBusy: 503}


def export_url(
    secret: str,
    visitor: Identity,
    generation: int,
    selection: OrderSelection,
    format: Format,
    fields: Sequence[str] = (),
) -> str:
    """A link to a file, from its path on.

    Args:
        secret: The secret of the cache.
        visitor: The only one for whom it is valid.
        generation: The generation to read.
        selection: Which orders, and what is hidden.
        format: The format of the file.
        fields: The columns; empty for all.
    """
    parameters = {"format": format, "generation": generation, "orders": selection.model_dump_json(), "field": fields}
    return sign_url(secret, PATH, urlencode(parameters, doseq=True), _SIGNER, now() + VALID_FOR, _bound_to(visitor))


class Downloads:
    """Answers requests for files."""

    def __init__(self, scan_pool: ScanPool, snapshots: Snapshots, identities: Identities, secret: str) -> None:
        """Starts no process yet.

        Args:
            scan_pool: The processes that write the files.
            snapshots: Says what a generation is.
            identities: Recognises visitors.
            secret: The secret of the cache.
        """
        self._scan_pool = scan_pool
        self._snapshots = snapshots
        self._identities = identities
        self._secret = secret

    async def get(self, request: Request) -> Response:
        """Sends the file that a signed address names."""
        visitor = self._identities.identify(request.cookies)
        if visitor is None:
            return PlainTextResponse("Sign in first.", 401)
        try:
            signed = verify_url(self._secret, PATH, request.url.query, {_SIGNER: _bound_to(visitor)}.get)
            pairs = parse_qsl(signed.query)
            parameters = dict(pairs)
            fields = tuple(value for name, value in pairs if name == "field") or None
            format: Format = parameters["format"]  # type: ignore[assignment]  # it was signed
            selection = orjson.loads(parameters["orders"])
            mask = Mask(**selection["mask"])
        except (InvalidSignature, ExpiredSignature, KeyError):  # KeyError: of an earlier version
            return PlainTextResponse("This link has expired. Reload the page to get a new one.", 403)
        try:
            generation = int(parameters["generation"])
            snapshot = await run_in_threadpool(self._snapshots.inspect, generation)
            about = About.of(snapshot.manifest.source.table, snapshot.head)
            row_format = RowFormat(format, fields, mask=mask, csv=FOR_SPREADSHEETS, about=about)
            rows = await self._scan_pool.stream(
                generation, Query(), row_format, selection=selection, key=visitor.session_id
            )
        except OrdersError as error:
            return PlainTextResponse(str(error), _STATUS.get(type(error), 503))
        what = "order-lines" if selection.get("lines") else "orders"
        name = f"{what}-{datetime.now():%Y-%m-%d}.{format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingResponse(_pieces(rows), headers=headers, media_type=CONTENT_TYPES[format])

    async def close(self) -> None:
        """Ends the processes."""
        await self._scan_pool.close()


def _bound_to(visitor: Identity) -> str:
    """What a signature covers of a visitor. Another session, and another role, has another signature."""
    return f"{visitor.role} {visitor.session_id}"


async def _pieces(rows: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rows):  # a client that goes away ends the process
        async for piece in rows:
            yield piece
