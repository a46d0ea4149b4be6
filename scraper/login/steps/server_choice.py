"""A phpMyAdmin that offers several database servers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from pydantic import BaseModel, Field

from scraper.errors import ScrapeError
from scraper.login.bounded_pages import join_url
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep

SERVER_FIELD = "input[name=pma_servername]"
"""A field for any server, on the login form of a phpMyAdmin with AllowArbitraryServer."""
_SERVERS = "select#select_server"


class ServerChoiceNeeded(ScrapeError):
    """phpMyAdmin offers several servers, and PHPMYADMIN_SERVER names none of them."""

    code = "server_choice_needed"
    advice = "Set PHPMYADMIN_SERVER to one of the numbers or names."
    stops_schedule = True


class ServerChoiceSettings(BaseModel):
    """Which of several servers to use."""

    phpmyadmin_server: str | None = Field(
        None,
        description="Number or name of the database server, if phpMyAdmin offers several; `host` or `host:port`, if "
        "its login form has a field for the server.",
    )


class ServerChoice(LoginStep[ServerChoiceSettings]):
    """Opens the page of the chosen server."""

    def __init__(self, settings: ServerChoiceSettings) -> None:
        super().__init__(settings)
        self._is_typed = False

    def applies(self, page: PageDriver) -> bool:
        """Whether a server is to be chosen and the page is phpMyAdmin's."""
        chosen, wanted = page.common_param("server"), self.settings.phpmyadmin_server
        if wanted and page.shows(SERVER_FIELD) and not _numbers(wanted, servers(page)):
            self._is_typed = True  # into the login form
        if wanted:
            return bool(chosen) and not self._is_typed
        return chosen == "0" and bool(servers(page))

    def run(self, page: PageDriver) -> None:
        """Switches to the server in PHPMYADMIN_SERVER.

        Raises:
            ServerChoiceNeeded: The setting is missing, or there is no such server.
        """
        choices, chosen, wanted = servers(page), page.common_param("server"), self.settings.phpmyadmin_server
        if not wanted:
            raise ServerChoiceNeeded(f"phpMyAdmin offers several servers: {listed(choices)}.")
        numbers = _numbers(wanted, {**choices, chosen: choices.get(chosen, "")})
        if not numbers:
            raise ServerChoiceNeeded(f"There is no server {wanted!r}. There are: {listed(choices) or chosen}.")
        if numbers[0] != chosen:
            page.open(join_url(page.address, f"index.php?server={numbers[0]}"))


def _numbers(wanted: str, choices: Mapping[str, str]) -> list[str]:
    """The number that a setting names, by itself or by its label."""
    return [number for number in choices if number == wanted] + [n for n, label in choices.items() if label == wanted]


def typed_server(server: str) -> str:
    """A server as the field takes it: host and port with a space between them."""
    host, colon, port = server.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):  # an IPv6 address alone
        return server
    return f"{host.strip('[]')} {port}"


def servers(page: PageDriver) -> dict[str, str]:
    """Names of the servers by number; empty where there is no choice."""
    return {number: label for number, label in page.options(_SERVERS).items() if number}


def listed(choices: Mapping[str, str]) -> str:
    """Servers as a message lists them, at most twenty: `1 (Shop), 2 (Blog)`."""
    return ", ".join(f"{number[:40]} ({label[:40]})" for number, label in islice(choices.items(), 20))
