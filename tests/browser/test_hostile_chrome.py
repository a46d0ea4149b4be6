"""A hostile phpMyAdmin in Chrome: the sync that drives Chrome ends with a sentence, and holds little of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_phpmyadmin import SECRET, HostilePhpMyAdmin, hostile_phpmyadmin, settings_for
from selenium.webdriver import Chrome

from scraper.errors import ScrapeError
from scraper.login.chrome import chrome as start_chrome
from scraper.login.chrome import failures
from scraper.login.chrome_arguments import chrome_arguments
from scraper.login.chrome_page_driver import ChromePageDriver
from scraper.login.steps import follow_steps
from scraper.settings import ScraperSettings

MOST_MEGABYTES = 60  # more than before
LOADING_SECONDS = 1
CASES = [
    ("login page", "a closed connection"),
    ("login page", "a redirect loop"),
    ("login page", "a redirect to another host"),
    ("login page", "a form of another host"),
    ("login page", "an endless page"),
    ("login page", "an unknown encoding"),
    ("login page", "a million attributes"),
    ("login page", "tags without an end"),
    ("after the password", "nothing"),
    ("after the password", "a server error"),
    ("after the password", "a redirect that repeats the form"),
    ("after the password", "a refresh to another host"),
    ("after the password", "a bomb"),
    ("after the password", "escape sequences"),
]


@pytest.fixture(scope="module")
def site() -> Iterator[HostilePhpMyAdmin]:
    with hostile_phpmyadmin() as site:
        yield site


@pytest.fixture(scope="module")
def chrome(site: HostilePhpMyAdmin) -> Iterator[Chrome]:
    settings = ScraperSettings.load(**settings_for(site))
    with start_chrome(*chrome_arguments(settings)) as driver:
        driver.set_page_load_timeout(LOADING_SECONDS)
        yield driver


def megabytes(name: str) -> float:
    """Memory of this process: VmRSS, or VmHWM, its peak."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


@pytest.mark.parametrize(("step", "kind"), CASES)
def test_any_page_in_chrome_ends_in_a_sentence(
    site: HostilePhpMyAdmin, chrome: Chrome, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    monkeypatch.setattr("scraper.login.chrome_page_driver.LOADING_SECONDS", LOADING_SECONDS)
    site.step, site.kind = step, kind
    settings = ScraperSettings.load(**settings_for(site))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = megabytes("VmRSS")
    with pytest.raises(ScrapeError) as caught, failures():
        page = ChromePageDriver(chrome, settings)
        page.open(settings.start_url)
        follow_steps(page, settings)
    assert str(caught.value).endswith(".")
    assert SECRET not in str(caught.value)
    assert SECRET not in str(site.stolen)
    assert megabytes("VmHWM") - before < MOST_MEGABYTES
