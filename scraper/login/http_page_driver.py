"""Pages without a browser: plain requests, and forms read from the HTML."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Self

import httpx2
from lxml.html import HtmlElement
from typing_extensions import override

from scraper.client.exporter import WAITS
from scraper.client.unreachable import speaks_https, unreachable
from scraper.errors import AnswerCut, AnswerTooLarge, NotPhpMyAdmin, TooManyRequests, Unreachable
from scraper.login import redirects
from scraper.login.bounded_pages import find_all, find_first, join_url, parse_page, shown_text
from scraper.login.challenge import trusted_realm
from scraper.login.masking import public_url
from scraper.login.page_driver import PageDriver
from scraper.login.settings import LoginSettings
from scraper.login.trusted_hosts import trusting_client

log = logging.getLogger(__name__)

USER_AGENT = "Mozilla/5.0 (compatible; phpmyadmin-orders)"
MAX_REFRESHES = 5  # one after the other


class HttpPageDriver(PageDriver):
    """Requests pages with httpx2; a context manager.

    Args:
        settings: They say what requests carry, and to which hosts.
    """

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._authorization: dict[str, str] = {}
        self._client = trusting_client(settings, self._authorization)
        self._client.headers["User-Agent"] = USER_AGENT
        self._response: httpx2.Response | None = None
        self._html = ""
        self._page = parse_page("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    @override
    def address(self) -> str:
        return str(self._response.url) if self._response is not None else self._settings.start_url

    @property
    @override
    def status(self) -> int:
        return self._response.status_code if self._response is not None else 0

    @property
    @override
    def html(self) -> str:
        return self._html

    @override
    def open(self, address: str) -> None:
        self._load("GET", address)

    @override
    def submit(self, fields: Mapping[str, str]) -> None:
        inputs = [find_first(self._page, selector) for selector in fields]
        form = next(inputs[0].iterancestors("form"), None) if inputs[0] is not None else None
        if form is None:
            raise NotPhpMyAdmin(
                f"The page at {public_url(self.address)} has no form with the field {next(iter(fields))}."
            )
        data = _default_values(form)
        for field, value in zip(inputs, fields.values(), strict=True):
            if field is not None:
                data[field.get("name", "")] = value
        self._load("POST", join_url(self.address, form.get("action", "")), data)

    @override
    def shows(self, selector: str) -> bool:
        return find_first(self._page, selector) is not None

    @override
    def needs_scripts(self) -> bool:
        return redirects.by_script(self._page)

    @override
    def attribute(self, selector: str, name: str) -> str:
        element = find_first(self._page, selector)
        return element.get(name, "") if element is not None else ""

    @override
    def options(self, selector: str) -> dict[str, str]:
        options = find_all(self._page, f"{selector} option")
        return {option.get("value", ""): option.text_content().strip() for option in options}

    @override
    def error_text(self) -> str:
        alerts = find_all(self._page, ".alert-danger, div.error")[:20]
        texts = (shown_text(alert) for alert in alerts if not _is_hidden(alert))
        return " ".join(" ".join(texts).split())[:300]

    @override
    def common_param(self, name: str) -> str:
        script = self.html.partition("setAll({")[2]
        match = re.search(rf'\b{name}:("(?:[^"\\]|\\.)*"|\w+)', script.partition("});")[0])
        if not match:
            return ""
        try:
            return str(json.loads(match[1])) if match[1].startswith('"') else match[1]
        except ValueError:  # a string of JavaScript that is none of JSON
            return ""

    @override
    def challenge(self) -> str | None:
        return trusted_realm(self._response, self._settings) if self._response is not None else None

    @override
    def authorize(self, header: str) -> None:
        self._authorization["Authorization"] = header

    @override
    def user_agent(self) -> str:
        return USER_AGENT

    @override
    def headers(self) -> dict[str, str]:
        return self._settings.headers | self._authorization

    @override
    def cookies(self, address: str) -> list[tuple[str, str]]:
        header = self._client.build_request("POST", address).headers.get("Cookie", "")
        pairs = (pair.partition("=") for pair in header.split("; ") if pair)
        return [(name, value) for name, _, value in pairs]

    @override
    def screenshot(self) -> bytes | None:
        return None

    def _load(self, method: str, address: str, data: Mapping[str, str] | None = None) -> None:
        """Follows redirects, and refreshes in the HTML."""
        for _ in range(MAX_REFRESHES + 1):
            self._send(method, address, data)
            target = redirects.refresh(self._page)
            if not target:
                return
            method, address, data = "GET", join_url(self.address, target), None
        raise NotPhpMyAdmin(f"The page at {public_url(self.address)} is in a redirect loop (meta refresh).")

    def _send(self, method: str, address: str, data: Mapping[str, str] | None) -> None:
        for _ in range(WAITS):
            try:
                return self._send_once(method, address, data)
            except TooManyRequests as error:
                log.warning("waiting %g s: %s", error.seconds, error.message)
                time.sleep(error.seconds)
        return self._send_once(method, address, data)

    def _send_once(self, method: str, address: str, data: Mapping[str, str] | None) -> None:
        try:
            response = self._client.send(self._client.build_request(method, address, data=data), stream=True)
            with closing(response):
                _check_status(response)
                body = _read(response)
        except (httpx2.TransportError, UnicodeError) as error:  # a redirect to a name that no host can have
            raise unreachable(address, error) from error
        except httpx2.TooManyRedirects as error:
            raise NotPhpMyAdmin(f"The page at {public_url(address)} is in a redirect loop.") from error
        except httpx2.HTTPError as error:
            raise NotPhpMyAdmin(
                f"The page at {public_url(address)} cannot be read: its answer is not valid HTTP."
            ) from error
        if response.status_code == httpx2.codes.BAD_REQUEST and speaks_https(body.decode("latin-1")):
            raise unreachable(address, "INVALID_HTTP_RESPONSE")
        self._response = response
        # phpMyAdmin writes UTF-8. A page may name any codec of Python, also one that decompresses.
        self._html = body.decode("utf-8", "replace")
        self._page = parse_page(self._html)


def _check_status(response: httpx2.Response) -> None:
    """Raises the error of a status that no page of a login has, whatever its body is."""
    host = response.url.netloc.decode()
    if response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
        raise TooManyRequests(host, response.headers.get("Retry-After"))
    if response.status_code >= 500:
        raise Unreachable(f"{host} answered {response.status_code}.")


def _read(response: httpx2.Response) -> bytes:
    """The body; nothing in place of a broken one whose status says more.

    Raises:
        AnswerCut: It ends early.
        AnswerTooLarge: It is longer than a page.
        TransportError: The connection broke.
    """
    try:
        return response.read()
    except (AnswerCut, AnswerTooLarge, httpx2.TransportError):
        if response.status_code < 400:
            raise
        return b""


def _is_hidden(element: HtmlElement) -> bool:
    return any(parent.tag == "noscript" or "hide" in parent.classes for parent in element.iterancestors())


def _default_values(form: HtmlElement) -> dict[str, str]:
    """What a form sends by itself."""
    data = {}
    for field in form.iter("input"):
        kind = field.get("type", "").lower()
        if kind != "submit" and (kind not in ("checkbox", "radio") or "checked" in field.attrib):
            data[field.get("name", "")] = field.get("value", "")
    for choice in form.iter("select"):
        options = list(choice.iter("option"))
        chosen = next((option for option in options if "selected" in option.attrib), None)
        data[choice.get("name", "")] = (options[0] if chosen is None else chosen).get("value", "") if options else ""
    data.pop("", None)
    return data
