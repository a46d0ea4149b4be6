"""Commands: python -m scraper sync | accept | import FILE | worker | doctor.

sync    runs one sync, with a progress bar on a terminal. Exit codes: 0 verified, 3 published as not verified,
        1 failed, 2 invalid settings, 75 another sync is running.
accept  runs one sync that publishes the table even if it was held back because it shrank.
import  publishes a CSV file that was exported by hand in phpMyAdmin, as not verified. Exit codes as for sync.
worker  runs the scheduler alone, on a machine without dashboard and API.
doctor  checks everything that a sync needs, and says how to repair it. Exit code 1 if a check fails.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import json
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psutil

from cache.errors import CacheError, OrdersError, SettingsInvalid, SyncRunning
from cache.machine.logs import set_up_logging
from cache.machine.memory import end_me_first
from cache.machine.memory_turns import MemoryTurns
from cache.private_files import keep_files_private
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.documents import FAILURE_PICTURE, FailurePicture
from cache.storage.local.failure_pages import screenshot
from cache.storage.records import Run, now
from cache.storage.store import Cache
from cache.version import versioned
from scraper.errors import SyncTimedOut
from scraper.memory_limit import limit_memory
from scraper.scheduler import BUSY
from scraper.settings import ScraperSettings

log = logging.getLogger("scraper")

FAILED, USAGE, UNVERIFIED, INTERRUPTED = 1, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, and returns its exit code.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    parser = versioned(
        argparse.ArgumentParser(
            prog="python -m scraper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
    )
    commands = parser.add_subparsers(dest="command", required=True)
    sync = commands.add_parser("sync", help="run one sync")
    sync.add_argument("--attached", action="store_true", help="end when standard input is closed")
    sync.add_argument("--trigger", default="command", help="what started the sync, for the history")
    commands.add_parser("accept", help="run one sync that publishes a table that was held back")
    import_ = commands.add_parser("import", help="publish a CSV file that was exported by hand, as not verified")
    import_.add_argument("file", type=Path, metavar="FILE.csv", help="CSV as phpMyAdmin writes it by default")
    import_.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="A,B,...",
        help="names of the columns, if the first row does not contain them",
    )
    import_.add_argument("--accept", action="store_true", help="publish even an older file, or one with far fewer rows")
    commands.add_parser("worker", help="run the scheduler alone")
    doctor = commands.add_parser("doctor", help="check everything that a sync needs")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    keep_files_private()
    parsed = parser.parse_args(arguments)
    _set_up_logging("worker" if parsed.command == "worker" else "sync")
    is_attached = getattr(parsed, "attached", False)
    try:
        if parsed.command != "doctor":
            Settings.warn_of_misspelt()
        if parsed.command == "sync":
            return _sync(parsed.attached, parsed.trigger)
        if parsed.command == "accept":
            return _sync(False, "accept", accept=True)
        if parsed.command == "import":
            return _import(parsed.file, parsed.columns, parsed.accept)
        return _worker() if parsed.command == "worker" else _doctor(parsed.json)
    except KeyboardInterrupt:
        _tell("Interrupted. Nothing was published.", is_attached)
        return INTERRUPTED
    except SyncRunning as error:
        _tell(error, is_attached)
        return BUSY
    except OrdersError as error:
        _tell(error, is_attached)
        return USAGE if isinstance(error, SettingsInvalid) else FAILED


def _set_up_logging(process: str) -> None:
    try:
        Settings.load().set_up_process(process)
    except SettingsInvalid:  # the command says what is wrong
        set_up_logging("text", "info", process)


def _tell(message: object, is_attached: bool) -> None:
    """Says why a command failed: to a person, or to the log where a scheduler started it."""
    if is_attached:
        log.error("%s", message)
    else:
        print(message, file=sys.stderr)


def _sync(attached: bool, trigger: str, accept: bool = False) -> int:
    _return_memory_early()
    settings = _settings_or_report(trigger)
    end_me_first()
    limit_memory(settings.sync_memory_mb)
    with suppress(psutil.Error, AttributeError):  # dashboard and API come first
        # A priority class on Windows, else a nice value.
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10))
    if attached:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    with MemoryTurns(settings.cache_place.folder).of_sync():
        from checks.generation import check_generation  # the engines that these load are part of the turn
        from scraper.login.login import log_in
        from scraper.notifications.notifier import Notifier
        from scraper.sync.sync import sync

        with closing(open_cache(settings.cache_place)) as cache:
            limit = threading.Timer(settings.sync_timeout_minutes * 60, _end_at_limit, [cache, settings])
            limit.daemon = True
            limit.start()
            run = sync(cache, settings, log_in, trigger, accept, partial(check_generation, cache, settings))
            limit.cancel()
            _share_screenshot(cache, settings, run)
            Notifier(cache, settings).after(run)
    return _report(run, attached)


def _share_screenshot(cache: Cache, settings: Settings, run: Run) -> None:
    """Shows a failed login to the other hosts of a shared cache too. They have not its files."""
    path = screenshot(settings.diagnostics_dir, run) if settings.cache_place.is_shared else None
    if path is not None:
        try:
            picture = FailurePicture(run=run.id, at=now(), png=base64.b64encode(path.read_bytes()))
            cache.documents.change(FAILURE_PICTURE, lambda _: picture)
        except (OSError, CacheError) as error:
            logging.getLogger(__name__).warning("screenshot not shared: %s", error)


def _import(file: Path, names: list[str] | None, accept: bool) -> int:
    settings = ScraperSettings.load()
    with MemoryTurns(settings.cache_place.folder).of_sync():
        from checks.generation import check_generation
        from scraper.notifications.notifier import Notifier
        from scraper.sync.csv_import import import_file

        with closing(open_cache(settings.cache_place)) as cache:
            run = import_file(cache, settings, file, names, accept, partial(check_generation, cache, settings))
            Notifier(cache, settings).after(run)
    return _report(run)


def _report(run: Run, is_attached: bool = False) -> int:
    """Says the outcome of a run, and returns the exit code."""
    if run.error:
        _tell(f"{run.error.message} {run.error.advice}", is_attached)
    if run.outcome == "failed":
        return FAILED
    changes = run.changes.total if run.changes else 0
    done = f"{run.outcome}: {run.rows} rows, generation {run.generation}, {changes} rows changed"
    if is_attached:
        log.info(done)
    else:
        print(done)
    return UNVERIFIED if run.outcome == "unverified" else 0


def _return_memory_early() -> None:
    """Makes the allocators return memory to the system: a third less at the peak, a few per cent more time."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # read when Arrow is imported
    if sys.platform.startswith("linux"):
        m_trim_threshold, m_arena_max = -1, -8  # man 3 mallopt; musl has no such call
        with suppress(AttributeError, OSError):
            libc = ctypes.CDLL(None)
            libc.mallopt(m_arena_max, 3)  # with one, the two threads of the checks wait for each other
            libc.mallopt(m_trim_threshold, 128 << 10)


def _settings_or_report(trigger: str) -> ScraperSettings:
    """Loads the settings. Invalid ones become a failed run, so that dashboard and API show the error too."""
    try:
        return ScraperSettings.load()
    except SettingsInvalid as error:
        settings = Settings.load()
        with closing(open_cache(settings.cache_place)) as cache, cache.sync_lock():
            run = Run(trigger=trigger, outcome="failed", error=error.trouble())
            cache.runs.begin(run)
            cache.runs.finish(run)
        raise


def _end_with_parent() -> None:
    """Ends this process and its Chrome when its scheduler is gone. Nothing is published."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in it makes a normal exit fail
        pass
    _end_now()


def _end_at_limit(cache: Cache, settings: ScraperSettings) -> None:
    with suppress(OrdersError):
        running = cache.status().running
        if running is not None and running.pid == os.getpid():
            error = SyncTimedOut(f"The sync did not end within {settings.sync_timeout_minutes:g} minutes.")
            cache.runs.finish(running.model_copy(update={"outcome": "failed", "error": error.trouble()}))
            print(error, file=sys.stderr, flush=True)
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
    with ExitStack() as stack:
        cache = stack.enter_context(closing(open_cache(settings.cache_place)))
        cache.runs.require_writable()
        if settings.metrics_port is not None:
            from cache.monitoring.metrics_server import serve_metrics  # late, since it brings a web server

            stack.enter_context(serve_metrics(cache, settings.metrics_host, settings.metrics_port))
        scheduler = Scheduler(cache, settings, "worker")
        scheduler.start()
        stopped.wait()
        scheduler.stop()
    return 0


def _doctor(as_json: bool) -> int:
    from scraper.doctor import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            print(finding, flush=True)  # a login takes a while, and what is known by then is read meanwhile
    fine = all(finding.fine for finding in findings)
    if as_json:
        print(json.dumps({"fine": fine, "findings": [asdict(finding) for finding in findings]}, indent=2))
    return 0 if fine else FAILED


if __name__ == "__main__":
    sys.exit(main())
