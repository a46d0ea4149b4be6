"""`GET /demo`: a page to try the API."""

from __future__ import annotations

from pathlib import Path

from api.documentation.html_page import Endpoint, page_endpoint

_PAGE = Path(__file__).with_name("demo.html")


def demo_endpoint() -> Endpoint:
    """The endpoint."""
    return page_endpoint(_PAGE.read_text(encoding="utf-8"))
