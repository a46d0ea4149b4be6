"""Pages that lead on by themselves: by a refresh, which is followed, or by a script, which needs a browser."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup

AT_ONCE = 10  # seconds after which a refresh is no way on any more, but a page that renews itself
FEW_LINKS = 3  # more of them make a page to be used, whatever its scripts may do
_REFRESH = re.compile(r"\s*(\d+)(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?['\"]?([^'\"]+)", re.IGNORECASE)
_LEAVES = re.compile(r"\blocation(?:\.href)?\s*=(?!=)|\blocation\.(?:replace|assign)\s*\(|\.submit\s*\(")
_ARRIVED = "input[type=password], form[name=dump]"


def refresh(page: BeautifulSoup) -> str:
    """Where a page's <meta http-equiv="refresh"> leads, as it is written; empty where it leads nowhere."""
    for tag in page.select('meta[http-equiv="refresh" i]'):
        found = _REFRESH.match(str(tag.get("content") or ""))
        if found and int(found[1]) <= AT_ONCE and tag.find_parent("noscript") is None:
            return found[2].strip()
    return ""


def by_script(page: BeautifulSoup) -> bool:
    """Whether a script of the page leads on, as far as that can be told: one that leaves it, or all there is on it."""
    scripts = page.find_all("script")
    if not scripts or page.select_one(_ARRIVED) or len(page.select("a[href]")) > FEW_LINKS:
        return False
    if any(_LEAVES.search(script.get_text()) for script in scripts):
        return True
    body = page.body or page
    texts = body.find_all(string=lambda text: bool(text.strip()))
    return not any(text.find_parent(["script", "noscript", "style", "title"]) is None for text in texts)
