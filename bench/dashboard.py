"""python -m bench.dashboard: the overview in a real browser, beside the same page on a pandas frame.

Both are measured in one run, in turns, over the same copy: from an address to the first figure with a warm HTTP cache,
from a press on a channel to the figure it changes, and memory with ten visitors and after they left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from bench.serve import synced
from bench.servers import ROOT, Server, median, running
from cache.errors import OrdersError
from lab import LabError
from lab.servers import BROWSER, free_port, install

VISITORS = 10
LEFT_SECONDS = 30  # after the last visitor has gone
CHANNELS = 5
_FIGURE_SECONDS = 120

# Elements also of shadow trees; the first figure; and the buttons of channels.
_DEEP = """
const deep = (selector, root = document) => [...root.querySelectorAll(selector),
    ...[...root.querySelectorAll('*')].filter(e => e.shadowRoot).flatMap(e => deep(selector, e.shadowRoot))];
"""
_OURS = """
const figure = () => deep('.value')[0]?.textContent;
const channels = () => deep('table[aria-label="Total sales by channel"] button');
"""
_THEIRS = """
const figure = () => document.querySelector('[data-testid=stMetricValue]')?.textContent;
const channels = () => [...document.querySelectorAll('[data-testid=stButtonGroup] button')];
"""
# Milliseconds from the press on the channel with that name until the figure is another.
_PRESS = """
name => new Promise(done => {
    const before = figure(), began = performance.now();
    const look = () => figure() && figure() !== before ? done(performance.now() - began) : requestAnimationFrame(look);
    channels().find(each => each.textContent === name).click();
    look();
})
"""
_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass
class Side:
    """One of the pages. Times in seconds; memory in bytes, private and resident, by when it was measured."""

    name: str
    server: Server
    words: str
    opened: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)

    def tell(self, script: str) -> str:
        return f"{_DEEP}{self.words}return ({script})(argument);"

    def weigh(self, when: str) -> None:
        held = self.server.process.memory_full_info()
        self.memory[when] = (held.uss, held.rss)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders in the table (1000000)")
    parser.add_argument("--runs", type=int, default=5, help="visits of each side (5)")
    asked = parser.parse_args()
    try:
        install(*BROWSER)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            _report(asked.rows, synced(asked.rows), Path(folder), asked.runs)
    except (LabError, OrdersError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _report(rows: int, data_dir: Path, folder: Path, runs: int) -> None:
    cores, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total >> 30
    print(f"{rows:,} orders, medians of {runs} visits that take turns, {cores} cores, {memory} GB\n")
    with ExitStack() as stack:
        sides = [
            Side("ours", stack.enter_context(ours(data_dir, folder)), _OURS),
            Side("pandas", stack.enter_context(_theirs(data_dir, folder)), _THEIRS),
        ]
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for side in sides:  # the first visit reads the table, and fills the HTTP cache
            side.weigh("at the start")
            warm = browser.new_context(viewport={"width": 1440, "height": 900})
            _open(warm.new_page(), side)
            side.weigh("one visitor")
            for _ in range(runs):
                page = warm.new_page()
                side.opened.append(_open(page, side))
                page.close()
            page = warm.new_page()
            _open(page, side)
            _filter(page, side)
            warm.close()
            _crowd(browser, side)
        browser.close()
    print(f"{'':<44}{'ours':>9}{'pandas':>9}{'ratio':>8}")
    for name, each in (
        ("from the address to the first figure, ms", lambda side: median(side.opened) * 1000),
        ("a filter changes it, for the first time, ms", lambda side: median(side.first) * 1000),
        ("the same filter again, ms", lambda side: median(side.again) * 1000),
    ):
        _line(name, *map(each, sides))
    for when in sides[0].memory:
        _line(f"private memory, {when}, MB", *(side.memory[when][0] / 1e6 for side in sides))
        _line("  resident, with the code of libraries, MB", *(side.memory[when][1] / 1e6 for side in sides))


def _line(name: str, ours: float, theirs: float) -> None:
    print(f"{name:<44}{ours:>9.0f}{theirs:>9.0f}{ours / theirs:>8.2f}", flush=True)


@contextmanager
def ours(data_dir: Path, folder: Path) -> Iterator[Server]:
    """Our dashboard over a copy, without a scheduler."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"DATA_DIR": str(data_dir), "SCHEDULER": "off", "DASHBOARD_PORT": str(port)}
    command = [sys.executable, "streamlit_app.py"]
    with running(command, url, "/_stcore/health", env, folder / "ours.log") as server:
        yield server


@contextmanager
def _theirs(data_dir: Path, folder: Path) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"PARQUET": str(data_dir / "cache/segments")}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "bench" / "pandas_page.py"),
        "--server.headless",
        "true",
        "--server.address",
        "127.0.0.1",
        "--server.port",
        str(port),
    ]
    with running(command, url, "/_stcore/health", env, folder / "theirs.log") as server:
        yield server


def _open(page: Page, side: Side) -> float:
    """Seconds from the address to the first figure."""
    began = time.monotonic()
    page.goto(side.server.url)
    page.wait_for_function(f"() => {{{_DEEP}{side.words}return figure();}}", timeout=_FIGURE_SECONDS * 1000)
    took = time.monotonic() - began
    page.wait_for_selector(_AT_REST, timeout=_FIGURE_SECONDS * 1000)
    return took


def _filter(page: Page, side: Side) -> None:
    """Filters by one channel after another and back, twice: the second time they were computed before."""
    page.wait_for_function(f"() => {{{_DEEP}{side.words}return channels().length;}}")
    names = page.evaluate(f"() => {{{_DEEP}{side.words}return channels().map(each => each.textContent);}}")[:CHANNELS]
    for times in (side.first, side.again):
        for name in names:
            times.append(_press(page, side, name))
            _press(page, side, name)


def _press(page: Page, side: Side, name: str) -> float:
    took: float = page.evaluate(f"argument => {{{side.tell(_PRESS)}}}", name)
    page.wait_for_selector(_AT_REST, timeout=_FIGURE_SECONDS * 1000)
    return took / 1000


def _crowd(browser: Browser, side: Side) -> None:
    contexts = [browser.new_context(viewport={"width": 1440, "height": 900}) for _ in range(VISITORS)]
    for context in contexts:
        _open(context.new_page(), side)
    side.weigh(f"{VISITORS} visitors")
    for context in contexts:
        context.close()
    time.sleep(LEFT_SECONDS)
    side.weigh("when they have left")


if __name__ == "__main__":
    sys.exit(main())
