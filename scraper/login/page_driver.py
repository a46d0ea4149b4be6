"""What the login needs of a browser: the same in Chrome and over plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class PageDriver(Protocol):
    """Shows one page at a time. Selectors are CSS."""

    @property
    def address(self) -> str:
        """URL of the page that is shown."""

    @property
    def status(self) -> int:
        """The HTTP status of the page that is shown; 0 where it is not known."""

    @property
    def html(self) -> str:
        """HTML of the page that is shown."""

    def open(self, address: str) -> None:
        """Shows the page at a URL, after all redirects.

        Raises:
            Unreachable: The server does not answer, or answers with a server error.
            CertificateRefused: The certificate of the server is not trusted.
            NotPhpMyAdmin: The page redirects in a loop.
            BrowserFailed: Chrome failed.
        """

    def submit(self, fields: Mapping[str, str]) -> None:
        """Fills in fields by their selectors, sends the form of the first one, and shows the next page.

        Raises:
            NotPhpMyAdmin: The page has no such form, or the next one redirects in a loop.
            Unreachable: As for `open`.
        """

    def shows(self, selector: str) -> bool:
        """Whether the page has such an element."""

    def needs_scripts(self) -> bool:
        """Whether the page seems to redirect by JavaScript, which this driver does not run."""

    def attribute(self, selector: str, name: str) -> str:
        """An attribute of the first such element, or an empty string."""

    def options(self, selector: str) -> dict[str, str]:
        """The values of a `<select>` with their labels."""

    def error_text(self) -> str:
        """The error messages that the page shows, at most 300 characters. Hidden ones do not count."""

    def common_param(self, name: str) -> str:
        """A value that phpMyAdmin passes to its scripts: `logged_in`, `token`, `server`, `version`, or nothing."""

    def challenge(self) -> str | None:
        """The realm for which the page asks for HTTP Basic credentials (RFC 7617), or None.

        Raises:
            LoginRefused: A host that the settings do not name asks for them.
        """

    def authorize(self, header: str) -> None:
        """Sends this `Authorization` header from now on, to the hosts that the settings name."""

    def user_agent(self) -> str:
        """The `User-Agent` header of its requests."""

    def headers(self) -> dict[str, str]:
        """The headers that each further request needs, without cookies."""

    def cookies(self, address: str) -> list[tuple[str, str]]:
        """Names and values of the cookies that a request to a URL carries."""

    def screenshot(self) -> bytes | None:
        """The page as a PNG image; None where nothing is drawn."""
