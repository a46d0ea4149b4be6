"""Pages in Chrome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from bs4 import BeautifulSoup
from selenium.common.exceptions import JavascriptException, TimeoutException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from scraper.client.tls import pin, trust
from scraper.client.transport import unreachable
from scraper.errors import CertificateRefused, NotPhpMyAdmin, Unreachable
from scraper.login import redirects
from scraper.login.basic_auth import asked_for, authorization, refusal
from scraper.login.trusted_hosts import hosts, visitor
from scraper.settings import ScraperSettings

LOADING_SECONDS = 30
ONWARD_SECONDS = 15  # for a page that leads on by a refresh or a script
_STATUS = "return performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0"
# Of the page that Chrome shows in place of one whose certificate it does not trust.
_MISTRUST = "return location.protocol === 'chrome-error:' ? document.body.innerText : ''"
_KNOWN = "return window.CommonParams ? String(CommonParams.get(arguments[0]) ?? '') : ''"
_OPTIONS = "return Object.fromEntries([...document.querySelectorAll(arguments[0])].map(o => [o.value, o.text.trim()]))"
_SUBMIT = """
window.hereBefore = true;
const button = arguments[0].querySelector('[type=submit]');
if (button) button.click(); else arguments[0].requestSubmit();
"""
_WHOLE = "return document.readyState === 'complete' ? document.documentElement.outerHTML : ''"
_ARRIVED = "return !window.hereBefore && document.readyState === 'complete'"


def arguments(settings: ScraperSettings) -> list[str]:
    """What Chrome's command line needs for this way in. Raises CertificateRefused, Unreachable, SettingsInvalid."""
    given = []
    if settings.phpmyadmin_ca_file and settings.start.startswith("https:"):
        try:
            key = pin(settings.start, trust(settings.phpmyadmin_ca_file))
        except httpx.TransportError as error:
            raise unreachable(settings.start, error) from error
        given.append(f"--ignore-certificate-errors-spki-list={key}")
    if settings.headers or settings.phpmyadmin_http_username:  # Chrome would send these headers to any host
        own = "".join(f", EXCLUDE {host}" for host in sorted(hosts(settings)))
        given.append(f"--host-resolver-rules=MAP * ~NOTFOUND{own}")
    return given


class BrowserWindow:
    """A front_door.Window. Parameters: `driver` runs, with `arguments`."""

    def __init__(self, driver: Chrome, settings: ScraperSettings) -> None:
        self._driver = driver
        self._settings = settings
        self._authorization: dict[str, str] = {}
        self._send_headers()

    @property
    def address(self) -> str:
        return self._driver.current_url

    @property
    def html(self) -> str:
        return self._driver.page_source

    def open(self, address: str) -> None:
        self._load(address)
        status = self._script(_STATUS)
        if status >= 500:
            raise Unreachable(f"{urlsplit(address).netloc} answered {status}.")
        if status != httpx.codes.UNAUTHORIZED:
            self._arrive()
            return
        asked = self._realm(address)
        if asked is not None:
            self._authorization = {"Authorization": authorization(self._settings, asked)}
            self._send_headers()
            self._load(address)
            if self._script(_STATUS) == httpx.codes.UNAUTHORIZED:
                raise refusal(asked)
        self._arrive()

    def submit(self, fields: Mapping[str, str]) -> None:
        chosen = [self._driver.find_element(By.CSS_SELECTOR, selector) for selector in fields]
        for field, value in zip(chosen, fields.values(), strict=True):
            field.clear()
            field.send_keys(value)
        form = cast(WebElement | None, self._driver.execute_script("return arguments[0].form", chosen[0]))
        if form is None:
            raise NotPhpMyAdmin(
                f"The page at {self.address.partition('?')[0]} shows no form with the field {next(iter(fields))}."
            )
        self._script(_SUBMIT, form)  # a native click can be intercepted by a notice
        wait = WebDriverWait(self._driver, LOADING_SECONDS, ignored_exceptions=[JavascriptException])
        try:
            wait.until(lambda driver: driver.execute_script(_ARRIVED))
        except TimeoutException:
            return  # what it shows now is judged, whether it went anywhere or not: nothing is sent twice
        self._arrive()

    def shows(self, selector: str) -> bool:
        return bool(self._driver.find_elements(By.CSS_SELECTOR, selector))

    def needs_scripts(self) -> bool:
        return False

    def attribute(self, selector: str, name: str) -> str:
        found = self._driver.find_elements(By.CSS_SELECTOR, selector)
        return found[0].get_dom_attribute(name) or "" if found else ""

    def options(self, selector: str) -> dict[str, str]:
        return dict(self._script(_OPTIONS, f"{selector} option"))

    def complaint(self) -> str:
        found = self._driver.find_elements(By.CSS_SELECTOR, ".alert-danger, div.error")
        return " ".join(" ".join(alert.text for alert in found if alert.is_displayed()).split())[:300]

    def known(self, name: str) -> str:
        return str(self._script(_KNOWN, name))

    def user_agent(self) -> str:
        return str(self._script("return navigator.userAgent"))

    def headers(self) -> dict[str, str]:
        """What has to go with each further request, besides cookies."""
        return self._settings.headers | self._authorization

    def cookies(self, _: str) -> list[tuple[str, str]]:
        """The cookies of the page that is shown, those among them that scripts do not see."""
        return [(cookie["name"], cookie["value"]) for cookie in self._driver.get_cookies()]

    def screenshot(self) -> bytes | None:
        return self._driver.get_screenshot_as_png()

    def _script(self, script: str, *values: Any) -> Any:
        return self._driver.execute_script(script, *values)

    def _send_headers(self) -> None:
        if headers := self.headers():
            self._driver.execute_cdp_cmd("Network.enable", {})
            self._driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})

    def _load(self, address: str) -> None:
        host = urlsplit(address).netloc
        try:
            self._driver.get(address)
        except WebDriverException as error:
            if found := re.search(r"net::(ERR_\w+)", error.msg or ""):
                raise Unreachable(f"{host} cannot be reached ({found[1]}).") from error
            raise
        if found := re.search(r"ERR_(?:CERT|SSL)_\w+", self._script(_MISTRUST)):
            raise CertificateRefused(f"The certificate of {host} is not trusted ({found[0]}).")
        if self._driver.current_url.startswith(("chrome-error:", "data:")) or not self._driver.page_source:
            raise Unreachable(f"{host} does not answer.")

    def _arrive(self) -> None:
        """Waits while the page is one that leads on by itself."""

        def arrived(_: Chrome) -> bool:
            html = self._script(_WHOLE)
            page = BeautifulSoup(html, "html.parser")
            return bool(html) and not redirects.refresh(page) and not redirects.by_script(page)

        with suppress(TimeoutException):  # what it shows then is judged
            WebDriverWait(self._driver, ONWARD_SECONDS, 0.2, [JavascriptException]).until(arrived)

    def _realm(self, address: str) -> str | None:
        """What the page's refusal names; Chrome does not tell."""
        try:
            with visitor(self._settings, self._authorization) as client:
                return asked_for(client.get(address), self._settings)
        except httpx.TransportError as error:
            raise unreachable(address, error) from error
