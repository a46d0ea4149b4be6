"""Redirects in the HTML: by a refresh, which can be followed, or by a script, which needs a browser."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup

MAX_DELAY = 10  # seconds; a later refresh is that of a page to be read
MAX_LINKS = 3  # a page with more links is one to be used, whatever its scripts may do
MAX_TEXTS = 200  # in scripts alone; whether more of them are visible would take long to find out
_REFRESH = re.compile(r"\s*(\d{1,9})(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?['\"]?([^'\"]+)", re.IGNORECASE)
_LEAVES = re.compile(r"\blocation(?:\.href)?\s*=(?!=)|\blocation\.(?:replace|assign)\s*\(|\.submit\s*\(")
_GOAL = "input[type=password], form[name=dump]"


def refresh(page: BeautifulSoup) -> str:
    """The target of a `<meta http-equiv="refresh">`, as the page spells it; empty where there is none."""
    for tag in page.select('meta[http-equiv="refresh" i]'):
        match = _REFRESH.match(str(tag.get("content") or ""))
        if match and int(match[1]) <= MAX_DELAY and tag.find_parent("noscript") is None:
            return match[2].strip()
    return ""


def by_script(page: BeautifulSoup) -> bool:
    """Whether the page seems to redirect by a script: one that sets the location, or is all that the page contains."""
    scripts = page.find_all("script")
    if not scripts or page.select_one(_GOAL) or len(page.select("a[href]")) > MAX_LINKS:
        return False
    if any(_LEAVES.search(script.get_text()) for script in scripts):
        return True
    body = page.body or page
    texts = body.find_all(string=lambda text: bool(text.strip()), limit=MAX_TEXTS)
    return not any(text.find_parent(["script", "noscript", "style", "title"]) is None for text in texts)
