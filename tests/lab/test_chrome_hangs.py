"""Chrome may hang at its start and at the login: the sync fails with a message, and leaves no process."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from copies import Copies

from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

pytestmark = pytest.mark.usefixtures("no_browser_left")


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
    head = copies.cache.snapshots.head()
    run = sync(copies.cache, of_browser(copies.settings), log_in)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "browser_failed")
    assert copies.cache.snapshots.head() == head


def test_a_login_page_that_never_comes(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.login.chrome.PAGE_SECONDS", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        run = sync(copies.cache, of_browser(copies.settings, phpmyadmin_url=url), log_in)
    assert run.error is not None
    assert run.error.code in ("browser_failed", "unreachable")
    assert run.error.transient
