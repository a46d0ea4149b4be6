"""The only file that starts Chrome: headless, with a fresh profile, and gone afterwards whatever happened."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from urllib3.exceptions import HTTPError

from scraper.errors import BrowserFailed

log = logging.getLogger(__name__)

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    *(str(Path(os.environ.get(name, "/")) / "Google/Chrome/Application/chrome.exe")
      for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")),
)  # fmt: skip
LOGIN_BYTES = 450 << 20  # of memory that a login was seen to need
PROFILE = "phpmyadmin-orders-"  # a process id and something random follow
LONGEST_FOLDER = 60  # of temporary files: Chrome makes a socket in it, whose name may have 107 characters
PAGE_SECONDS = 60
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
    "--remote-debugging-pipe",  # Chrome ends when its driver does
)  # fmt: skip


def find_browser() -> str | None:
    """Path of Chrome or Chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def find_driver() -> str:
    """Path of chromedriver: the one on the machine, else one that webdriver-manager fetches. Raises BrowserFailed."""
    installed = shutil.which("chromedriver")
    if installed:
        return installed
    from webdriver_manager.chrome import ChromeDriverManager
    from webdriver_manager.core.os_manager import ChromeType

    kind = ChromeType.CHROMIUM if "chromium" in (find_browser() or "") else ChromeType.GOOGLE
    try:
        return str(ChromeDriverManager(chrome_type=kind).install())
    except Exception as error:  # the library raises many kinds: no network, no such version, no browser
        raise BrowserFailed(
            f"There is no chromedriver on this machine, and fetching one failed ({type(error).__name__}).",
            "Install it: `apt-get install chromium chromium-driver`, or Chrome and its driver.",
        ) from error


def available_memory() -> int:
    """Bytes that this machine, or the container that it is, can still give."""
    available: int = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        available = min(available, int(text) - used)
    return available


@contextmanager
def failures() -> Iterator[None]:
    """Tells failures of Chrome and its driver as BrowserFailed."""
    try:
        yield
    except WebDriverException as error:
        first_line = (error.msg or type(error).__name__).splitlines()[0]
        raise BrowserFailed(f"Chrome failed: {first_line}.") from error
    except HTTPError as error:  # between Selenium and chromedriver
        raise BrowserFailed(f"The driver of Chrome does not answer ({type(error).__name__}).") from error


@contextmanager
def chrome(*more: str) -> Iterator[Chrome]:
    """A running browser; it and all its processes are gone when the block ends. Raises BrowserFailed.

    Parameters: `more` arguments of its command line.
    """
    _sweep()
    profile = Path(tempfile.mkdtemp(prefix=f"{PROFILE}{os.getpid()}-"))
    service = _Driver(find_driver(), env=_environment(profile), popen_kw=_dies_with_us())
    options = ChromeOptions()
    options.binary_location = find_browser() or ""
    for argument in (*ARGUMENTS, *more, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    family: list[psutil.Process] = []
    try:
        with failures():
            driver = Chrome(options=options, service=service)
            family = _family(service)
            driver.set_page_load_timeout(PAGE_SECONDS)
            driver.set_script_timeout(PAGE_SECONDS)
            yield driver
    finally:
        service.stop()
        _end(family)  # also where the driver had died before
        shutil.rmtree(profile, ignore_errors=True)


def _environment(profile: Path) -> dict[str, str]:
    """Chrome's temporary files go into its profile, and with it: ended by force, it leaves them. It waits forever where
    the name of its socket there is too long.
    """
    folder = str(profile) if len(str(profile)) <= LONGEST_FOLDER else "/tmp"  # noqa: S108  Chrome makes its own there
    return {**os.environ, "TMPDIR": folder}


class _Driver(Service):
    """Is ended by force, with its Chrome: one that hangs would keep whoever asks it to quit for minutes."""

    def stop(self) -> None:
        if self.process is not None:
            _end(_family(self))
            self.process.communicate()  # waits, and closes the pipe


def _sweep() -> None:
    """Removes the profiles of syncs that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PROFILE}*"):
        owner = left.name.removeprefix(PROFILE).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _family(service: Service) -> list[psutil.Process]:
    try:
        driver = psutil.Process(service.process.pid)
        return [driver, *driver.children(recursive=True)]
    except (AttributeError, psutil.Error):
        return []


def _end(processes: list[psutil.Process]) -> None:
    """Ends what is left; psutil compares start times, so a process id that was given anew is safe."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _dies_with_us() -> dict[str, Any]:
    """Linux ends the driver (and through the pipe Chrome) when this process is killed; elsewhere a quit must do."""
    if not sys.platform.startswith("linux"):
        return {}
    libc, parent = ctypes.CDLL(None), os.getpid()
    pr_set_pdeathsig = 1  # man 2 prctl

    def ask() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before the call
            os._exit(1)

    return {"preexec_fn": ask}
