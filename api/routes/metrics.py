"""`GET /metrics`: the state of cache and syncs, and the responses of this process, for Prometheus."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.auth.authentication import admission_of
from api.contract.operations import path_label
from api.contract.queries.parameters import read_parameters
from cache.monitoring import metric_families as families
from cache.monitoring.cache_metrics import CONTENT_TYPE, Exposition
from cache.monitoring.metric_families import BUCKETS
from cache.storage.store import Cache

METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS"))
OTHER = "(other)"  # any other method: a client may have put anything there


class _Responses:
    """The responses to one method at one path."""

    def __init__(self) -> None:
        self.count: dict[int, int] = defaultdict(int)  # by status
        self.bytes = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class Metrics(Collector):
    """The endpoint, and the counters. Counting takes about a microsecond; the cache is read when metrics are asked for.

    Args:
        cache: The cache.

    Attributes:
        fast_path_failures: Exceptions in the fast path; the requests were answered the usual way.
    """

    def __init__(self, cache: Cache) -> None:
        self.fast_path_failures = 0
        self._responses: dict[tuple[str, str], _Responses] = defaultdict(_Responses)  # by method and path
        self._exposition = Exposition(cache, self)

    def record(self, scope: Scope, status: int, size: int, started: float) -> None:
        """Counts a response (see access_log.Recorder)."""
        seconds = time.perf_counter() - started
        method = scope["method"]
        responses = self._responses[method if method in METHODS else OTHER, path_label(scope["path"])]
        responses.count[status] += 1
        responses.bytes += size
        responses.seconds += seconds
        responses.buckets[bisect_left(BUCKETS, seconds)] += 1

    async def get(self, request: Request) -> Response:
        """All metrics as text."""
        read_parameters(admission_of(request).query, request.url.path)
        return Response(await run_in_threadpool(self._exposition.text), media_type=CONTENT_TYPE)

    def describe(self) -> Sequence[Metric]:
        """Nothing, so that nothing is collected when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics of responses. The registry of prometheus_client calls it."""
        requests = families.HTTP_REQUESTS.collected()
        sent = families.HTTP_RESPONSE_BYTES.collected()
        seconds = families.HTTP_REQUEST_DURATION.collected()
        below = [str(bound) for bound in BUCKETS] + ["+Inf"]
        for labels, counted in list(self._responses.items()):
            for status, count in list(counted.count.items()):
                requests.add_metric((*labels, str(status)), count)
            sent.add_metric(labels, counted.bytes)
            buckets = list(zip(below, accumulate(counted.buckets), strict=True))
            seconds.add_metric(labels, buckets, counted.seconds)
        failures = families.FAST_PATH_FAILURES.collected()
        failures.add_metric((), self.fast_path_failures)
        yield from (requests, sent, seconds, failures)
