"""Pages without a browser: plain requests, forms read out of the HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import urljoin

import httpx
from bs4 import BeautifulSoup, Tag

from scraper.client.transport import unreachable
from scraper.errors import NotPhpMyAdmin, Unreachable
from scraper.login import redirects
from scraper.login.basic_auth import asked_for, authorization, refusal
from scraper.login.trusted_hosts import visitor
from scraper.settings import ScraperSettings

USER_AGENT = "Mozilla/5.0 (compatible; phpmyadmin-orders)"
MOST_REFRESHES = 5  # one after the other
_COMPLAINTS = ":is(.alert-danger, div.error):not(noscript *, .hide *)"


class HttpWindow:
    """A front_door.Window; a context manager."""

    def __init__(self, settings: ScraperSettings) -> None:
        self._settings = settings
        self._authorization: dict[str, str] = {}
        self._client = visitor(settings, self._authorization)
        self._client.headers["User-Agent"] = USER_AGENT
        self.address = settings.start
        self.html = ""
        self._page = BeautifulSoup("", "html.parser")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(self, address: str) -> None:
        response = self._load("GET", address)
        asked = asked_for(response, self._settings)
        if asked is not None:
            self._authorization["Authorization"] = authorization(self._settings, asked)
            response = self._load("GET", address)
            if (again := asked_for(response, self._settings)) is not None:
                raise refusal(again)

    def submit(self, fields: Mapping[str, str]) -> None:
        chosen = [self._page.select_one(selector) for selector in fields]
        form = chosen[0].find_parent("form") if chosen[0] else None
        if form is None:
            raise NotPhpMyAdmin(
                f"The page at {self.address.partition('?')[0]} shows no form with the field {next(iter(fields))}."
            )
        data = _defaults(form)
        data |= {str(field["name"]): value for field, value in zip(chosen, fields.values(), strict=True) if field}
        self._load("POST", urljoin(self.address, str(form.get("action") or "")), data)

    def shows(self, selector: str) -> bool:
        return self._page.select_one(selector) is not None

    def needs_scripts(self) -> bool:
        return redirects.by_script(self._page)

    def attribute(self, selector: str, name: str) -> str:
        found = self._page.select_one(selector)
        return str(found.get(name) or "") if found else ""

    def options(self, selector: str) -> dict[str, str]:
        found = self._page.select(f"{selector} option")
        return {str(option.get("value", "")): option.get_text(strip=True) for option in found}

    def complaint(self) -> str:
        said = (alert.get_text(" ") for alert in self._page.select(_COMPLAINTS))
        return " ".join(" ".join(said).split())[:300]

    def known(self, name: str) -> str:
        script = self.html.partition("setAll({")[2]
        found = re.search(rf'\b{name}:("(?:[^"\\]|\\.)*"|\w+)', script.partition("});")[0])
        if not found:
            return ""
        return str(json.loads(found[1])) if found[1].startswith('"') else found[1]

    def user_agent(self) -> str:
        return USER_AGENT

    def headers(self) -> dict[str, str]:
        """What has to go with each further request, besides cookies."""
        return self._settings.headers | self._authorization

    def cookies(self, address: str) -> list[tuple[str, str]]:
        """The cookies that belong to an address."""
        header = self._client.build_request("POST", address).headers.get("Cookie", "")
        pairs = (pair.partition("=") for pair in header.split("; ") if pair)
        return [(name, value) for name, _, value in pairs]

    def screenshot(self) -> bytes | None:
        return None

    def _load(self, method: str, address: str, data: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer that redirects and refreshes lead to."""
        for _ in range(MOST_REFRESHES + 1):
            response = self._send(method, address, data)
            target = redirects.refresh(self._page)
            if not target:
                return response
            method, address, data = "GET", urljoin(self.address, target), None
        raise NotPhpMyAdmin(f"The page at {self.address.partition('?')[0]} leads nowhere: it is refreshed without end.")

    def _send(self, method: str, address: str, data: Mapping[str, str] | None) -> httpx.Response:
        try:
            response = self._client.request(method, address, data=data)
        except httpx.TransportError as error:
            raise unreachable(address, error) from error
        except httpx.HTTPError as error:  # redirected in a circle
            raise NotPhpMyAdmin(f"The page at {address.partition('?')[0]} leads nowhere: {error}.") from error
        if response.status_code >= 500:
            raise Unreachable(f"{response.url.netloc.decode()} answered {response.status_code}.")
        self.address, self.html = str(response.url), response.text
        self._page = BeautifulSoup(self.html, "html.parser")
        return response


def _defaults(form: Tag) -> dict[str, str]:
    """What a form sends of its own."""
    data = {}
    for field in form.select("input[name]:not([type=checkbox], [type=radio], [type=submit]), :checked[name]"):
        data[str(field["name"])] = str(field.get("value") or "")
    for choice in form.select("select[name]"):
        option = choice.select_one("option[selected]") or choice.select_one("option")
        data[str(choice["name"])] = str(option.get("value", "")) if option else ""
    return data
