"""Chrome logs in through the real form; what it leaves behind is a Session that plain HTTP goes on with."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from selenium.common.exceptions import NoSuchElementException, TimeoutException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from scraper import diagnostics
from scraper.browser import chrome
from scraper.errors import BrowserFailed, LoginRefused, NotPhpMyAdmin, ScrapeError, Unreachable
from scraper.settings import ScraperSettings

log = logging.getLogger(__name__)

LOGIN_SECONDS = 30
# MySQL's numbers of the client's own errors, and of too many connections; a refused password is 1045.
_NO_DATABASE = re.compile(r"(?:HY000/|#)(?:2\d{3}|1040|1203)\b")
_LOGGED_IN = "return !!(window.CommonParams && String(CommonParams.get('logged_in')) === 'true')"


@dataclass(frozen=True)
class Session:
    """A login that HTTP requests can use. `repr` shows none of its secrets."""

    export_url: str
    version: str
    user_agent: str
    server: str
    cookies: tuple[tuple[str, str], ...]
    token: str

    def __repr__(self) -> str:
        return f"Session(phpMyAdmin {self.version})"


def log_in(settings: ScraperSettings) -> Session:
    """Logs in with Selenium and headless Chrome, and quits Chrome.

    Raises Unreachable, NotPhpMyAdmin, LoginRefused, BrowserFailed. A failing page is kept by diagnostics.
    """
    with chrome() as driver:
        try:
            _submit(driver, settings)
            return _session(driver, settings)
        except ScrapeError as error:
            secrets = [settings.phpmyadmin_password.get_secret_value()]
            diagnostics.keep(error.code, driver.get_screenshot_as_png(), driver.page_source, secrets)
            raise


def _submit(driver: Chrome, settings: ScraperSettings) -> None:
    address = settings.phpmyadmin_url
    try:
        driver.get(address)
    except WebDriverException as error:
        if found := re.search(r"net::(ERR_\w+)", error.msg or ""):
            raise Unreachable(f"{urlsplit(address).netloc} cannot be reached ({found[1]}).") from error
        raise
    if driver.current_url.startswith(("chrome-error:", "data:")) or not driver.page_source:
        raise Unreachable(f"{urlsplit(address).netloc} does not answer.")
    try:
        user = driver.find_element(By.ID, "input_username")
        password = driver.find_element(By.ID, "input_password")
        button = driver.find_element(By.ID, "input_go")
    except NoSuchElementException as error:
        raise NotPhpMyAdmin(f"The page at {address} shows no phpMyAdmin login form.") from error
    user.clear()
    user.send_keys(settings.phpmyadmin_username)
    password.send_keys(settings.phpmyadmin_password.get_secret_value())
    driver.execute_script("arguments[0].click()", button)  # a native click can be intercepted by a notice
    try:
        WebDriverWait(driver, LOGIN_SECONDS).until(lambda d: d.execute_script(_LOGGED_IN) or _alert(d))
    except TimeoutException as error:
        raise BrowserFailed("The login did not end: the page after the form neither opened nor refused.") from error
    if not driver.execute_script(_LOGGED_IN):
        said = _alert(driver)
        if _NO_DATABASE.search(said):
            raise Unreachable(f"phpMyAdmin does not reach its database: {said}", "Start the database, or wait for it.")
        raise LoginRefused(f"phpMyAdmin refused the login: {said}")


def _alert(driver: Chrome) -> str:
    """What the page complains about; it also holds complaints that it does not show."""
    found = driver.find_elements(By.CSS_SELECTOR, ".alert-danger, div.error")
    return " ".join(" ".join(alert.text for alert in found if alert.is_displayed()).split())[:300]


def _session(driver: Chrome, settings: ScraperSettings) -> Session:
    def known(name: str) -> str:
        return str(driver.execute_script("return CommonParams.get(arguments[0])", name) or "")

    version = known("version") or known("PMA_VERSION")  # the name differs between releases
    old = version.startswith("5.0")
    page = "server_export.php" if old else "index.php?route=/server/export"
    driver.get(urljoin(settings.phpmyadmin_url, page))
    forms = driver.find_elements(By.CSS_SELECTOR, "form[name=dump]")
    if not forms:
        raise NotPhpMyAdmin("After the login there is no export form.", "Ask the host whether export is allowed.")
    return Session(
        export_url=urljoin(driver.current_url, forms[0].get_dom_attribute("action") or ""),
        version=version,
        user_agent=str(driver.execute_script("return navigator.userAgent")),
        server=known("server") or "1",
        cookies=tuple((cookie["name"], cookie["value"]) for cookie in driver.get_cookies()),
        token=known("token"),
    )
