"""A real Chromium: one for each file of tests, without tabs of earlier tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from selenium.webdriver import Chrome


_NO_ANIMATIONS = """
const style = new CSSStyleSheet()
style.replaceSync("*, ::before, ::after { animation: none !important; transition: none !important }")
document.adoptedStyleSheets = [style]
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to the report of a failed test what its dashboards are doing."""
    report = yield
    if report.failed and call.when == "call" and "dashboard_process" in sys.modules:
        for running in sys.modules["dashboard_process"].RUNNING:
            report.sections.append((f"threads of {running.url}", running.threads()))
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium under Playwright. Playwright keeps an event loop running, so it ends with the file.

    It is the build without windows, which takes a fifth less CPU time. Its first context is shared by all tests of the
    file: with a context of its own, each page would fetch and compile Streamlit's scripts anew. So it would after a
    moment without any tab, since their process ends with the last one: the first tab stays open.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # without a GPU, its emulation takes a quarter of the CPU time
        arguments = ["--no-sandbox", "--disable-gpu"]
        arguments += ["--renderer-process-limit=1"]  # a process for each tab would compile Streamlit's scripts anew
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=arguments)
        shared = started.new_context()
        shared.add_init_script(_NO_ANIMATIONS)  # they take a sixth of the CPU time
        shared.new_page()
        yield started
        started.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser without the tabs, cookies and files of other tests. Open tabs would go on working in the next ones."""
    yield chromium
    shared, *others = chromium.contexts
    for context in others:
        context.close()
    for page in shared.pages[1:]:
        page.close()
    shared.clear_cookies()


@pytest.fixture
def chrome() -> Callable[..., AbstractContextManager[Chrome]]:
    """The Chrome that the product starts for a login, under Selenium."""
    from scraper.login.chrome import chrome

    return chrome


@pytest.fixture
def no_browser_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no process and no temporary file of a browser is left after the test."""
    with TemporaryDirectory() as folder:  # a short name, for Chrome
        monkeypatch.setattr("tempfile.tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert list(Path(folder).iterdir()) == []
    children = psutil.Process().children(recursive=True)
    assert [child for child in children if "chrom" in child.name() or child.name() == "sleep"] == []
