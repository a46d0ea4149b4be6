"""Chrome that hangs at its end blocks nothing, and leaves nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import psutil
import pytest
from selenium.webdriver import Chrome

from scraper.processes import still_running

pytestmark = pytest.mark.usefixtures("no_browser_left")


@pytest.mark.parametrize("victim", ["chromedriver", "chromium"])
def test_chrome_that_hangs_at_its_end_blocks_nothing(
    chrome: Callable[..., AbstractContextManager[Chrome]], victim: str
) -> None:
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
    assert still_running(stopped, 0) == []
