"""Logs in to phpMyAdmin, in Chrome or over plain HTTP, and returns a session."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from cache.machine.memory import available_memory
from scraper.client.session import Session
from scraper.errors import BrowserFailed, NotPhpMyAdmin, ScrapeError
from scraper.login import failure_pages
from scraper.login.bounded_pages import join_url
from scraper.login.chrome import chrome, find_browser, find_driver, no_browser
from scraper.login.chrome_arguments import chrome_arguments, uses_proxy
from scraper.login.chrome_page_driver import ChromePageDriver
from scraper.login.http_page_driver import HttpPageDriver
from scraper.login.page_driver import PageDriver
from scraper.login.page_transport import PageTransport
from scraper.login.settings import LoginSettings
from scraper.login.steps import follow_steps
from scraper.login.steps.base import refused
from scraper.login.steps.form import check_password_expired
from scraper.login.trusted_hosts import check_target, is_trusted

log = logging.getLogger(__name__)


def log_in(settings: LoginSettings) -> Session:
    """Logs in to phpMyAdmin and saves the page if the login fails (see `scraper.login.failure_pages`).

    Returns:
        The session. Chrome is already closed, unless it also makes the exports: then close `Session.page` at the end.

    Raises:
        ScrapeError: The login failed: Unreachable, NotPhpMyAdmin, LoginRefused, CertificateRefused, BrowserFailed, or
            an error of a step in `scraper.login.steps`.
    """
    method, reason = choose_method(settings)
    log.info("login=%s because %s", method, reason)
    if method == "http":
        with HttpPageDriver(settings) as page:
            return _open_session(page, settings, f"{method}: {reason}")
    _check_memory(settings)
    with ExitStack() as stack:
        driver = stack.enter_context(chrome(*chrome_arguments(settings), uses_proxy=uses_proxy(settings)))
        session = _open_session(ChromePageDriver(driver, settings), settings, f"{method}: {reason}")
        if method == "browser-only":
            return replace(session, page=PageTransport(driver, stack.pop_all().close))
        return session


def choose_method(settings: LoginSettings) -> tuple[str, str]:
    """Returns the login method to use on this machine (a value of PHPMYADMIN_LOGIN), and the reason."""
    if settings.phpmyadmin_login != "auto":
        return settings.phpmyadmin_login, "PHPMYADMIN_LOGIN says so"
    browser, memory = find_browser(uses_proxy(settings)), available_memory()
    if browser is None:
        return "http", no_browser(uses_proxy(settings)).rstrip(".")
    if memory < browser.login_bytes:
        return "http", f"Chrome needs {browser.login_bytes >> 20} MB of memory and {memory >> 20} MB are available"
    try:
        find_driver()
    except BrowserFailed as error:
        return "http", error.message
    return "browser", f"there is {Path(browser.path).name}"


def _check_memory(settings: LoginSettings) -> None:
    """Refuses to start Chrome where the kernel would end processes for lack of memory, and perhaps the dashboard.

    Raises:
        BrowserFailed: There is too little memory.
    """
    browser = find_browser(uses_proxy(settings))
    if browser and (memory := available_memory()) < browser.least_bytes:
        raise BrowserFailed(
            f"Chrome needs at least {browser.least_bytes >> 20} MB of memory and {memory >> 20} MB are available.",
            "Set PHPMYADMIN_LOGIN=http, or auto, or give the machine more memory.",
        )


def _open_session(page: PageDriver, settings: LoginSettings, method: str) -> Session:
    try:
        page.open(settings.start_url)
        follow_steps(page, settings)
        version, server = _open_export_form(page)
        export_url = _export_url(page, settings)
    except ScrapeError as error:
        failure_pages.keep(settings.diagnostics_dir, error.code, page.screenshot(), page.html, settings.secrets())
        raise
    return Session(
        export_url=export_url,
        version=version,
        user_agent=page.user_agent(),
        server=server,
        cookies=tuple(page.cookies(export_url)),
        token=page.common_param("token"),
        headers=tuple(page.headers().items()) if is_trusted(settings, export_url) else (),
        ca_file=settings.phpmyadmin_ca_file,
        method=method,
        logout_url=join_url(export_url, "logout.php" if version.startswith("5.0") else "index.php?route=/logout"),
    )


def _export_url(page: PageDriver, settings: LoginSettings) -> str:
    """Where the export form is sent, and the session with it. Raises LoginRefused if its host is not trusted."""
    address = join_url(page.address, page.attribute("form[name=dump]", "action"))
    here, there = urlsplit(page.address), urlsplit(address)
    if (here.scheme, here.hostname) != (there.scheme, there.hostname):
        check_target(settings, page.address, address)
    return address


def _open_export_form(page: PageDriver) -> tuple[str, str]:
    """Returns the version of phpMyAdmin and the number of its server."""
    version = page.common_param("version") or page.common_param("PMA_VERSION")  # the name differs between releases
    server = page.common_param("server") or "1"
    form = "server_export.php?" if version.startswith("5.0") else "index.php?route=/server/export&"
    page.open(join_url(page.address, f"{form}server={server}"))
    if not page.shows("form[name=dump]"):
        check_password_expired(page)
        raise refused(page) or NotPhpMyAdmin(
            "After the login there is no export form.", "Ask the host whether export is allowed."
        )
    return version, server
