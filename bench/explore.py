"""python -m bench.explore: from a press to the settled page, on Explore and What changed, in a real browser.

A page is settled when its script has run and its table is drawn. Each period is a session, in which every choice is
made for the first time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.dashboard import ours
from bench.serve import synced
from bench.servers import median
from cache.errors import OrdersError
from lab import LabError
from lab.servers import BROWSER, install

_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
_TIMEOUT = 600_000  # the first page waits until the table is read
# Milliseconds from the next press until the address is another, the script has run, and a table was drawn again. The
# page itself looks at each frame: Playwright looks every half second.
_WATCH = f"""
() => {{
    document.querySelectorAll("[data-drawn]").forEach(each => delete each.dataset.drawn);
    const before = location.href, shown = selector => document.querySelector(selector);
    window.took = new Promise((done, fail) => addEventListener("pointerdown", () => {{
        const began = performance.now();
        setTimeout(() => fail(Error("the page did not settle")), {_TIMEOUT});
        const look = () => location.href !== before && shown("{_AT_REST}") && shown("[data-drawn]")
            ? done(performance.now() - began) : requestAnimationFrame(look);
        look();
    }}, {{ capture: true, once: true }}));
}}
"""
_STEPS = {
    "pivot: product": ("Rows", "Product"),
    "pivot: product by country": ("Columns", "Country"),
    "pivot: city by country": ("Rows", "City"),
    "pivot: country, as a map": ("Rows", "Country"),
    "pivot: country by new or returning": ("Columns", "New or returning"),
    "pivot: hour of day": ("Rows", "Hour of day"),
    "pivot: hour of day by weekday, as a heat map": ("Columns", "Weekday"),
    "pivot: tag by weekday": ("Rows", "Tag"),
    "pivot: customer by weekday": ("Rows", "Customer"),
    "pivot: customer by product": ("Columns", "Product"),
    "pivot: a column of the table by product": ("Rows", "taxes_included"),
    "pivot: two columns of the table": ("Columns", "test"),
}
_CHANGES = {"what changed: country": ("By", "Country"), "what changed: product": ("By", "Product")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.explore", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders in the table (1000000)")
    parser.add_argument("--periods", nargs="+", default=["30d", "90d", "365d"], help="periods, one a session")
    asked = parser.parse_args()
    try:
        install(*BROWSER)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            _report(asked.rows, synced(asked.rows), Path(folder), asked.periods)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _report(rows: int, data_dir: Path, folder: Path, periods: list[str]) -> None:
    print(f"{rows:,} orders; milliseconds from the press to the settled page, the first time in each period\n")
    print(f"{'':<48}{''.join(f'{period:>8}' for period in periods)}{'median':>8}")
    took: dict[str, list[float]] = {}
    with ours(data_dir, folder) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        warm = browser.new_context(viewport={"width": 1440, "height": 900})
        for period in ["7d", *periods]:  # the first one reads the table, and fills the caches of browser and process
            page = warm.new_page()
            for path, steps in (("explore", _STEPS), ("what-changed", _CHANGES)):
                page.goto(f"{server.url}/{path}?period={period}", timeout=_TIMEOUT)
                _settled(page)
                for name, (label, option) in steps.items():
                    seconds = _choose(page, label, option)
                    if period != "7d":
                        took.setdefault(name, []).append(seconds)
            page.close()
        held = server.process.memory_full_info()
        browser.close()
    for name, each in took.items():
        print(f"{name:<48}{''.join(f'{1000 * one:>8.0f}' for one in each)}{1000 * median(each):>8.0f}")
    print(f"\nprivate memory afterwards: {held.uss / 1e6:.0f} MB")


def _choose(page: Page, label: str, option: str) -> float:
    """Seconds from the press on an option until the page is settled."""
    page.get_by_role("combobox", name=label).first.click()
    target = page.get_by_role("option", name=option, exact=True)
    target.wait_for(timeout=_TIMEOUT)
    page.evaluate(_WATCH)
    target.click()
    took: float = page.evaluate("window.took")
    return took / 1000


def _settled(page: Page) -> None:
    page.wait_for_selector(_AT_REST, timeout=_TIMEOUT)
    page.wait_for_selector("[data-drawn]", state="attached", timeout=_TIMEOUT)


if __name__ == "__main__":
    sys.exit(main())
