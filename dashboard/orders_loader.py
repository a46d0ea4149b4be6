"""The orders that pages show: loaded once for all sessions, and freed when no page shows them any more."""

from __future__ import annotations

import threading
import weakref

from cache.analytics.orders import Orders
from cache.interpretation.chosen_reading import reading_in_use
from cache.interpretation.evidence import choose_reading
from cache.reading import Reading, StoredReading
from cache.settings import CancelledOrders, WeekStart
from cache.storage.documents import READING, SETUP
from cache.storage.snapshot import Snapshot
from cache.storage.store import Cache
from cache.table_setup import Setup

SAMPLE_ROWS = 20_000
MAX_SAMPLES = 4  # kept in memory


class OrdersLoader:
    """Loads orders out of a cache. Every method may be called from any thread."""

    def __init__(
        self,
        cache: Cache,
        timezone: str,
        week_start: WeekStart = "monday",
        cancelled_orders: CancelledOrders = "reversed",
    ) -> None:
        """Loads nothing yet.

        Args:
            cache: The cache.
            timezone: IANA zone of the shop's clock, where the settings of the table name none.
            week_start: The first day of a week.
            cancelled_orders: The setting CANCELLED_ORDERS.
        """
        self._cache = cache
        self._timezone = timezone
        self._week_start: WeekStart = week_start
        self._cancelled_orders: CancelledOrders = cancelled_orders
        self._lock = threading.Lock()
        self._samples_lock = threading.Lock()
        self._newest: tuple[tuple[int, Setup, StoredReading], Orders] | None = None
        self._samples: dict[tuple[int, str, str], Orders] = {}  # the one used last is at the end

    @property
    def has_loaded(self) -> bool:
        """Whether orders were loaded in this process."""
        return self._newest is not None

    def newest(self, generation: int) -> Orders:
        """The orders of the newest generation, read by the settings of the table.

        A new generation takes over the tables of the one before, which is freed when the last page that shows it has
        ended.

        Args:
            generation: The generation that the caller saw. Where it differs from the loaded one, the newest is loaded.

        Raises:
            NoSnapshot: Nothing has been published yet.
            SnapshotDamaged: The data on disk is damaged.
        """
        setup = self._cache.documents.read(SETUP)
        with self._lock:
            if self._newest is None or self._newest[0] != (generation, setup, self._cache.documents.read(READING)):
                before = self._newest[1] if self._newest else None
                snapshot = self._cache.snapshots.open()
                reading = reading_in_use(self._cache, snapshot, setup)
                orders = self._read(snapshot, setup, before, reading)
                weakref.finalize(orders, orders.facts.close).atexit = False
                self._newest = ((generation, setup, self._cache.documents.read(READING)), orders)
            return self._newest[1]

    def suggested_reading(self, generation: int, setup: Setup) -> Reading:
        """The reading that the data of a generation suggests, with any settings.

        Raises:
            UnknownGeneration: The generation is not kept.
        """
        snapshot = self._cache.snapshots.inspect(generation)
        return choose_reading(snapshot, setup, setup.source_timezone or snapshot.manifest.source.timezone)

    def sample(self, generation: int, setup: Setup, reading: Reading | None = None) -> Orders:
        """The newest rows of a generation, at least `SAMPLE_ROWS` if it has that many, read by any settings.

        Args:
            generation: The generation.
            setup: The settings of the table.
            reading: What its columns mean; None: the data of these rows decides.

        Raises:
            UnknownGeneration: The generation is not kept.
        """
        key = (generation, setup.model_dump_json(), reading.model_dump_json() if reading else "")
        with self._samples_lock:
            orders = self._samples.pop(key, None) or self._read(self._newest_rows(generation), setup, None, reading)
            self._samples[key] = orders
            while len(self._samples) > MAX_SAMPLES:
                del self._samples[next(iter(self._samples))]
            return orders

    def _read(
        self, snapshot: Snapshot, setup: Setup, before: Orders | None = None, reading: Reading | None = None
    ) -> Orders:
        return Orders(snapshot, self._timezone, setup, before, self._week_start, reading, self._cancelled_orders)

    def _newest_rows(self, generation: int) -> Snapshot:
        """A generation cut down to its last segments."""
        snapshot = self._cache.snapshots.inspect(generation)
        segments = snapshot.manifest.segments
        first = len(segments)
        while first and sum(segment.rows for segment in segments[first:]) < SAMPLE_ROWS:
            first -= 1
        if not first:
            return snapshot
        manifest = snapshot.manifest.model_copy(update={"segments": segments[first:]})
        return Snapshot(manifest, snapshot.head, self._cache.snapshots.segment_folder(segments[first]).parent)
