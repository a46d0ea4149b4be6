"""What a failing page looked like: its HTML, of a browser also a screenshot, secrets removed, the newest ten."""

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

KEPT = 10
# Hidden inputs and script values that carry a session: token, set_session, cookies.
_TOKENS = re.compile(r"""((?:token|session|cookie|auth)[\w-]*["']?\s*(?:value=|[:=])\s*["']?)([\w%+/=.-]{8,})""", re.I)


def keep(folder: Path, code: str, screenshot: bytes | None, page: str, secrets: Iterable[str]) -> None:
    """Writes files named by time and error code; failing to do so must not hide the error itself.

    Args:
        folder: Where they go; it is made if it is missing, and holds the newest ten pages.
        code: The code of the error.
        screenshot: A PNG, or None where there is no browser.
        page: The HTML as it was received.
        secrets: Texts that are replaced in the page.
    """
    stem = name(now(), code)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if screenshot is not None:
            (folder / f"{stem}.png").write_bytes(screenshot)
        (folder / f"{stem}.html").write_text(without(page, secrets), encoding="utf-8")
        kept = sorted({path.stem for path in folder.iterdir()}, reverse=True)[:KEPT]
        for path in folder.iterdir():
            if path.stem not in kept:
                path.unlink()
    except OSError as error:
        log.warning("diagnostics not kept: %s", error.strerror)


def without(page: str, secrets: Iterable[str]) -> str:
    """The page with every secret, and every value that looks like a session token, replaced."""
    page = re.sub(r'(name="(?:token|set_session)"\s+value=")[^"]*', r"\1[removed]", page)
    page = _TOKENS.sub(r"\1[removed]", page)
    for secret in filter(None, secrets):
        for form in {secret, html.escape(secret), quote(secret)}:
            page = page.replace(form, "[removed]")
    return page
