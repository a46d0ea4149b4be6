"""Queries that cost as much as an address of 32 KB can ask for, and how long they keep other requests waiting."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import strategies as st
from sidecar_process import KEY

from cache.access.client_limits import MAX_HEAD
from cache.analytics.dimensions.catalogue import FILTERS

MAX_QUERY = MAX_HEAD - 2_000  # the rest is for headers
NAMES = ("id", "name", "email", "created_at", "financial_status", "total_price", "customer_name", "note", "test")
OPERATORS = ("eq", "ne", "gt", "lte", "in", "contains", "startswith", "isnull")
VALUES = ("1500", "true", "2025-12-29", "598.94", "a", "iiikkk", "#1", '"",', "%41")

_columns = st.lists(st.sampled_from(NAMES), min_size=1, max_size=25)
_lists = st.tuples(st.sampled_from(("sort", "fields", "facet", "_")), _columns.map(",".join))
_filters = st.tuples(
    st.builds("{}__{}".format, st.sampled_from(NAMES), st.sampled_from(OPERATORS)),
    st.builds(lambda value, times: ",".join([value] * times), st.sampled_from(VALUES), st.sampled_from((1, 40, 5_000))),
)
_facets = st.tuples(st.just("facet"), st.sampled_from(NAMES))
_pages = st.tuples(st.sampled_from(("limit", "offset")), st.sampled_from(("0", "100", "5000", "90000")))
_pairs = st.tuples(
    st.lists(st.one_of(_lists, _filters, _facets, _pages), min_size=1, max_size=8), st.sampled_from((1, 1, 1, 3, 4_000))
)
_rows = _pairs.map(lambda drawn: "/fetch-data?" + _repeated(urlencode(drawn[0]), drawn[1]))
_formats = st.sampled_from(("", "&format=csv", "&format=xlsx", "&format=parquet", "&integers=string"))
_dimensions = st.tuples(
    st.builds("{}__{}".format, st.sampled_from(sorted(FILTERS)), st.sampled_from(("eq", "in", "contains"))),
    st.builds(lambda value, times: ",".join([value] * times), st.sampled_from(VALUES), st.sampled_from((1, 5_000))),
)
_choices = st.tuples(
    st.sampled_from(("metric", "by", "step", "period", "compare", "currency", "limit", "format")),
    st.sampled_from(
        ("orders", "net_sales,units", "status", "country,status", "hour", "day", "365d", "year", "all", "csv")
    ),
)
_figures = st.tuples(
    st.sampled_from(("/figures?", "/figures/events?metric=net_sales&")),
    st.lists(st.one_of(_dimensions, _choices), max_size=6).map(urlencode),
).map(lambda drawn: (drawn[0] + drawn[1])[:MAX_QUERY])
_changes = st.integers(1, 10_000).map("/changes?since=1&limit={}".format)
addresses = st.one_of(_rows, _rows, st.builds(str.__add__, _rows, _formats), _figures, _changes)

_QUERIES = (
    "&".join(["facet=id"] * 2_900),
    "sort=" + "id," * 10_000,
    "sort=" + ",".join(NAMES),
    "sort=-" + ",-".join(NAMES) + "&id__gt=1&offset=9000&limit=100",
    "&".join(f"facet={name}" for name in NAMES) + "&id__gt=1",
    "id__in=" + ",".join(map(str, range(1_000, 7_000))),
    "created_at__in=" + ",".join(["2025-12-29T10:25:00Z"] * 1_400),
    "name__in=" + ",".join(f"x{i}" for i in range(5_000)),
    "id__in=" + "%221%22," * 3_000 + "1",
    "name__startswith=" + "#" * 30_000,
    "&".join(["id__gt=1"] * 3_000),
    "&".join(["id__gt=1", "note__ne=a"] * 90),
    "&".join(["_"] * 14_000),
    "signature=default.x&" + "&".join(["a=%41"] * 5_000),
    "id__gt=1&limit=5000",
    "note__contains=a&sort=name",
    "refresh=true&sort=" + ",".join(NAMES),
    "stream=true&sort=name,note",
    "format=csv&sort=-name&note__ne=a",
    "fields=id,name&integers=string",
)
COSTLIEST = (
    *(f"/fetch-data?{query}" for query in _QUERIES),
    "/figures?step=hour&limit=10000",
    "/figures?country__in=" + "%22a%22," * 3_700 + "a",
    "/figures?" + "&".join(["country__in=a,b,c"] * 199),
    "/figures?metric=" + "orders," * 3_500,
    "/figures/events?metric=net_sales&limit=10000",
    "/changes?since=1&limit=10000",
    "/changes?since=" + "1" * 30_000,
    "/openapi.json",
)


def _repeated(query: str, times: int) -> str:
    return "&".join([query] * min(times, MAX_QUERY // len(query) + 1))[:MAX_QUERY]


def ask(client: httpx2.Client, address: str) -> int:
    """The status of the response."""
    return client.get(address).status_code


class Health:
    """How long `/health` took, in seconds, from a client that asks without a pause."""

    def __init__(self, url: str) -> None:
        self._url, self._ended = url, threading.Event()
        self.seconds: list[float] = []

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]

    def poll(self) -> None:
        with httpx2.Client(base_url=self._url, timeout=120) as client:
            while not self._ended.is_set():
                started = time.perf_counter()
                assert client.get("/health").status_code == 200
                self.seconds.append(time.perf_counter() - started)
                self._ended.wait(0.002)

    def end(self) -> None:
        self._ended.set()


@contextmanager
def polling(url: str) -> Iterator[Health]:
    health = Health(url)
    thread = threading.Thread(target=health.poll)
    thread.start()
    try:
        yield health
    finally:
        health.end()
        thread.join()


@contextmanager
def costly_client(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, headers={"X-API-Key": KEY, "Accept-Encoding": "gzip"}, timeout=120) as client:
        yield client


@contextmanager
def longest_turn(patch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The CPU time of each turn of the event loops of this process, in seconds."""
    turns: list[float] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        with suppress(SystemExit):
            run(handle)
        turns.append(time.thread_time() - started)

    patch.setattr(asyncio.Handle, "_run", timed)
    gc.collect()
    gc.freeze()  # what the tests have imported is no garbage that a turn has to search
    yield turns
    gc.unfreeze()
