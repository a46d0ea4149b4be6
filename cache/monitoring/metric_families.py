"""Every metric, defined once. Collectors, docs, alert rules, the Grafana dashboard and their tests take it from here.

Names follow https://prometheus.io/docs/practices/naming/: one prefix, base units (seconds, bytes), `_total` for
counters, `_timestamp_seconds` for moments. Moments are exported, not ages: Prometheus subtracts them from `time()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

PREFIX = "phpmyadmin_orders_"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)  # seconds: from a 304 to a whole table

_KINDS: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


@dataclass(frozen=True)
class MetricFamily:
    """A metric.

    Attributes:
        short: Its name without the prefix.
        kind: Its type.
        description: What it says, in a sentence.
        labels: The names of its labels.
        of_api: Whether it counts responses of the API. Every process has the other metrics.
    """

    short: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    labels: tuple[str, ...] = ()
    of_api: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return PREFIX + self.short

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus stores it."""
        parts = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return tuple(self.name + part for part in parts)

    def collected(self) -> Any:
        """A family of its kind in prometheus_client, to which a collector adds values."""
        return _KINDS[self.kind](self.name, self.description, labels=self.labels)

    def value(self, value: float, *labels: str) -> GaugeMetricFamily:
        """A gauge with one value."""
        family = GaugeMetricFamily(self.name, self.description, labels=self.labels)
        family.add_metric(labels, float(value))
        return family


BUILD_INFO = MetricFamily("build_info", "gauge", "Always 1; the labels say what runs.", ("version", "python"))

HTTP_REQUESTS = MetricFamily(
    "http_requests_total", "counter", "Responses sent.", ("method", "path", "status"), of_api=True
)
HTTP_RESPONSE_BYTES = MetricFamily(
    "http_response_bytes_total", "counter", "Bytes of response bodies.", ("method", "path"), of_api=True
)
HTTP_REQUEST_DURATION = MetricFamily(
    "http_request_duration_seconds",
    "histogram",
    "Seconds until a response has been sent.",
    ("method", "path"),
    of_api=True,
)
FAST_PATH_FAILURES = MetricFamily(
    "fast_path_failures_total",
    "counter",
    "Faults in the fast path; the log has them, and the requests were answered.",
    of_api=True,
)

CACHE_AVAILABLE = MetricFamily("cache_available", "gauge", "0 if the cache cannot be reached or cannot be written.")
WORKERS = MetricFamily("workers", "gauge", "Processes that can run syncs.")
REFRESHES_QUEUED = MetricFamily("refreshes_queued", "gauge", "Requested refreshes that wait for a sync.")
SYNC_RUNNING = MetricFamily("sync_running", "gauge", "1 while a sync runs.")
SYNCS = MetricFamily("syncs_total", "counter", "Syncs that ended since this process started.", ("result",))
LAST_SYNC_DURATION = MetricFamily("last_sync_duration_seconds", "gauge", "Seconds that the last sync took.")
LAST_SYNC = MetricFamily("last_sync_timestamp_seconds", "gauge", "When the last sync ended.")
LAST_SUCCESS = MetricFamily(
    "last_success_timestamp_seconds", "gauge", "When the last sync ended that did not fail; 0 if none is known."
)
NEXT_SYNC = MetricFamily("next_sync_timestamp_seconds", "gauge", "When the next sync is due, if one is planned.")

SNAPSHOT_GENERATION = MetricFamily("snapshot_generation", "gauge", "Generation of the newest snapshot.")
SNAPSHOT_ROWS = MetricFamily("snapshot_rows", "gauge", "Rows of the newest snapshot.")
SNAPSHOT_VERIFIED = MetricFamily("snapshot_verified", "gauge", "1 if the newest snapshot is proven equal to the table.")
SNAPSHOT_TIMESTAMP = MetricFamily(
    "snapshot_verified_timestamp_seconds", "gauge", "When the newest snapshot was last verified."
)

CHECKS_OK = MetricFamily("checks_ok_ratio", "gauge", "Share of orders that agree with every check.")
CHECKS_CHECKED = MetricFamily("checks_checked_orders", "gauge", "Orders that a check could check.", ("check",))
CHECKS_FAILED = MetricFamily("checks_failed_orders", "gauge", "Orders that do not agree with a check.", ("check",))
READING_CONFIRMED = MetricFamily("reading_confirmed", "gauge", "1 if the data confirms what the columns mean.")

FAMILIES = (
    *(HTTP_REQUESTS, HTTP_RESPONSE_BYTES, HTTP_REQUEST_DURATION, FAST_PATH_FAILURES),
    *(SNAPSHOT_TIMESTAMP, SNAPSHOT_VERIFIED, SNAPSHOT_GENERATION, SNAPSHOT_ROWS),
    *(SYNCS, LAST_SYNC, LAST_SYNC_DURATION, LAST_SUCCESS, NEXT_SYNC, SYNC_RUNNING, REFRESHES_QUEUED),
    *(WORKERS, CACHE_AVAILABLE, CHECKS_OK, CHECKS_CHECKED, CHECKS_FAILED, READING_CONFIRMED, BUILD_INFO),
)
