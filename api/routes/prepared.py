"""Answers that are at hand: rows as they were rendered at publish, between a short head and two brackets.

Nothing here waits for anything, so that the protocol (api/http/fast_path.py) may answer at once; `fetch` does the rest.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from isal import isal_zlib

from api.contract.errors import ParameterInvalid
from api.contract.fetch_query import ALL, MEDIA_TYPES, PREPARED, FetchQuery
from api.http.prepared_response import Piece, Ready
from api.routes.snapshot_view import View
from cache.access.masking import refuse_masked
from cache.export.row_format import RowFormat
from cache.query.filters import Query
from cache.schema import Column

More = Mapping[str, Any]  # further keys of a body

# Rows of a table whose queries are answered while others wait, which takes some milliseconds at most: of one whose
# first pages are asked for, and of any other.
FIRST_PAGES, ANY_PAGE = 2_000_000, 100_000
PICKED_ROWS = 5_000  # that are put together at once
FACET_VALUES = 100
LEAST_GZIP = 1_000  # bytes of a body that is worth compressing
MOST_GZIP = 4 << 20  # bytes that are compressed at once
END = b"]}"  # of a body, after its rows
_CONTENT_TYPES = {form: (b"content-type", media_type.encode()) for form, media_type in MEDIA_TYPES.items()}
_TOKEN = struct.Struct(">QQ8s")


class Place(NamedTuple):
    """Where a page begins: its generation, its first row among those of the query, and what binds it to the query."""

    generation: int
    row: int
    binding: bytes

    def token(self) -> str:
        return base64.urlsafe_b64encode(_TOKEN.pack(*self)).decode()


def place(token: str) -> Place:
    """Reads `after`. Raises ParameterInvalid."""
    try:
        return Place(*_TOKEN.unpack(base64.b64decode(token, b"-_", validate=True)))
    except (binascii.Error, struct.error, ValueError):
        raise ParameterInvalid(
            "Parameter 'after' does not parse.", "It takes the `next` of an answer; start again without it."
        ) from None


@dataclass(slots=True)
class Question:
    """A request, held against a view. `tag` is the ETag of its answer, `first` the first row of its page."""

    view: View
    asked: FetchQuery
    query: Query
    shape: RowFormat
    gzip: bool
    tag: bytes
    first: int

    def next(self, count: int, total: int) -> str | None:
        """The token of the page that follows one of `count` rows."""
        stop = self.first + count
        if not 0 < count <= stop < total:
            return None
        return Place(self.view.generation, stop, self.view.binding(self.query)).token()


def question(view: View, asked: FetchQuery, headers: Mapping[bytes, bytes], masked: bool, more: More) -> Question:
    """Parameters: `masked` tells whether personal data is hidden; `more` are further keys of the answer.

    Raises ParameterInvalid, BadFilter, ColumnMasked, Unchanged where the client has the answer.
    """
    hidden = view.personal if masked else frozenset()
    shape = asked.shape(headers.get(b"accept"), hidden)
    gzip = takes_gzip(headers.get(b"accept-encoding", b""))
    said = f"\0{shape.format}\0{gzip}\0{masked}\0{more or ''}".encode()
    tag = view.tag(asked.said + said)
    tags = headers.get(b"if-none-match")
    any_tag = tags is not None and tags.strip() == b"*"  # which also comes with what is refused
    if tags is not None and not any_tag and matches(tags, tag):
        raise Unchanged(tag)
    query = asked.query(view.names)
    if hidden:
        refuse_masked([*(c.column for c in query.conditions), *(s.column for s in query.sort), *asked.facet], hidden)
    first = asked.offset if asked.after is None else _first(place(asked.after), view.binding(query))
    asking = Question(view, asked, query, shape, gzip, tag, first)
    if any_tag:
        shape.select(view.columns)
        view.index.supports(query)
        can_count(asking)
        raise Unchanged(tag)
    return asking


class Unchanged(Exception):
    """The client has the answer already. Parameters: its tag."""

    def __init__(self, tag: bytes) -> None:
        self.tag = tag


def _first(found: Place, binding: bytes) -> int:
    if found.binding != binding:
        raise ParameterInvalid(
            "Parameter 'after' belongs to another query.",
            "Send it with the filters and the sort of the answer it came from, or start again without it.",
        )
    return found.row


def ready(view: View, asked: FetchQuery, headers: Mapping[bytes, bytes], masked: bool) -> Ready | None:
    """The answer to a request, if it is at hand. Raises ParameterInvalid, BadFilter, ColumnMasked."""
    try:
        asking = question(view, asked, headers, masked, {})
    except Unchanged as unchanged:
        return not_modified(view, unchanged.tag)
    if asking.shape is not PREPARED:
        return None
    query = asking.query
    limit = 0 if asked.metadata_only else asked.limit
    if query is not ALL:
        first_pages = limit is not None and asking.first + limit <= PICKED_ROWS
        if view.rows > (FIRST_PAGES if first_pages else ANY_PAGE):
            return None
    if asked.facet and (view.rows > ANY_PAGE or not can_count(asking)):
        return None
    rows: list[Piece]
    if query is ALL:
        total = view.rows
        start = min(total, asking.first)
        stop = total if limit is None else min(total, start + limit)
        count, rows = stop - start, list(view.snapshot.json_slices(start, stop))
    else:
        try:
            found = view.index.find(query, asking.first, limit)
        except LookupError:  # it needs a scan
            return None
        total, count = found.total, len(found.rows)
        if count > PICKED_ROWS:
            return None
        rows = [view.snapshot.gather(found.rows)]
    more = described(asking)
    if asked.facet:
        more["facets"] = facets(asking)
    head = view.prefix(count, total, asking.next(count, total), more)
    own = headers_of(asking)
    pieces: list[Piece] = [head, *rows, END]
    size = sum(map(len, pieces))
    if asking.gzip:
        if query is ALL and 0 < count == total:
            pieces, zipped = view.snapshot.gzip_slices(head, END), True
        elif size > MOST_GZIP:
            return None
        else:
            pieces, zipped = compressed(pieces)
        if zipped:
            own.append((b"content-encoding", b"gzip"))
            size = sum(map(len, pieces))
    own.append((b"content-length", b"%d" % size))
    return Ready(200, view.headers, own, pieces)


def headers_of(asking: Question) -> list[tuple[bytes, bytes]]:
    return [(b"etag", asking.tag), _CONTENT_TYPES[asking.shape.format]]


def not_modified(view: View, tag: bytes) -> Ready:
    return Ready(304, view.headers, [(b"etag", tag)], [])


def can_count(asking: Question) -> bool:
    """Whether values are counted without a scan. Raises BadFilter."""
    return all(asking.view.index.supports_facet(asking.query, column) for column in asking.asked.facet)


def facets(asking: Question) -> dict[str, Any]:
    index, query = asking.view.index, asking.query
    return {column: counted(index.facet(query, column, FACET_VALUES)) for column in asking.asked.facet}


def counted(values: list[tuple[Any, int]]) -> list[dict[str, Any]]:
    return [{"value": value, "count": count} for value, count in values]


def described(asking: Question) -> dict[str, Any]:
    """What `metadata_only` adds."""
    if not asking.asked.metadata_only:
        return {}
    return {
        "columns": [_described(column) for column in asking.view.columns],
        "size": asking.view.snapshot.json_size,
    }


def _described(column: Column) -> dict[str, Any]:
    return {name: getattr(column, name) for name in ("name", "type", "kind", "nullable", "key")}


def compressed(pieces: list[Piece]) -> tuple[list[Piece], bool]:
    """A body compressed, where that is quickly done; and whether it was."""
    if LEAST_GZIP <= sum(map(len, pieces)) <= MOST_GZIP:
        return [isal_zlib.compress(b"".join(pieces), 1, wbits=31)], True
    return pieces, False


def matches(tags: bytes, tag: bytes) -> bool:
    """`If-None-Match`: a list of tags, weak ones too (RFC 9110, weak comparison), or `*`."""
    if tags == tag:
        return True
    return tags.strip() == b"*" or tag in {each.strip().removeprefix(b"W/") for each in tags.split(b",")}


@lru_cache(64)
def takes_gzip(accepted: bytes) -> bool:
    """Whether `Accept-Encoding` names gzip, or `*`, and not with q=0."""
    weights: dict[bytes, float] = {}
    for item in accepted.lower().split(b","):
        name, _, parameter = item.partition(b";")
        try:
            weight = float(parameter.strip().removeprefix(b"q=")) if parameter else 1.0
        except ValueError:
            weight = 0.0
        weights[name.strip()] = weight
    return weights.get(b"gzip", weights.get(b"*", 0.0)) > 0
