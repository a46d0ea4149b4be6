"""Checks everything that a sync needs, from the settings to the table, and says how to repair what is broken.

A check that needs a failed one is left out.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import httpx2
import psutil

from cache.check_report import share_text
from cache.child_environment import child_environment
from cache.control_characters import without_controls
from cache.errors import OrdersError, RangeDamaged
from cache.line_items_view import create_view, find_lines, has_items, view_name
from cache.machine.memory import available_memory
from cache.machine.sandbox import missing_sandbox
from cache.private_files import open_to_others
from cache.settings import Settings, env_file
from cache.storage.backends import open_cache
from cache.storage.snapshot import Snapshot
from cache.storage.source import StatementDialect
from cache.storage.store import Cache
from scraper.client.bounds import COLUMNS
from scraper.client.exporter import Exporter
from scraper.client.unreachable import speaks_https, through_proxy, unreachable
from scraper.errors import NotPhpMyAdmin, StatementBlocked, TooManyRequests, Unproven, status_error
from scraper.login.challenge import realm
from scraper.login.chrome import find_browser, find_driver, install_advice, no_browser
from scraper.login.chrome_arguments import uses_proxy
from scraper.login.login import log_in
from scraper.login.trusted_hosts import trusting_client
from scraper.settings import ScraperSettings
from scraper.table import firewall
from scraper.table.checksums import server_checksums
from scraper.table.describe import read_table
from scraper.table.key_ranges import Range
from scraper.table.table import Table, literal

SHOWN_TABLES = 20
SANDBOX_ADVICE = "A hostile page that breaks out of Chrome could act as this user. Run syncs as another user than root."

_TO_RUN_IT = re.compile(r" ?[^.]*`python -m scraper doctor`[^.]*\.")  # the sentence with these words

Result = TypeVar("Result")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        id: Names the check in documents.
        fine: Whether it passed.
        what: What was found.
        advice: How to repair it, or what to keep in mind.
    """

    id: str
    fine: bool
    what: str
    advice: str = ""

    def __str__(self) -> str:
        mark = "ok  " if self.fine else "FAIL"
        advice = f"\n     {'':<12} -> {self.advice}" if self.advice else ""
        return without_controls(f"{mark} {self.id:<12} {self.what}{advice}")


def examine() -> Iterator[Finding]:
    """Runs the checks one after the other, and yields each result at once. Its advice never is to run it."""
    return (replace(finding, advice=_TO_RUN_IT.sub("", finding.advice)) for finding in _findings())


def _findings() -> Iterator[Finding]:
    try:
        yield _env_file()
        settings = ScraperSettings.load()
    except OrdersError as error:
        yield _broken("settings", error)
        try:
            yield from _misspelt()  # it may be why another one is missing
            yield _cache(Settings.load())
        except OrdersError:
            return
        return
    yield Finding("settings", True, f"{settings.phpmyadmin_url}, table {settings.phpmyadmin_table}")
    yield from _misspelt()
    yield Finding("data_dir", True, str(settings.data_dir))
    yield _cache(settings)
    yield permissions(settings)
    if figures := _figures(settings):
        yield figures
    proxied = uses_proxy(settings)
    chrome = [_memory(proxied), *_chrome(proxied)]
    if settings.phpmyadmin_login in ("auto", "http"):
        chrome = [finding if finding.fine else _not_needed(finding) for finding in chrome]
    yield from chrome
    web_server = reachable(settings)
    yield web_server
    if web_server.fine and all(finding.fine for finding in chrome):
        yield from _inside(settings)


def _env_file() -> Finding:
    path, here = env_file(), Path.cwd() / ".env"
    if path.exists():
        return Finding("env_file", True, str(path))
    advice = f"Copy {path.with_name('.env.example')} to it, and fill in the login."
    if here.exists():
        advice = f"{here} is not read. Move it there, or set ENV_FILE to it."
    return Finding("env_file", True, f"{path} does not exist; the environment counts", advice)


def _misspelt() -> Iterator[Finding]:
    """Names that look like settings and are none, which a sync ignores."""
    for sentence in ScraperSettings.misspelt():
        yield Finding("misspelt", False, sentence, "Correct the line, or remove it.")


def permissions(settings: Settings) -> Finding:
    """Whether other users of this machine may read what is private: a warning, since many machines have none."""
    folders = (settings.cache_place.folder, settings.kept_dir, settings.diagnostics_dir)
    paths = (env_file(), settings.api_key_file, *folders)
    found = open_to_others(paths)
    if not found:
        return Finding("permissions", True, "only this user may read the files")
    names = " ".join(shlex.quote(str(path)) for path in found)
    return Finding("permissions", True, "other users of this machine may read files", f"Run `chmod -R go= {names}`.")


def _not_needed(finding: Finding) -> Finding:
    """A failed check of Chrome is no failure where the login may go over plain HTTP."""
    return replace(finding, fine=True, advice=f"The login goes over plain HTTP. For Chrome: {finding.advice}")


def _broken(id: str, error: OrdersError) -> Finding:
    return Finding(id, False, error.message, error.advice)


def _cache(settings: Settings) -> Finding:
    try:
        with closing(open_cache(settings.cache_place)) as cache:
            folder = settings.cache_place.folder
            with tempfile.TemporaryFile(dir=folder):
                pass
            free = psutil.disk_usage(str(folder)).free
            cache.snapshots.catch_up()
            status = cache.status()
            cache.snapshots.require_format()
            if status.head is not None:
                _require_intact(cache, cache.snapshots.inspect(status.head.generation))
    except OrdersError as error:
        return _broken("cache", error)
    except OSError as error:
        return Finding(
            "cache",
            False,
            f"The cache folder cannot be written: {error.strerror}.",
            "Give this user write access to it, or set CACHE_URL to another folder.",
        )
    held = f"generation {status.head.generation}" if status.head else "no snapshot yet"
    last = ""
    if status.last is not None and status.last.error is not None:
        last = f"The last sync failed: {status.last.error.message} {status.last.error.advice}"
    return Finding("cache", True, f"{folder}, {held}, {free >> 20} MB free", last)


def _require_intact(cache: Cache, snapshot: Snapshot) -> None:
    """Reads every file, and compares it with its digest.

    Raises:
        RangeDamaged: A segment is damaged. All damaged ones are recorded.
    """
    found = {segment.id: cache.snapshots.verify(segment) for segment in snapshot.manifest.segments}
    for id, fault in found.items():
        if fault:
            raise RangeDamaged.of(id, fault)


def _figures(settings: Settings) -> Finding | None:
    """What the checks of the newest generation found; None where they were not made."""
    try:
        with closing(open_cache(settings.cache_place)) as cache:
            head = cache.snapshots.head()
            report = cache.snapshots.checks(head.generation) if head else None
    except OrdersError:
        return None  # the check of the cache says it
    if report is None or report.ok is None:
        return None
    failing = [f"{name}: {report.checks[name].failed:,}" for name in report.failing]
    what = f"{share_text(report.agree, report.orders)} of {report.orders:,} orders add up"
    advice = f"Orders that do not agree ({', '.join(failing)}) are listed on the Data page." if failing else ""
    if not report.confirmed:
        advice += " The data does not confirm what the columns mean: see the Settings page."
    return Finding("figures", True, what, advice.strip())


def _memory(proxied: bool) -> Finding:
    available = available_memory()
    what = f"{available >> 20} MB of memory available"
    browser = find_browser(proxied)
    if browser and available < browser.login_bytes:
        needed = browser.login_bytes >> 20
        return Finding("memory", False, what, f"Chrome needs about {needed} MB while it logs in. Free some memory.")
    return Finding("memory", True, what)


def _chrome(proxied: bool) -> Iterator[Finding]:
    browser = find_browser(proxied)
    if browser is None:
        yield Finding("browser", False, no_browser(proxied), f"Install it: {install_advice()}.")
        return
    yield Finding("browser", True, _version(browser.path))
    try:
        driver = find_driver()
    except OrdersError as error:
        yield _broken("driver", error)
        return
    yield Finding("driver", True, _version(driver))
    reason = missing_sandbox()
    if reason is None:
        yield Finding("sandbox", True, "Chrome runs in its sandbox")
    else:
        yield Finding("sandbox", True, f"Chrome runs without its sandbox: {reason}.", SANDBOX_ADVICE)


def _version(program: str) -> str:
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False, env=child_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return program
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else program


def reachable(settings: ScraperSettings) -> Finding:
    """Whether a web server answers at the address, with or without a request for credentials."""
    started = time.monotonic()
    try:
        with trusting_client(settings) as client:
            response = client.get(settings.start_url)
    except OrdersError as error:
        return _broken("reachable", error)
    except (httpx2.TransportError, UnicodeError) as error:  # a redirect to a name that no host can have
        return _broken("reachable", unreachable(settings.start_url, error))
    except httpx2.TooManyRedirects:
        return _broken("reachable", NotPhpMyAdmin(f"{settings.start_url} is in a redirect loop."))
    except httpx2.HTTPError:
        return _broken(
            "reachable", NotPhpMyAdmin(f"{settings.start_url} cannot be read: its answer is not valid HTTP.")
        )
    if response.status_code == httpx2.codes.BAD_REQUEST and speaks_https(response.text):
        return _broken("reachable", unreachable(settings.start_url, "INVALID_HTTP_RESPONSE"))
    if response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
        waits = response.headers.get("Retry-After")
        return _broken("reachable", TooManyRequests(response.url.netloc.decode(), waits))
    if response.status_code >= 400 and realm(response) is None:  # the login sends credentials
        message = f"{settings.start_url} answers {response.status_code}."
        return _broken("reachable", status_error(response.status_code, message))
    way, seconds = through_proxy(settings.start_url), time.monotonic() - started
    return Finding("reachable", True, f"{settings.start_url} answers{way} in {seconds:.2f} s")


def _inside(settings: ScraperSettings) -> Iterator[Finding]:
    """The checks that need a login."""
    try:
        session = log_in(settings)
    except OrdersError as error:
        yield _broken("login", error)
        return
    yield Finding("login", True, f"phpMyAdmin {session.version}")
    database, name = settings.phpmyadmin_database, settings.phpmyadmin_table
    with Exporter(session, settings) as export:
        try:
            table, dialect = _let_through(
                export, StatementDialect(), lambda dialect: read_table(export, database, name, dialect)
            )
        except OrdersError as error:
            try:
                visible = f"This login sees: {', '.join(_visible_tables(export, database)) or 'none'}. "
            except OrdersError:  # the database is down, for example; the first error says so
                visible = ""
            yield Finding("table", False, error.message, visible + error.advice)
            return
        server = f" on {table.server}" if table.server else ""  # both are known from information_schema alone
        rows = f", about {table.estimate} rows" if table.estimate else ""
        yield Finding("table", True, f"{table.name}{server}: {len(table.columns)} columns{rows}")
        yield _key(table)
        try:
            _, dialect = _let_through(
                export, dialect, lambda dialect: _try_rows(export, replace(table, dialect=dialect))
            )
        except OrdersError as error:
            yield _broken("privileges", error)
            return
        yield Finding("privileges", True, "this login may SELECT from it")
        if dialect.refused:
            yield _firewall(dialect)
        elif found := line_items(export, table):
            yield found


def _let_through(
    export: Exporter, dialect: StatementDialect, step: Callable[[StatementDialect], Result]
) -> tuple[Result, StatementDialect]:
    """Does a step in the first dialect that a firewall lets through, as a sync does."""
    while True:
        try:
            return step(dialect), dialect
        except StatementBlocked as error:
            dialect = firewall.next_dialect(export, dialect, error)


def _try_rows(export: Exporter, table: Table) -> None:
    """One row, or the count of rows, in the dialect of the table, and the checksums of two ranges that hold none."""
    if table.dialect.rows == "exported":
        export.count()
        return
    sql = f"SELECT {table.select_list} FROM {table.sql_name} AS t LIMIT 1"
    export.select(sql, table.width, 1, table.alias, export.row_bound)
    if table.dialect.rows == "proven" and table.range_key is not None:
        server_checksums(export, table, [Range(0, 0), Range(1, 1)])


def _firewall(dialect: StatementDialect) -> Finding:
    """Not a failure: a sync uses other statements."""
    what = f"A firewall in front of phpMyAdmin refuses {', '.join(dialect.refused)}."
    advice = (
        Unproven.advice
        if firewall.unverified_reason(dialect)
        else "Syncs use other statements, which verify the copy too."
    )
    return Finding("firewall", True, what, advice)


def line_items(export: Exporter, table: Table) -> Finding | None:
    """Whether line items are in a table of their own, with the view that joins them; None where they are not."""
    names = [column.name for column in table.columns]
    key = next((column.name for column in table.columns if column.key == 1), None)
    if key is None or has_items(names):
        return None
    sql = (
        "SELECT table_name AS c0, column_name AS c1 FROM information_schema.columns "
        f"WHERE table_schema = {literal(table.database)} AND table_name <> {literal(table.name)} "
        f"ORDER BY table_name, ordinal_position LIMIT {COLUMNS}"
    )
    tables: dict[str, list[str]] = {}
    try:
        for name, column in zip(*export.select(sql, 2, COLUMNS).to_pydict().values(), strict=True):
            tables.setdefault(name, []).append(column)
    except OrdersError:
        return None  # a hint less
    found = find_lines(table.name, tables)
    if found is None:
        return None
    lines, reference = found
    statement = create_view(table.database, table.name, key, lines, reference, tables[lines]).replace("\n", " ")
    advice = (
        f"To see products, make a view with one row for each line item: {statement}; let this user SELECT from it, and "
        f"set PHPMYADMIN_TABLE to {view_name(table.name)}."
    )
    return Finding("line_items", True, f"the items of orders are in another table, {lines}", advice)


def _visible_tables(export: Exporter, database: str) -> list[str]:
    """Tables that the user sees, those of the wanted database first."""
    tables = export.select(
        "SELECT table_schema AS c0, table_name AS c1 FROM information_schema.tables WHERE table_schema NOT IN "
        "('information_schema', 'mysql', 'performance_schema', 'sys') "
        f"ORDER BY table_schema <> {literal(database)}, table_schema, table_name LIMIT {SHOWN_TABLES}",
        2,
        SHOWN_TABLES,
    )
    return [f"{schema}.{name}" for schema, name in zip(*tables.to_pydict().values(), strict=True)]


def _key(table: Table) -> Finding:
    names = ", ".join(c.name for c in sorted((c for c in table.columns if c.key), key=lambda c: c.key))
    if table.range_key is None:
        return Finding(
            "key",
            True,
            f"key: {names or 'none'}",
            "Without an integer key, every change means that the whole table is exported again.",
        )
    return Finding("key", True, f"key: {names}")
