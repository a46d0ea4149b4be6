"""A browser that hangs at its start fails the sync, and leaves no process and no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from copies import Copies
from selenium.webdriver.chromium import remote_connection
from selenium.webdriver.remote.client_config import ClientConfig

from scraper.login.login import log_in
from scraper.sync.sync import sync

pytestmark = pytest.mark.usefixtures("no_browser_left")


def hanging(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of this name that is found first, and does nothing."""
    program = folder / "bin" / name
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("patience", [5, pytest.param(120, marks=pytest.mark.soak)])
def test_a_browser_that_hangs_at_its_start_fails_the_sync(
    copies: Copies, here: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """`patience`: seconds that Selenium waits for its driver. The driver waits for Chrome for a minute."""
    monkeypatch.setattr(remote_connection, "ClientConfig", lambda **o: ClientConfig(**{**o, "timeout": patience}))
    hanging(here, "chromium-headless-shell", monkeypatch)
    settings = copies.settings.model_copy(update={"phpmyadmin_login": "browser"})
    run = sync(copies.cache, settings, log_in)
    assert run.error is not None
    assert (run.outcome, run.error.code) == ("failed", "browser_failed")
