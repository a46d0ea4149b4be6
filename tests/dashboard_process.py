"""A real dashboard for tests: its own process, folder and port, and a browser in front of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect

from cache.storage.store import Store, open_store
from lab.servers import free_port

ROOT = Path(__file__).parents[1]


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Returns when the process answers there."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} did not answer")


class Dashboard:
    """Parameters: `folder` is where it runs; `settings` are environment variables beside the defaults for tests."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.store: Store = open_store(f"file:{folder / 'cache'}")
        port = settings.get("DASHBOARD_PORT") or str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        defaults = {
            "DASHBOARD_PORT": port,
            "DATA_DIR": str(folder / "var"),
            "CACHE_URL": f"file:{folder / 'cache'}",
            "SCHEDULER": "off",
        }
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "streamlit_app.py"], cwd=folder, env={**os.environ, **defaults, **settings},
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_for(f"{self.url}/_stcore/health", self.process)
        except AssertionError:
            self.close()
            raise AssertionError(f"the dashboard did not start: {self.log()}") from None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.store.close()


@contextmanager
def dashboard(folder: Path, **settings: str) -> Iterator[Dashboard]:
    running = Dashboard(folder, settings)
    try:
        yield running
    finally:
        running.close()


def visit(browser: Browser, address: str, width: int = 1440) -> Page:
    """A tab of its own visitor, loaded up to its title."""
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.set_default_timeout(20_000)
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=20_000)
    return page


def figure(page: Page, label: str, value: str | re.Pattern[str]) -> None:
    """Waits until a card shows a figure."""
    card = page.get_by_role("listitem").filter(has=page.get_by_text(label, exact=True))
    expect(card.locator(".value")).to_have_text(value, timeout=20_000)


def at_rest(page: Page) -> None:
    """Waits until the script has run to its end: what is typed before may be lost."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible(timeout=20_000)


def sign_in(page: Page, address: str, password: str) -> None:
    page.set_default_timeout(20_000)
    page.goto(address)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_every_page(page: Page) -> None:
    """Opens every page, one after the other."""
    expect(page.get_by_test_id("stSidebarNavLink").first).to_be_visible()
    for place in page.get_by_test_id("stSidebarNavLink").all():
        place.click()
        expect(page).to_have_title(re.compile(f"^{place.inner_text().splitlines()[-1]}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        at_rest(page)
