"""A hostile phpMyAdmin in Chrome: the sync that drives Chrome ends with a sentence, and holds little of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_phpmyadmin import PAGES, SECRET, Answer, HostilePhpMyAdmin, hostile_phpmyadmin, page, settings_for
from long_cases import every_second
from selenium.webdriver import Chrome

from scraper.errors import ScrapeError, TooManyRequests
from scraper.login.chrome import chrome as start_chrome
from scraper.login.chrome import failures
from scraper.login.chrome_arguments import chrome_arguments
from scraper.login.chrome_page_driver import ChromePageDriver
from scraper.login.login import _open_export_form
from scraper.login.page_transport import PageTransport
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


@pytest.mark.parametrize(("step", "kind"), every_second(CASES))
def test_any_page_in_chrome_ends_in_a_sentence(
    site: HostilePhpMyAdmin, chrome: Chrome, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    monkeypatch.setattr("scraper.login.chrome_page_driver.LOADING_SECONDS", LOADING_SECONDS)
    site.step, site.kind = step, kind
    settings = ScraperSettings.load(**settings_for(site))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = megabytes("VmRSS")
    with pytest.raises(ScrapeError) as caught, failures():
        shown = ChromePageDriver(chrome, settings)
        shown.open(settings.start_url)
        follow_steps(shown, settings)
    assert str(caught.value).endswith(".")
    assert SECRET not in str(caught.value)
    assert SECRET not in str(site.stolen)
    assert megabytes("VmHWM") - before < MOST_MEGABYTES


@pytest.mark.soak
@pytest.mark.parametrize(
    ("step", "status"),
    every_second(
        [
            ("login page", 429),
            ("login page", 403),
            ("export form", 403),
            ("after the password", 413),
            ("after the password", 502),
            ("after the password", 429),
        ]
    ),
)
def test_a_status_is_named_in_chrome_too(
    site: HostilePhpMyAdmin, chrome: Chrome, monkeypatch: pytest.MonkeyPatch, step: str, status: int
) -> None:
    monkeypatch.setattr("scraper.errors.DEFAULT_WAIT", 0.0)
    monkeypatch.setitem(PAGES, "a status", lambda _: page("<title>Oops</title><p>no</p>", status))
    site.step, site.kind = step, "a status"
    settings = ScraperSettings.load(**settings_for(site))
    with pytest.raises(ScrapeError) as caught, failures():
        shown = ChromePageDriver(chrome, settings)
        shown.open(settings.start_url)
        follow_steps(shown, settings)
        _open_export_form(shown)
    assert str(status) in caught.value.message
    assert not caught.value.stops_schedule
    assert isinstance(caught.value, TooManyRequests) == (status == 429)


def test_the_status_of_an_export_in_chrome_says_more_than_its_body(site: HostilePhpMyAdmin, chrome: Chrome) -> None:
    site.step, address = "", f"{site.url}index.php?route=/export"
    honest, answers = site.answer, iter([413, 502, 429])

    def answer(method: str, path: str, body: str) -> Answer:
        if "route=/export" not in path:
            return honest(method, path, body)
        return Answer(next(answers), {"Retry-After": "7", "Content-Length": "5000"}, [b"no"])

    site.answer = answer  # type: ignore[method-assign]
    try:
        chrome.get(site.url)
        transport = PageTransport(chrome, lambda: None)
        assert [transport.post(address, {"a": "b"}, lambda _: None) for _ in range(2)] == [413, 502]
        with pytest.raises(TooManyRequests) as caught:
            transport.post(address, {"a": "b"}, lambda _: None)
    finally:
        site.answer = honest  # type: ignore[method-assign]
    assert caught.value.seconds == 7
