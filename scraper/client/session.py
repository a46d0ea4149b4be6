"""A login that statements can be sent with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from scraper.client.transport import Transport


@dataclass(frozen=True)
class Session:
    """A login that statements can be sent with. `repr` shows none of its secrets.

    `headers` go with each request, besides User-Agent and cookies; `page` stands in for requests of our own where the
    browser stays open; `way` says how the login was made, and why so.
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
    way: str = ""

    def __repr__(self) -> str:
        return f"Session(phpMyAdmin {self.version})"

    def request_headers(self) -> httpx.Headers:
        """All that a request of ours carries."""
        headers = httpx.Headers({"User-Agent": self.user_agent})
        headers.update({**dict(self.headers), "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies)})
        return headers
