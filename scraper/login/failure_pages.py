"""Saves the page on which a login failed: its HTML without secrets, and a screenshot if Chrome was used."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from cache.storage.failure_pages import name
from cache.storage.records import now

log = logging.getLogger(__name__)

KEPT_PAGES = 10
# Hidden inputs and script values that carry a session: token, set_session, cookies.
_TOKENS = re.compile(r"""((?:token|session|cookie|auth)[\w-]*["']?\s*(?:value=|[:=])\s*["']?)([\w%+/=.-]{8,})""", re.I)


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
    """Replaces secrets, and values that look like session tokens, in a page."""
    page = re.sub(r'(name="(?:token|set_session)"\s+value=")[^"]*', r"\1[removed]", page)
    page = _TOKENS.sub(r"\1[removed]", page)
    for secret in filter(None, secrets):
        for form in {secret, html.escape(secret), quote(secret)}:
            page = page.replace(form, "[removed]")
    return page
