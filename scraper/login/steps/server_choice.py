"""A phpMyAdmin that offers several database servers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from pydantic import BaseModel, Field

from scraper.errors import ScrapeError
from scraper.login.bounded_pages import join_url
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep

_SERVERS = "select#select_server"


class ServerChoiceNeeded(ScrapeError):
    """phpMyAdmin offers several servers, and PHPMYADMIN_SERVER names none of them."""

    code = "server_choice_needed"
    advice = "Set PHPMYADMIN_SERVER to one of the numbers or names."
    stops_schedule = True


class ServerChoiceSettings(BaseModel):
    """Which of several servers to use."""

    phpmyadmin_server: str | None = Field(
        None, description="Number or name of the database server, if phpMyAdmin offers several."
    )


class ServerChoice(LoginStep[ServerChoiceSettings]):
    """Opens the page of the chosen server."""

    def applies(self, page: PageDriver) -> bool:
        """Whether a server is to be chosen and the page is phpMyAdmin's."""
        chosen = page.common_param("server")
        if self.settings.phpmyadmin_server:
            return bool(chosen)
        return chosen == "0" and bool(servers(page))

    def run(self, page: PageDriver) -> None:
        """Switches to the server in PHPMYADMIN_SERVER.

        Raises:
            ServerChoiceNeeded: The setting is missing, or there is no such server.
        """
        choices, chosen, wanted = servers(page), page.common_param("server"), self.settings.phpmyadmin_server
        if not wanted:
            raise ServerChoiceNeeded(f"phpMyAdmin offers several servers: {listed(choices)}.")
        numbers = [number for number in (*choices, chosen) if number == wanted]
        numbers += [number for number, label in choices.items() if label == wanted]
        if not numbers:
            raise ServerChoiceNeeded(f"There is no server {wanted!r}. There are: {listed(choices) or chosen}.")
        if numbers[0] != chosen:
            page.open(join_url(page.address, f"index.php?server={numbers[0]}"))


def servers(page: PageDriver) -> dict[str, str]:
    """Names of the servers by number; empty where there is no choice."""
    return {number: label for number, label in page.options(_SERVERS).items() if number}


def listed(choices: Mapping[str, str]) -> str:
    """Servers as a message lists them, at most twenty: `1 (Shop), 2 (Blog)`."""
    return ", ".join(f"{number[:40]} ({label[:40]})" for number, label in islice(choices.items(), 20))
