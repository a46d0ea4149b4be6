"""Answers that are at hand: rows as they were rendered at publish, between a short head and two brackets.

Nothing here waits for anything, so that the protocol (api/protocol.py) may answer at once; api/fetch.py does the rest.
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

from api.errors import ParameterInvalid
from api.headers import Lines
from api.query import FetchQuery
from api.views import View
from cache.snapshot import Column

Piece = bytes | memoryview

LEAST_GZIP = 1_000  # bytes of a body that is worth compressing
MOST_GZIP = 4 << 20  # bytes that are compressed while others wait (some milliseconds)
_END = b"]}"
_TOKEN = struct.Struct(">QQ8s")


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer: headers of its view, headers of its own, and the body in pieces."""

    status: int
    shared: Lines
    own: list[tuple[bytes, bytes]]
    pieces: list[Piece]


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


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of an answer as JSON, joined by commas; how many they are, and how many match in all."""

    rows: list[Piece]
    count: int
    total: int
    next: str | None = None
    whole: bool = False


def find(view: View, query: FetchQuery) -> Found:
    """The rows that a query asks for."""
    total = view.snapshot.rows
    binding = view.binding(b"")
    start = min(total, first_row(query, binding))
    stop = total if query.limit is None else min(total, start + query.limit)
    if query.metadata_only:
        return Found([], 0, total)
    more = start < stop < total
    token = Place(view.snapshot.generation, stop, binding).token() if more else None
    return Found(list(view.snapshot.json_slices(start, stop)), stop - start, total, token, stop - start == total)


def first_row(query: FetchQuery, binding: bytes) -> int:
    """Raises ParameterInvalid where `after` belongs to another query."""
    if query.after is None:
        return query.offset
    found = place(query.after)
    if found.binding != binding:
        raise ParameterInvalid(
            "Parameter 'after' belongs to another query.",
            "Send it with the filters and the sort of the answer it came from, or start again without it.",
        )
    return found.row


def ready(view: View, query: FetchQuery, headers: Mapping[bytes, bytes], more: dict[str, Any]) -> Ready:
    """The answer to a request with these headers; `more` are further keys of the body. Raises ParameterInvalid."""
    gzip = takes_gzip(headers.get(b"accept-encoding", b""))
    tag = view.tag(b"%s\0%d%s" % (query.said, gzip, repr(more).encode() if more else b""))
    own = [(b"etag", tag)]
    tags = headers.get(b"if-none-match")
    if tags is not None and tags != b"*" and matches(tags, tag):
        return Ready(304, view.headers, own, [])
    found = find(view, query)
    if tags == b"*":
        return Ready(304, view.headers, own, [])
    pieces = body(view, query, found, more)
    if gzip:
        pieces, compressed = zipped(view, found, pieces)
        own += [(b"content-encoding", b"gzip")] if compressed else []
    own += [(b"content-type", b"application/json"), (b"content-length", b"%d" % sum(map(len, pieces)))]
    return Ready(200, view.headers, own, pieces)


def body(view: View, query: FetchQuery, found: Found, more: dict[str, Any]) -> list[Piece]:
    """The body of an answer in pieces."""
    if query.metadata_only:
        more = {**more, "columns": [_described(column) for column in view.snapshot.columns]}
        more["size"] = view.snapshot.json_size
    return [view.prefix(found.count, found.total, found.next, more), *found.rows, _END]


def _described(column: Column) -> dict[str, Any]:
    return {name: getattr(column, name) for name in ("name", "type", "kind", "nullable", "key")}


def zipped(view: View, found: Found, pieces: list[Piece]) -> tuple[list[Piece], bool]:
    """A body compressed, where that is prepared or quickly done; and whether it was."""
    if found.whole and found.rows:
        return view.snapshot.gzip_slices(bytes(pieces[0]), _END), True
    return compressed(pieces)


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
