"""`GET /metrics`: the state of cache and syncs, and the responses of this process, for Prometheus.

Names follow its conventions: base units (seconds, bytes), counters end in `_total`.
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.auth.authentication import admission_of
from api.contract.operations import path_label
from api.contract.queries.parameters import read_parameters
from cache.check_report import CheckReport
from cache.errors import CacheError
from cache.storage.records import now
from cache.storage.store import Cache

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)  # seconds: from a 304 to a whole table


class _Responses:
    """The responses of one path."""

    def __init__(self) -> None:
        self.count: dict[int, int] = defaultdict(int)  # by status
        self.bytes = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class Metrics:
    """The endpoint, and the counters. Counting takes about a microsecond; the cache is read when metrics are asked for.

    Args:
        cache: The cache.

    Attributes:
        fast_path_failures: Exceptions in the fast path; the requests were answered the usual way.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.fast_path_failures = 0
        self._paths: dict[str, _Responses] = defaultdict(_Responses)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def record(self, scope: Scope, status: int, size: int, started: float) -> None:
        """Counts a response (see access_log.Recorder)."""
        seconds = time.perf_counter() - started
        responses = self._paths[path_label(scope["path"])]
        responses.count[status] += 1
        responses.bytes += size
        responses.seconds += seconds
        responses.buckets[bisect_left(BUCKETS, seconds)] += 1

    async def get(self, request: Request) -> Response:
        """All metrics as text."""
        read_parameters(admission_of(request).query, request.url.path)
        text = await run_in_threadpool(exposition.generate_latest, self._registry)
        return Response(text, media_type=exposition.CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Metric]:
        """All metrics. The registry of prometheus_client calls it."""
        yield from self._served()
        yield from self._cached()

    def _served(self) -> Iterator[Metric]:
        responses = CounterMetricFamily("orders_http_requests", "Responses sent.", labels=("path", "status"))
        sent = CounterMetricFamily("orders_http_response_bytes", "Bytes of response bodies.", labels=("path",))
        seconds = HistogramMetricFamily(
            "orders_http_request_seconds", "Time until a response has been sent.", labels=("path",)
        )
        below = [str(bound) for bound in BUCKETS] + ["+Inf"]
        for path, counted in list(self._paths.items()):
            for status, count in list(counted.count.items()):
                responses.add_metric((path, str(status)), count)
            sent.add_metric((path,), counted.bytes)
            seconds.add_metric((path,), list(zip(below, accumulate(counted.buckets), strict=True)), counted.seconds)
        failures = CounterMetricFamily("orders_fast_path_failures", "Exceptions in the fast path.")
        failures.add_metric((), self.fast_path_failures)
        yield from (responses, sent, seconds, failures)

    def _cached(self) -> Iterator[Metric]:
        status = self._cache.status()
        head, last = status.head, status.last
        yield _gauge("orders_sync_running", "1 while a sync runs.", status.running is not None)
        yield _gauge("orders_refreshes_queued", "Requested refreshes that wait for a sync.", status.queued)
        yield _gauge("orders_workers", "Processes that can run syncs.", len(status.workers))
        if head is not None:
            yield _gauge("orders_snapshot_generation", "Generation of the newest snapshot.", head.generation)
            yield _gauge("orders_snapshot_verified", "1 if it is proven equal to the table.", head.verified)
            if (age := status.age_seconds(now())) is not None:
                yield _gauge("orders_snapshot_age_seconds", "Seconds since it was last verified.", age)
            with suppress(CacheError):  # it is being replaced
                yield _gauge(
                    "orders_snapshot_rows",
                    "Rows of the newest snapshot.",
                    self._cache.snapshots.inspect(head.generation).rows,
                )
            if report := self._cache.snapshots.checks(head.generation):
                yield from _checked(report)
        if last is not None and last.finished_at is not None:
            seconds = (last.finished_at - last.started_at).total_seconds()
            yield _gauge("orders_last_sync_seconds", "Duration of the last sync.", seconds)
            yield _gauge("orders_last_sync_failed", "1 if the last sync failed.", last.outcome == "failed")
            yield _gauge(
                "orders_last_sync_end_timestamp_seconds", "When the last sync ended.", last.finished_at.timestamp()
            )


def _checked(report: CheckReport) -> Iterator[Metric]:
    """What the checks over the data found."""
    if report.ok is not None:
        yield _gauge("orders_checks_ok_ratio", "Share of orders that agree with every check.", report.ok)
    yield _gauge("orders_reading_confirmed", "1 if the data confirms what the columns mean.", report.confirmed)
    checked = GaugeMetricFamily("orders_checks_checked", "Orders that a check could check.", labels=("check",))
    failed = GaugeMetricFamily("orders_checks_failed", "Orders that do not agree with a check.", labels=("check",))
    for name, result in report.checks.items():
        checked.add_metric((name,), result.checked)
        failed.add_metric((name,), result.failed)
    yield from (checked, failed)


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(name, description, float(value))
