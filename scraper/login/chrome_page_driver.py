"""Pages in Chrome."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
from selenium.common.exceptions import JavascriptException, TimeoutException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from typing_extensions import override

from scraper.client.bounds import PAGE
from scraper.client.exporter import WAITS
from scraper.client.unreachable import speaks_https, unreachable
from scraper.errors import NotPhpMyAdmin, TooManyRequests, Unreachable
from scraper.login import redirects
from scraper.login.bounded_pages import parse_page
from scraper.login.challenge import trusted_realm
from scraper.login.masking import public_url
from scraper.login.page_driver import PageDriver
from scraper.login.settings import LoginSettings
from scraper.login.trusted_hosts import check_target, is_trusted, other_host, trusting_client

log = logging.getLogger(__name__)

LOADING_SECONDS = 30
LONGEST_REDIRECT = 100_000  # characters
REDIRECT_SECONDS = 15  # for a page that redirects by a refresh or a script
_STATUS = "return performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0"
_IS_ERROR_PAGE = "return location.protocol === 'chrome-error:'"
# What a page says is cut in Chrome: a page may be larger than the memory of a sync.
_HTML = f"return (document.documentElement?.outerHTML ?? '').slice(0, {PAGE.limit})"
_COMMON_PARAM = "return window.CommonParams ? String(CommonParams.get(arguments[0]) ?? '').slice(0, 4096) : ''"
_ATTRIBUTE = "return (document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? '').slice(0, 65536)"
_OPTIONS = """
const options = [...document.querySelectorAll(arguments[0])].slice(0, 1000);
return Object.fromEntries(options.map(o => [o.value.slice(0, 200), o.text.trim().slice(0, 200)]));
"""
_ERROR_TEXT = """
const alerts = [...document.querySelectorAll('.alert-danger, div.error')].slice(0, 20);
const visible = alerts.filter(alert => alert.checkVisibility({visibilityProperty: true}));
return visible.map(alert => alert.innerText.slice(0, 4096)).join(' ');
"""
_SUBMIT = """
window.formWasSent = true;
const button = arguments[0].querySelector('[type=submit]');
if (button) button.click(); else arguments[0].requestSubmit();
"""
# Where a form is sent to; a script without a URL sends it to its own page.
_TARGET = """
const form = arguments[0], button = form.querySelector('[type=submit]');
const action = (button && button.getAttribute('formaction')) || form.getAttribute('action') || location.href;
return action.startsWith('javascript:') ? location.href : new URL(action, document.baseURI).href;
"""
# A page that only leads to another one is short.
_LOADED_HTML = f"""
if (document.readyState !== 'complete') return '';
const html = document.documentElement.outerHTML;
return html.length > {LONGEST_REDIRECT} ? '<html>' : html;
"""
_NEXT_PAGE_LOADED = "return !window.formWasSent && document.readyState === 'complete'"


class ChromePageDriver(PageDriver):
    """Shows pages in Chrome.

    Args:
        driver: Chrome, started with `scraper.login.chrome_arguments`.
        settings: They say what requests carry.
    """

    def __init__(self, driver: Chrome, settings: LoginSettings) -> None:
        self._driver = driver
        self._settings = settings
        self._authorization: dict[str, str] = {}
        self._send_headers()

    @property
    @override
    def address(self) -> str:
        return self._driver.current_url

    @property
    @override
    def status(self) -> int:
        return int(self._script(_STATUS))

    @property
    @override
    def html(self) -> str:
        return str(self._script(_HTML))

    @override
    def open(self, address: str) -> None:
        for _ in range(WAITS):
            try:
                return self._open_once(address)
            except TooManyRequests as error:  # Chrome does not tell how long to wait
                log.warning("waiting %g s: %s", error.seconds, error.message)
                time.sleep(error.seconds)
        return self._open_once(address)

    def _open_once(self, address: str) -> None:
        host = urlsplit(address).netloc.rpartition("@")[2]
        try:
            self._driver.get(address)
        except WebDriverException as error:
            self._check_arrival()
            if match := re.search(r"net::(ERR_\w+)", error.msg or ""):
                raise unreachable(address, match[1]) from error
            raise
        if self._script(_IS_ERROR_PAGE):
            self._check_arrival()
            reason = self._driver.execute_cdp_cmd("Page.navigate", {"url": address}).get("errorText", "")
            raise unreachable(address, reason)
        if self._driver.current_url.startswith("data:") or not self.html:
            raise Unreachable(f"{host} does not answer.")
        self._check_status()
        if self.status == httpx2.codes.BAD_REQUEST and speaks_https(self.html):
            raise unreachable(address, "INVALID_HTTP_RESPONSE")
        if self.status != httpx2.codes.UNAUTHORIZED:
            self._follow_redirects()

    @override
    def submit(self, fields: Mapping[str, str]) -> None:
        inputs = [self._driver.find_element(By.CSS_SELECTOR, selector) for selector in fields]
        form = cast(WebElement | None, self._script("return arguments[0].form", inputs[0]))
        if form is None:
            raise NotPhpMyAdmin(
                f"The page at {public_url(self.address)} has no form with the field {next(iter(fields))}."
            )
        check_target(self._settings, self.address, self._script(_TARGET, form))
        for field, value in zip(inputs, fields.values(), strict=True):
            field.clear()
            field.send_keys(value)
        self._script(_SUBMIT, form)  # a native click can be intercepted by a notice
        wait = WebDriverWait(self._driver, LOADING_SECONDS, ignored_exceptions=[JavascriptException])
        try:
            wait.until(lambda driver: driver.execute_script(_NEXT_PAGE_LOADED))
        except TimeoutException:
            return  # the step judges what is shown now; no form is sent twice
        self._check_arrival()
        self._check_status()
        self._follow_redirects()

    @override
    def shows(self, selector: str) -> bool:
        return bool(self._script("return document.querySelector(arguments[0]) !== null", selector))

    @override
    def needs_scripts(self) -> bool:
        return False

    @override
    def attribute(self, selector: str, name: str) -> str:
        return str(self._script(_ATTRIBUTE, selector, name))

    @override
    def options(self, selector: str) -> dict[str, str]:
        return dict(self._script(_OPTIONS, f"{selector} option"))

    @override
    def error_text(self) -> str:
        return " ".join(str(self._script(_ERROR_TEXT)).split())[:300]

    @override
    def common_param(self, name: str) -> str:
        return str(self._script(_COMMON_PARAM, name))

    @override
    def challenge(self) -> str | None:
        if self.status != httpx2.codes.UNAUTHORIZED:
            return None
        try:  # Chrome does not tell the headers of a response
            with trusting_client(self._settings, self._authorization) as client:
                return trusted_realm(client.get(self.address), self._settings)
        except httpx2.TransportError as error:
            raise unreachable(self.address, error) from error

    @override
    def authorize(self, header: str) -> None:
        self._authorization = {"Authorization": header}
        self._send_headers()

    @override
    def user_agent(self) -> str:
        return str(self._script("return navigator.userAgent"))

    @override
    def headers(self) -> dict[str, str]:
        return self._settings.headers | self._authorization

    @override
    def cookies(self, address: str) -> list[tuple[str, str]]:
        """The cookies of the page that is shown, including those that scripts cannot read."""
        return [(cookie["name"], cookie["value"]) for cookie in self._driver.get_cookies()]

    @override
    def screenshot(self) -> bytes | None:
        return self._driver.get_screenshot_as_png()

    def _script(self, script: str, *values: Any) -> Any:
        return self._driver.execute_script(script, *values)

    def _check_arrival(self) -> None:
        """Raises LoginRefused if Chrome was led to a host that it may not connect to."""
        if self.address.startswith(("http:", "https:")) and not is_trusted(self._settings, self.address):
            raise other_host(self._settings, self.address)

    def _check_status(self) -> None:
        """Raises the error of a status that no page of a login has."""
        host, status = urlsplit(self.address).netloc.rpartition("@")[2], self.status
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            raise TooManyRequests(host)
        if status >= 500:
            raise Unreachable(f"{host} answered {status}.")

    def _send_headers(self) -> None:
        if headers := self.headers():
            self._driver.execute_cdp_cmd("Network.enable", {})
            self._driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})

    def _follow_redirects(self) -> None:
        """Waits while the page is one that redirects by a refresh or a script."""

        def arrived(_: Chrome) -> bool:
            self._check_arrival()
            html = self._script(_LOADED_HTML)
            page = parse_page(html)
            return bool(html) and not redirects.refresh(page) and not redirects.by_script(page)

        with suppress(TimeoutException):  # the step judges what is shown then
            WebDriverWait(self._driver, REDIRECT_SECONDS, 0.2, [JavascriptException]).until(arrived)
