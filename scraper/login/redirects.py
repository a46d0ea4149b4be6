"""Redirects in the HTML: by a refresh, which can be followed, or by a script, which needs a browser."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

from scraper.login.bounded_pages import find_all, find_first

MAX_DELAY = 10  # seconds; a later refresh is that of a page to be read
MAX_LINKS = 3  # a page with more links is one to be used, whatever its scripts may do
_REFRESH = re.compile(r"\s*(\d{1,9})(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?['\"]?([^'\"]+)", re.IGNORECASE)
_LEAVES = re.compile(r"\blocation(?:\.href)?\s*=(?!=)|\blocation\.(?:replace|assign)\s*\(|\.submit\s*\(")
_GOAL = "input[type=password], form[name=dump]"
_TEXTS = ".//text()[not(ancestor::script or ancestor::noscript or ancestor::style or ancestor::title)]"


def refresh(page: HtmlElement) -> str:
    """The target of a `<meta http-equiv="refresh">`, as the page spells it; empty where there is none."""
    for tag in page.iter("meta"):
        match = _REFRESH.match(tag.get("content", ""))
        is_refresh = tag.get("http-equiv", "").lower() == "refresh"
        if is_refresh and match and int(match[1]) <= MAX_DELAY and next(tag.iterancestors("noscript"), None) is None:
            return match[2].strip()
    return ""


def by_script(page: HtmlElement) -> bool:
    """Whether the page seems to redirect by a script: one that sets the location, or is all that the page contains."""
    scripts = list(page.iter("script"))
    if not scripts or find_first(page, _GOAL) is not None or len(find_all(page, "a[href]")) > MAX_LINKS:
        return False
    if any(_LEAVES.search(script.text_content()) for script in scripts):
        return True
    return not any(text.strip() for text in page.xpath(_TEXTS))
