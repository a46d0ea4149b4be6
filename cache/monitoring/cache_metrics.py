"""The metrics of the cache and of syncs, which every process has, and the text that Prometheus reads."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import get_args

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from cache.check_report import CheckReport
from cache.errors import CacheError
from cache.monitoring import metric_families as families
from cache.storage.records import KEPT_RUNS, Outcome, Run, Status, known, now
from cache.storage.store import Cache
from cache.version import VERSION

CONTENT_TYPE = exposition.CONTENT_TYPE_LATEST
RECENT = 100  # more syncs than end between two looks
RESULTS = tuple(outcome for outcome in get_args(Outcome) if outcome != "running")


class Exposition:
    """All metrics of a process as text.

    Args:
        cache: The cache.
        more: What else collects metrics.
    """

    def __init__(self, cache: Cache, *more: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in (*more, CacheMetrics(cache)):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The metrics now. It reads the cache, so it is called in a thread."""
        return exposition.generate_latest(self._registry)


class CacheMetrics(Collector):
    """Collects the state of the cache when metrics are asked for.

    `syncs_total` begins at zero in each process, as counters do: what ended before would count as new after a restart.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._started = now()
        self._counted: set[str] = set()  # ids of the recent syncs that are in `_syncs`
        self._syncs: Counter[str] = Counter()

    def describe(self) -> Sequence[Metric]:
        """Nothing, so that the cache is not read when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        yield families.BUILD_INFO.value(1, VERSION, platform.python_version())
        status = self._cache.status()
        yield families.CACHE_AVAILABLE.value(status.cache_error is None)
        yield families.SYNC_RUNNING.value(status.running is not None)
        yield families.REFRESHES_QUEUED.value(status.queued)
        yield families.WORKERS.value(len(status.workers))
        if next_sync := status.next_sync:
            yield families.NEXT_SYNC.value(next_sync.timestamp())
        with suppress(CacheError):
            yield from self._ended()
        yield from self._snapshot(status)

    def _ended(self) -> Iterator[Metric]:
        """The syncs that ended."""
        recent = [run for run in self._cache.runs.recent(RECENT) if run.finished_at]
        for run in recent:
            if run.id not in self._counted and run.finished_at and run.finished_at >= self._started:
                self._syncs[run.outcome] += 1
        self._counted = {run.id for run in recent}
        syncs = families.SYNCS.collected()
        for result in RESULTS:
            syncs.add_metric((result,), self._syncs[result])
        yield syncs
        if recent and (finished_at := recent[0].finished_at):
            yield families.LAST_SYNC.value(finished_at.timestamp())
            yield families.LAST_SYNC_DURATION.value((finished_at - recent[0].started_at).total_seconds())
        success = _success(recent) or _success(self._cache.runs.recent(KEPT_RUNS))
        yield families.LAST_SUCCESS.value(success.finished_at.timestamp() if success and success.finished_at else 0)

    def _snapshot(self, status: Status) -> Iterator[Metric]:
        """The newest generation."""
        if (head := status.head) is None:
            return
        yield families.SNAPSHOT_GENERATION.value(head.generation)
        yield families.SNAPSHOT_VERIFIED.value(head.verified)
        if updated_at := known(head.updated_at):
            yield families.SNAPSHOT_TIMESTAMP.value(updated_at.timestamp())
        with suppress(CacheError):  # it is being replaced
            yield families.SNAPSHOT_ROWS.value(self._cache.snapshots.inspect(head.generation).rows)
        if report := self._cache.snapshots.checks(head.generation):
            yield from _checked(report)


def _success(runs: Sequence[Run]) -> Run | None:
    return next((run for run in runs if run.finished_at and run.outcome != "failed"), None)


def _checked(report: CheckReport) -> Iterator[Metric]:
    """What the checks over the data found."""
    if report.ok is not None:
        yield families.CHECKS_OK.value(report.ok)
    yield families.READING_CONFIRMED.value(report.confirmed)
    checked, failed = families.CHECKS_CHECKED.collected(), families.CHECKS_FAILED.collected()
    for name, result in report.checks.items():
        checked.add_metric((name,), result.checked)
        failed.add_metric((name,), result.failed)
    yield from (checked, failed)
