"""GET /export: a file of the orders that a page shows, as CSV, Excel or Parquet, sent as it is made.

The address says all, and is signed (cache/access): which orders of which copy of the table, the format, and what
the visitor may not see. A process of its own finds and renders the rows (cache/export), at the pace of the client.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from cache.access.signed_urls import EXPIRES, SIGNATURE, is_signed, signed
from cache.errors import BadFilter, OrdersError, ScanBusy, TooManyRows, UnknownGeneration
from cache.export.order_selection import OrderSelection
from cache.export.pool import ScanPool
from cache.export.row_format import RowFormat
from cache.query.filters import Query
from cache.storage.records import now

Format = Literal["csv", "xlsx", "parquet"]

PATH = "/export"
GOOD_FOR = timedelta(hours=12)  # a page may stay open all day, and a sign-in stands before it
_BY = "dashboard"
_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
_STATUS: Mapping[type[OrdersError], int] = {UnknownGeneration: 410, TooManyRows: 400, BadFilter: 400, ScanBusy: 503}


def address(secret: str, generation: int, selection: OrderSelection, format: Format) -> str:
    """A link to the file. Parameters: `secret` is the cache's."""
    said = {"format": format, "generation": generation, "orders": selection.model_dump_json()}
    return signed(secret, PATH, urlencode(said), _BY, now() + GOOD_FOR)


class Downloads:
    """Parameters: `cache_url` is CACHE_URL; `secret` the cache's."""

    def __init__(self, cache_url: str, secret: str) -> None:
        self._scan_pool = ScanPool(cache_url)
        self._secret = secret

    async def get(self, request: Request) -> Response:
        said = dict(request.query_params)
        pairs = [(name, value) for name, value in request.query_params.multi_items() if name != SIGNATURE]
        mac = said.get(SIGNATURE, "").removeprefix(f"{_BY}.")
        if not is_signed(self._secret, PATH, pairs, _BY, mac) or int(said[EXPIRES]) < time.time():
            return PlainTextResponse("This link is not good any more. Load the page again, and take a new one.", 403)
        format: Format = said["format"]  # type: ignore[assignment]  # as it was signed
        selection = orjson.loads(said["orders"])
        shape = RowFormat(format, masked=frozenset(selection["masked"]), escape_formulas=format == "csv")
        try:
            rows = await self._scan_pool.stream(int(said["generation"]), Query(), shape, selection=selection)
        except OrdersError as error:
            return PlainTextResponse(str(error), _STATUS.get(type(error), 503))
        name = f"orders-{datetime.now():%Y-%m-%d}.{format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingResponse(_sent(rows), headers=headers, media_type=_TYPES[format])

    async def close(self) -> None:
        await self._scan_pool.close()


async def _sent(rows: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rows):  # a client that goes away ends the process
        async for piece in rows:
            yield piece
