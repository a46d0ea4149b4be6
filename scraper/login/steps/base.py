"""What every login step has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel

from scraper.errors import BrowserNeeded, NotPhpMyAdmin, ScrapeError, status_error
from scraper.login.masking import public_url
from scraper.login.page_driver import PageDriver

StepSettingsType = TypeVar("StepSettingsType", bound=BaseModel)


class LoginStep(ABC, Generic[StepSettingsType]):
    """One thing that may be asked for on the way to a logged-in page of phpMyAdmin.

    Attributes:
        repeats: Whether the step may be asked for more than once in a login.

    Args:
        settings: The settings that the step declares.
    """

    repeats: ClassVar[bool] = False

    def __init__(self, settings: StepSettingsType) -> None:
        self.settings = settings

    @abstractmethod
    def applies(self, page: PageDriver) -> bool:
        """Whether the page that is shown asks for this step."""

    @abstractmethod
    def run(self, page: PageDriver) -> None:
        """Does what the page asks for, and leads to the next page.

        Raises:
            ScrapeError: The step failed. It is not tried twice.
        """


def dead_end(page: PageDriver, message: str, advice: str | None = None) -> ScrapeError:
    """The error for a page on which the login cannot go on."""
    if page.needs_scripts():
        return BrowserNeeded(f"The page at {public_address(page)} redirects by JavaScript, which needs Chrome.")
    return refused(page) or NotPhpMyAdmin(message, advice)


def refused(page: PageDriver) -> ScrapeError | None:
    """The error for a page whose HTTP status says that the request failed; None for any other page."""
    if page.status < 300:
        return None
    return status_error(page.status, f"The page at {public_address(page)} answers {page.status}.")


def public_address(page: PageDriver) -> str:
    """The URL of a page without its query, which may contain secrets."""
    return public_url(page.address)
