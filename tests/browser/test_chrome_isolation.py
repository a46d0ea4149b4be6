"""What Chrome gets from this machine, and what a page can leave on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import psutil
import pytest
from selenium.webdriver import Chrome

from scraper.login import sandbox

SECRET = "hunter2-in-a-test"
pytestmark = pytest.mark.usefixtures("no_browser_left")


@pytest.fixture
def driver(chrome: Callable[..., AbstractContextManager[Chrome]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    for name in ("PHPMYADMIN_PASSWORD", "SHOPIFY_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
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


def test_chrome_has_no_sandbox_only_where_it_has_to(driver: Chrome) -> None:
    without = []
    for process in family(driver):
        with suppress(psutil.Error):
            without.append("--no-sandbox" in process.cmdline())
    assert any(without) == bool(sandbox.missing_sandbox())
