"""What a login hands over: all that a request to phpMyAdmin needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx2

from scraper.client.transport import Transport


@dataclass(frozen=True)
class Session:
    """A phpMyAdmin session, as a login leaves it. `repr` shows none of its secrets.

    Attributes:
        export_url: Where the export form is sent.
        version: The version of phpMyAdmin.
        user_agent: The `User-Agent` header of the login.
        server: The number of the database server in phpMyAdmin.
        cookies: Names and values.
        token: phpMyAdmin's token against cross-site requests.
        headers: Go with each request, besides `User-Agent` and cookies.
        ca_file: See PHPMYADMIN_CA_FILE.
        page: Makes the requests if the browser stays open; else they are made over plain HTTP.
        method: How the login was made, and why so.
        logout_url: Where the session is ended; empty if others use it too.
    """

    export_url: str
    version: str
    user_agent: str
    server: str
    cookies: tuple[tuple[str, str], ...]
    token: str
    headers: tuple[tuple[str, str], ...] = ()
    ca_file: Path | None = None
    page: Transport | None = None
    method: str = ""
    logout_url: str = ""

    def __repr__(self) -> str:
        return f"Session(phpMyAdmin {self.version})"

    def request_headers(self) -> httpx2.Headers:
        """All headers of a request, cookies included."""
        headers = httpx2.Headers({"User-Agent": self.user_agent})
        headers.update({**dict(self.headers), "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies)})
        return headers
