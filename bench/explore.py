"""python -m bench.explore: from a press to the settled page, in a real browser, on the pages that answer questions.

A page is settled when its script has run and its table is drawn. Each period is a session, in which every choice is
made for the first time. A search begins with the last letter: the browser waits for 300 ms whether another one follows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, groupby
from pathlib import Path

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, sync_playwright

from bench.dashboard import ours
from bench.serve import synced
from bench.servers import median
from cache.errors import OrdersError
from lab import LabError
from lab.servers import BROWSER, install

_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
_TIMEOUT = 600_000  # the first page waits until the table is read
_SETTLES = 30_000
# Milliseconds from the next event, a press or a letter, until the address is another, the script has run, and a table
# was drawn again; or until the heading stands there, where one is named. The page itself looks at each frame:
# Playwright looks every half second.
_WATCH = f"""
([event, heading]) => {{
    document.querySelectorAll("[data-drawn]").forEach(each => delete each.dataset.drawn);
    const before = location.href, shown = selector => document.querySelector(selector);
    const drawn = () => heading
        ? [...document.querySelectorAll("h2")].some(each => each.textContent === heading) : shown("[data-drawn]");
    window.took = new Promise((done, fail) => addEventListener(event, () => {{
        const began = performance.now();
        setTimeout(() => fail(Error("the page did not settle")), {_SETTLES});
        const look = () => location.href !== before && shown("{_AT_REST}") && drawn()
            ? done(performance.now() - began) : requestAnimationFrame(look);
        look();
    }}, {{ capture: true, once: true }}));
}}
"""


@dataclass(frozen=True)
class Step:
    """One press, or one search. `do` brings the page to where the next event is the one that is measured."""

    page: str
    name: str
    do: Callable[[Page], Callable[[], None]]
    event: str = "pointerdown"
    heading: str = ""  # what shows that it is drawn, where there may be no table


def _select(label: str, option: str) -> Callable[[Page], Callable[[], None]]:
    def do(page: Page) -> Callable[[], None]:
        page.get_by_role("combobox", name=label).first.click()
        target = page.get_by_role("option", name=option, exact=True)
        target.wait_for(timeout=_TIMEOUT)
        return target.click

    return do


def _view(name: str) -> Callable[[Page], Callable[[], None]]:
    return lambda page: page.get_by_role("radio", name=name, exact=True).click


def _search(*texts: str) -> Callable[[Page], Callable[[], None]]:
    """Another one in each session: what was found before is kept."""
    following = cycle(texts)
    return lambda page: partial(page.get_by_role("searchbox", name="Search").fill, next(following))


_STEPS = [
    Step("explore", "pivot: product", _select("Rows", "Product")),
    Step("explore", "pivot: product by country", _select("Columns", "Country")),
    Step("explore", "pivot: city by country", _select("Rows", "City")),
    Step("explore", "pivot: country, as a map", _select("Rows", "Country")),
    Step("explore", "pivot: country by new or returning", _select("Columns", "New or returning")),
    Step("explore", "pivot: hour of day", _select("Rows", "Hour of day")),
    Step("explore", "pivot: hour of day by weekday, as a heat map", _select("Columns", "Weekday")),
    Step("explore", "pivot: tag by weekday", _select("Rows", "Tag")),
    Step("explore", "pivot: customer by weekday", _select("Rows", "Customer")),
    Step("explore", "pivot: customer by product", _select("Columns", "Product")),
    Step("explore", "pivot: a column of the table by product", _select("Rows", "taxes_included")),
    Step("explore", "pivot: two columns of the table", _select("Columns", "test")),
    Step("what-changed", "what changed: country", _select("By", "Country")),
    Step("what-changed", "what changed: product", _select("By", "Product")),
    Step("products", "products: bought together", _view("Bought together")),
    Step("products", "products: first purchases", _view("First purchases")),
    Step("products", "products: stopped selling", _view("Stopped selling"), heading="Stopped selling"),
    Step("customers", "customers: lifetime value by cohort", _view("Lifetime value")),
    Step("customers", "customers: segments", _view("Segments")),
    Step("orders", "orders: search for a name", _search("smith", "garcia", "tremblay", "nguyen"), "input"),
    Step("orders", "orders: search for a number", _search("#1042", "#2077", "#1999", "#1313"), "input"),
    Step("orders", "orders: search for a part of a product", _search("mug", "lamp", "ocean", "scarf"), "input"),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.explore", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders in the table (1000000)")
    parser.add_argument("--periods", nargs="+", default=["180d", "30d", "90d", "365d"], help="periods, one a session")
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
        for period in periods:  # the first one reads the table, and fills the caches of browser and process
            page = warm.new_page()
            for path, steps in groupby(_STEPS, key=lambda step: step.page):
                page.goto(f"{server.url}/{path}?period={period}", timeout=_TIMEOUT)
                _settled(page)
                for step in steps:
                    took.setdefault(step.name, []).append(_measured(page, step))
            page.close()
        held = server.process.memory_full_info()
        browser.close()
    for name, each in took.items():
        print(f"{name:<48}{''.join(f'{one:>8.0f}' for one in each)}{median(each):>8.0f}")
    print(f"\nprivate memory afterwards: {held.uss / 1e6:.0f} MB")


def _measured(page: Page, step: Step) -> float:
    """Milliseconds from the press, or from the letter, until the page is settled."""
    press = step.do(page)
    page.evaluate(_WATCH, [step.event, step.heading])
    press()
    try:
        took: float = page.evaluate("window.took")
    except PlaywrightError as error:
        raise LabError(f"{step.name} ({page.url}) did not settle within {_SETTLES / 1000:.0f} seconds") from error
    return took


def _settled(page: Page) -> None:
    page.wait_for_selector(_AT_REST, timeout=_TIMEOUT)
    page.wait_for_selector("[data-drawn]", state="attached", timeout=_TIMEOUT)


if __name__ == "__main__":
    sys.exit(main())
