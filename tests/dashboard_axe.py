"""What axe finds on a page of the dashboard, in both colour schemes and at both widths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from dashboard_page import at_rest
from playwright.sync_api import Page, expect

OPTIONS: dict[str, Any] = {"resultTypes": ["violations"]}
Look = tuple[Literal["light", "dark"], int]
"""A colour scheme and a width."""
LOOKS: tuple[tuple[Look, Look], ...] = ((("light", 1440), ("dark", 390)), (("dark", 1440), ("light", 390)))
"""Each pair has both schemes and both widths. A page is seen in one pair, and the frame of all pages in both."""
axe = Axe()


def settled(page: Page) -> None:
    """Waits until the page is drawn: no run of the script, nothing stale or fading."""
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=20_000)
    at_rest(page)
    expect(page.locator('[data-stale="true"]')).to_have_count(0, timeout=20_000)
    page.evaluate("Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => 0)))")


def findings(page: Page, looks: Iterable[Look]) -> list[str]:
    """What axe finds in these looks, with the elements that it means."""
    found = []
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        settled(page)
        found += [f"{scheme}, {width}: {each}" for each in violations(page)]
    return found


def violations(page: Page) -> list[str]:
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for each in axe.run(page, options=OPTIONS).response["violations"]
        for node in each["nodes"][:3]
    ]
