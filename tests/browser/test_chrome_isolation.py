"""What Chrome gets from this machine, and what a page can leave on it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import psutil
import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from web_server import Handler, serving

from cache.machine import sandbox

SECRET = "hunter2-in-a-test"
pytestmark = pytest.mark.usefixtures("no_browser_left")


@pytest.fixture
def driver(chrome: Callable[..., AbstractContextManager[Chrome]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    for name in ("PHPMYADMIN_PASSWORD", "SHOPIFY_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    for name in ("HTTP_PROXY", "http_proxy"):  # of phpMyAdmin, and down: chromedriver is not asked through it
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with chrome() as driver:
        yield driver


def family(driver: Chrome) -> list[psutil.Process]:
    """chromedriver, Chrome and its processes."""
    process = psutil.Process(driver.service.process.pid)
    return [process, *process.children(recursive=True)]


def test_chrome_and_its_driver_hold_no_secret_and_have_a_home_of_their_own(driver: Chrome) -> None:
    environments = []
    for process in family(driver):
        with suppress(psutil.Error):  # Chrome's helpers come and go
            environments.append(process.environ())
    assert len(environments) > 2
    assert SECRET not in str(environments)
    homes = {environment["HOME"] for environment in environments if "HOME" in environment}
    assert len(homes) == 1
    assert "phpmyadmin-orders-" in homes.pop()


def test_what_a_page_sends_as_a_download_is_not_stored(driver: Chrome) -> None:
    class Download(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Disposition", "attachment; filename=gift.bin")
            self.end_headers()
            with suppress(OSError):
                for _ in range(64):
                    self.wfile.write(bytes(1 << 20))

    home = Path(family(driver)[0].environ()["HOME"])
    places = [home, Path.home() / "Downloads", Path(tempfile.gettempdir())]
    with serving(Download) as url:
        for _ in range(2):
            with suppress(WebDriverException):
                driver.get(url)
        driver.get("about:blank")
        time.sleep(0.5)  # a file would be there by now
        stored = [path for place in places for path in place.rglob("*") if re.search(r"gift|crdownload", path.name)]
    assert stored == []
    large = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size > 16 << 20]
    assert large == []


def test_chrome_has_no_sandbox_only_where_it_has_to(driver: Chrome) -> None:
    without = []
    for process in family(driver):
        with suppress(psutil.Error):
            without.append("--no-sandbox" in process.cmdline())
    assert any(without) == bool(sandbox.missing_sandbox())
