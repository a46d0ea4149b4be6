"""The ways in: Chrome or plain HTTP goes through phpMyAdmin's front door, and a Session is what comes out."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from scraper.client.session import Session
from scraper.errors import BrowserFailed, NotPhpMyAdmin, PasswordExpired, ScrapeError
from scraper.login import failure_pages
from scraper.login.chrome import BYTES, available_memory, chrome, find_browser, find_driver
from scraper.login.chrome_window import BrowserWindow, arguments
from scraper.login.http_window import HttpWindow
from scraper.login.page_transport import PageTransport
from scraper.login.steps import EXPIRED, Window, enter
from scraper.login.trusted_hosts import at_home
from scraper.settings import ScraperSettings

log = logging.getLogger(__name__)


class _Leaving(Window, Protocol):
    """What a window tells of a login besides."""

    def user_agent(self) -> str: ...
    def headers(self) -> dict[str, str]: ...
    def cookies(self, address: str) -> list[tuple[str, str]]: ...
    def screenshot(self) -> bytes | None: ...
    @property
    def html(self) -> str: ...


def log_in(settings: ScraperSettings) -> Session:
    """Logs in, and quits Chrome unless exports go through it: then `Session.page` has to be closed.

    Raises Unreachable, NotPhpMyAdmin, BrowserNeeded, LoginRefused, SecondFactorRefused, CaptchaShown, PasswordExpired,
    ServerChoiceNeeded, CertificateRefused, BrowserFailed. A failing page is kept by diagnostics.
    """
    way, why = choose(settings)
    log.info("login=%s because %s", way, why)
    if way == "http":
        with HttpWindow(settings) as window:
            return _session(window, settings, f"{way}: {why}")
    with ExitStack() as stack:
        driver = stack.enter_context(chrome(*arguments(settings)))
        session = _session(BrowserWindow(driver, settings), settings, f"{way}: {why}")
        if way == "browser-only":
            return replace(session, page=PageTransport(driver, stack.pop_all().close))
        return session


def choose(settings: ScraperSettings) -> tuple[str, str]:
    """Which of the ways in PHPMYADMIN_LOGIN means on this machine, and why."""
    if settings.phpmyadmin_login != "auto":
        return settings.phpmyadmin_login, "PHPMYADMIN_LOGIN says so"
    browser, memory = find_browser(), available_memory()
    if browser is None:
        return "http", "there is no Chrome on this machine"
    if memory < BYTES:
        return "http", f"Chrome needs {BYTES >> 20} MB of memory and {memory >> 20} MB are available"
    try:
        find_driver()
    except BrowserFailed as error:
        return "http", error.message
    return "browser", f"there is {Path(browser).name}"


def _session(window: _Leaving, settings: ScraperSettings, way: str) -> Session:
    try:
        enter(window, settings)
        version = window.known("version") or window.known("PMA_VERSION")  # the name differs between releases
        server = window.known("server") or "1"
        form = "server_export.php?" if version.startswith("5.0") else "index.php?route=/server/export&"
        window.open(urljoin(window.address, f"{form}server={server}"))
        if not window.shows("form[name=dump]"):
            said = window.complaint()
            if EXPIRED.search(said):
                raise PasswordExpired(f"The password has expired: {said}")
            raise NotPhpMyAdmin("After the login there is no export form.", "Ask the host whether export is allowed.")
    except ScrapeError as error:
        failure_pages.keep(settings.diagnostics_dir, error.code, window.screenshot(), window.html, settings.secrets())
        raise
    export_url = urljoin(window.address, window.attribute("form[name=dump]", "action"))
    return Session(
        export_url=export_url,
        version=version,
        user_agent=window.user_agent(),
        server=server,
        cookies=tuple(window.cookies(export_url)),
        token=window.known("token"),
        headers=tuple(window.headers().items()) if at_home(settings, export_url) else (),
        ca_file=settings.phpmyadmin_ca_file,
        way=way,
    )
