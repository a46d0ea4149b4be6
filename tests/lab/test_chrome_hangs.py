"""Chrome may hang at its start, at the login and at its end: the sync fails in words, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from copies import Copies

from scraper.login.chrome import chrome
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with TemporaryDirectory() as folder:  # a short name, for Chrome
        monkeypatch.setattr("tempfile.tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert list(Path(folder).iterdir()) == []
    children = psutil.Process().children(recursive=True)
    assert [child for child in children if "chrom" in child.name() or child.name() == "sleep"] == []


def hanging(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, does: str = "exec sleep 600") -> None:
    """A program of this name that is found first, and does nothing."""
    program = folder / "bin" / name
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def of_browser(settings: ScraperSettings, **changes: str) -> ScraperSettings:
    return settings.model_copy(update={"phpmyadmin_login": "browser", **changes})


@pytest.mark.parametrize("does", ["exec sleep 600", "trap '' TERM\nsleep 600"], ids=["sleeps", "ignores SIGTERM"])
def test_a_driver_that_hangs_at_its_start(
    copies: Copies, here: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    hanging(here, "chromedriver", monkeypatch, does)
    monkeypatch.setattr("selenium.webdriver.common.service.sleep", lambda _: None)  # Selenium's own patience
    assert copies.sync().error is None
    head = copies.store.head()
    run = sync(copies.store, of_browser(copies.settings), log_in)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "browser_failed")
    assert copies.store.head() == head


@pytest.mark.soak
def test_a_browser_that_hangs_at_its_start(copies: Copies, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver waits a minute for it."""
    hanging(here, "chromium", monkeypatch)
    run = sync(copies.store, of_browser(copies.settings), log_in)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "browser_failed")


def test_a_login_page_that_never_comes(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.login.chrome.PAGE_SECONDS", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        run = sync(copies.store, of_browser(copies.settings, phpmyadmin_url=url), log_in)
    assert run.error is not None
    assert run.error.code in ("browser_failed", "unreachable")
    assert run.error.transient


@pytest.mark.parametrize("victim", ["chromedriver", "chromium"])
def test_one_that_hangs_at_its_end_keeps_nobody(victim: str) -> None:
    with chrome() as driver:
        driver.get("about:blank")
        family = psutil.Process(driver.service.process.pid)
        stopped = []
        for process in (family, *family.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # Chrome's helpers come and go
                if process.name().startswith(victim):
                    process.send_signal(signal.SIGSTOP)
                    stopped.append(process)
    assert stopped
    assert not any(process.is_running() for process in stopped)
