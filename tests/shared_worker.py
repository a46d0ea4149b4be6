"""A host of a shared cache: a real scheduler, whose sync is a stand-in. For test_shared_network.py.

Not a test: a program. It notes when it leads, when its sync runs, and which generation its reader sees. A line on its
standard input is a request for a sync. The settings are those of the environment.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from cache_factory import publish
from host_process import History, set_clock

from cache.errors import CacheError, SyncRunning
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.records import Run
from cache.storage.store import Cache
from scraper.scheduler import BUSY, Scheduler


def sync(trigger: str) -> int:
    """What `python -m scraper sync --attached` does, with a table of its own and for as long as SYNC_SECONDS says."""
    threading.Thread(target=lambda: sys.stdin.read() or os._exit(1), daemon=True).start()  # it ends with its parent
    with closing(open_cache(Settings.load().cache_place)) as cache:
        try:
            with cache.sync_lock():
                cache.snapshots.catch_up()
                run = Run(trigger=trigger)
                cache.runs.begin(run)
                time.sleep(float(os.environ["SYNC_SECONDS"]))
                head = publish(cache, random.randint(5, 15))
                cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": head.generation}))
        except SyncRunning:
            return BUSY
        except CacheError as error:
            print(error.message, file=sys.stderr)
            return 1
    return 0


def stand_in() -> None:
    """The scheduler starts this program in the place of the scraper."""
    start = psutil.Popen

    def popen(command: list[str], **options: Any) -> psutil.Popen:
        return start([sys.executable, __file__, *sys.argv[1:4], command[-1]], **options)

    psutil.Popen = popen


def watch(history: History, look: Callable[[], object], event: str) -> None:
    """Note each change of a value."""
    seen: object = None
    while True:
        found = look()
        if found != seen:
            seen = found
            history.add(event, value=found)
        time.sleep(0.01)


def answer(cache: Cache, history: History) -> None:
    for line in sys.stdin:
        try:
            history.add("requested", task=cache.runs.request(line.strip()).id)
        except CacheError as error:
            history.add("refused", code=error.code)
    os._exit(0)  # the test has ended


def main() -> None:
    folder, name, minutes, *trigger = sys.argv[1:]
    set_clock(timedelta(minutes=float(minutes)))
    if trigger:
        sys.exit(sync(trigger[0]))
    stand_in()
    history = History(Path(folder) / "history")
    settings = Settings.load()
    cache = open_cache(settings.cache_place)
    scheduler = Scheduler(cache, settings, name)

    def generation() -> int:
        head = cache.snapshots.head()
        return head.generation if head else 0

    def has_child() -> bool:
        child = scheduler._child
        return child is not None and not child.has_ended()

    looks: dict[str, Callable[[], object]] = {
        "leads": lambda: scheduler._is_leader,
        "syncs": has_child,
        "seen": generation,
    }
    for event, look in looks.items():
        threading.Thread(target=watch, args=(history, look, event), daemon=True).start()
    threading.Thread(target=answer, args=(cache, history), daemon=True).start()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    scheduler.start()
    history.add("started")
    stopped.wait()
    scheduler.stop()
    history.add("ended")
    os._exit(0)  # without the threads above


if __name__ == "__main__":
    main()
