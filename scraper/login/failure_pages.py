"""Saves the page on which a login failed: its HTML without secrets, and a screenshot if Chrome was used."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from lxml.html import HtmlElement, tostring

from cache.storage.local.failure_pages import name
from cache.storage.records import now
from scraper.errors import AnswerTooLarge
from scraper.login.bounded_pages import parse_page
from scraper.login.masking import REMOVED, SECRET_NAME, mask_sessions

log = logging.getLogger(__name__)

KEPT_PAGES = 10
_BUTTONS = {"submit", "button", "checkbox", "radio"}  # their values are words that the page shows


def keep(folder: Path, code: str, screenshot: bytes | None, page: str, secrets: Iterable[str]) -> None:
    """Saves a page in files that are named by time and error code. A failure to write them is only logged.

    Args:
        folder: Is created if it is missing. The newest ten pages are kept.
        code: The error code.
        screenshot: A PNG image, or None without a browser.
        page: The HTML as it was received.
        secrets: Texts that are replaced in the page.
    """
    stem = name(now(), code)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if screenshot is not None:
            (folder / f"{stem}.png").write_bytes(screenshot)
        (folder / f"{stem}.html").write_text(redact(page, secrets), encoding="utf-8")
        kept = sorted({path.stem for path in folder.iterdir()}, reverse=True)[:KEPT_PAGES]
        for path in folder.iterdir():
            if path.stem not in kept:
                path.unlink()
    except OSError as error:
        log.warning("failure page not saved: %s", error.strerror)


def redact(page: str, secrets: Iterable[str]) -> str:
    """Removes secrets from a page: what is entered or hidden in its forms, tokens, and ids of sessions.

    Args:
        page: The HTML as it was received.
        secrets: Texts that are removed wherever they stand.
    """
    try:
        parsed = parse_page(page)
    except AnswerTooLarge as error:
        return f"<!-- {error.message} It is not kept. -->"
    for tag in parsed.iter():
        for attribute in _secret_attributes(tag):
            tag.set(attribute, REMOVED)
    text = mask_sessions(tostring(parsed, encoding="unicode"))
    for secret in filter(None, secrets):
        for form in {secret, html.escape(secret), html.escape(secret, quote=False), quote(secret)}:
            text = text.replace(form, REMOVED)
    return text


def _secret_attributes(tag: HtmlElement) -> Iterator[str]:
    """The attributes of a tag whose values are kept from the saved page."""
    is_named_secret = bool(SECRET_NAME.search(f"{tag.get('name')} {tag.get('id')}"))
    is_entered = tag.tag == "input" and tag.get("type") not in _BUTTONS
    for attribute in tag.attrib:
        if (
            (attribute == "value" and (is_entered or is_named_secret))
            or (attribute == "content" and is_named_secret)
            or (attribute.startswith("data-") and SECRET_NAME.search(attribute))
        ):
            yield attribute
