"""python -m scraper sync | accept | import FILE | worker | doctor

sync    one sync, with a progress bar on a terminal. Exit code: 0 verified, 3 published as unverified, 1 failed,
        2 settings do not parse, 75 another sync is running.
accept  one sync that publishes a table even if it shrank so much that it was held back.
import  publishes a CSV file that someone exported by hand in phpMyAdmin, as not verified; exit codes as for sync.
worker  the scheduler alone, for a machine on which neither dashboard nor API runs.
doctor  checks each link of the chain and says what to do; exit code 1 if a link is broken.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import psutil

from cache.errors import OrdersError, SettingsInvalid, SyncRunning
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.records import Run
from cache.storage.store import Cache
from scraper.errors import SyncTimedOut
from scraper.scheduler import BUSY
from scraper.settings import ScraperSettings

log = logging.getLogger("scraper")

FAILED, USAGE, UNVERIFIED = 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scraper", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    sync = commands.add_parser("sync", help="run one sync")
    sync.add_argument("--attached", action="store_true", help="end when standard input closes")
    sync.add_argument("--trigger", default="command", help="who asked, for the history")
    commands.add_parser("accept", help="run one sync that publishes a table which was held back")
    handmade = commands.add_parser("import", help="publish an export that someone made by hand, as not verified")
    handmade.add_argument("file", type=Path, metavar="FILE.csv", help="CSV as phpMyAdmin writes it by default")
    handmade.add_argument("--columns", type=lambda text: text.split(","), metavar="A,B,...",
                          help="names of the columns, where the first row does not hold them")  # fmt: skip
    handmade.add_argument("--accept", action="store_true", help="also an older file, or one with far fewer rows")
    commands.add_parser("worker", help="run the scheduler alone")
    commands.add_parser("doctor", help="check each link of the chain")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if asked.command == "sync":
            return _sync(asked.attached, asked.trigger)
        if asked.command == "accept":
            return _sync(False, "accept", accept=True)
        if asked.command == "import":
            return _import(asked.file, asked.columns, asked.accept)
        return _worker() if asked.command == "worker" else _doctor()
    except SyncRunning as error:
        print(error, file=sys.stderr)
        return BUSY
    except OrdersError as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, SettingsInvalid) else FAILED


def _sync(attached: bool, trigger: str, accept: bool = False) -> int:
    _hold_less()
    from scraper.login.login import log_in
    from scraper.sync.sync import sync

    settings = _settings_or_report(trigger)
    with suppress(psutil.Error, AttributeError):  # readers come first
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10))  # a class on Windows, else a niceness
    with closing(open_cache(settings.cache_url, settings.kept_dir)) as cache:
        if attached:
            threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        limit = threading.Timer(settings.sync_timeout_minutes * 60, _end_at_limit, [cache, settings])
        limit.daemon = True
        limit.start()
        run = sync(cache, settings, log_in, trigger, accept)
        limit.cancel()
    return _ended(run)


def _import(file: Path, names: list[str] | None, accept: bool) -> int:
    from scraper.sync.csv_import import import_file

    settings = ScraperSettings.load()
    with closing(open_cache(settings.cache_url, settings.kept_dir)) as cache:
        return _ended(import_file(cache, settings, file, names, accept))


def _ended(run: Run) -> int:
    """Prints how a run went; returns the exit code."""
    if run.error:
        print(f"{run.error.message} {run.error.advice}", file=sys.stderr)
    if run.outcome == "failed":
        return FAILED
    print(f"{run.outcome}: {run.rows} rows, generation {run.generation}, "
          f"{run.changes.total if run.changes else 0} rows changed")  # fmt: skip
    return UNVERIFIED if run.outcome == "unverified" else 0


def _hold_less() -> None:
    """Makes the allocators give memory back: a third less at the peak, for a few per cent of the time."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # read when Arrow is imported
    if sys.platform.startswith("linux"):
        m_trim_threshold, m_arena_max = -1, -8  # man 3 mallopt; musl has no such call
        with suppress(AttributeError, OSError):
            libc = ctypes.CDLL(None)
            libc.mallopt(m_arena_max, 1)
            libc.mallopt(m_trim_threshold, 128 << 10)


def _settings_or_report(trigger: str) -> ScraperSettings:
    """The settings; where they are missing, readers are told so too, since nobody may look at this process."""
    try:
        return ScraperSettings.load()
    except SettingsInvalid as error:
        settings = Settings.load()
        with closing(open_cache(settings.cache_url, settings.kept_dir)) as cache, cache.sync_lock():
            run = Run(trigger=trigger, outcome="failed", error=error.trouble())
            cache.runs.begin(run)
            cache.runs.finish(run)
        raise


def _end_with_parent() -> None:
    """Without its scheduler nobody would see to this process: it ends, with its Chrome, and publishes nothing."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in it fails an ordinary exit
        pass
    _end_now()


def _end_at_limit(cache: Cache, settings: ScraperSettings) -> None:
    with suppress(OrdersError):
        running = cache.status().running
        if running is not None and running.pid == os.getpid():
            error = SyncTimedOut(f"The sync did not end within {settings.sync_timeout_minutes:g} minutes.")
            cache.runs.finish(running.model_copy(update={"outcome": "failed", "error": error.trouble()}))
    _end_now()


def _end_now() -> None:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    os._exit(FAILED)


def _worker() -> int:
    from scraper.scheduler import Scheduler

    settings = Settings.load()
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    with closing(open_cache(settings.cache_url, settings.kept_dir)) as cache:
        scheduler = Scheduler(cache, settings, "worker")
        scheduler.start()
        stopped.wait()
        scheduler.stop()
    return 0


def _doctor() -> int:
    from scraper.doctor import examine

    findings = list(examine())
    for finding in findings:
        print(finding)
    return FAILED if any(not finding.fine for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
