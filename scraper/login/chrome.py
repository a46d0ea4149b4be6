"""Starts Chrome: headless, with a new profile. No other file does. It is always ended afterwards."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psutil
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.options import BaseOptions
from urllib3.exceptions import HTTPError

from cache.child_environment import child_environment
from cache.machine.browsers import BROWSERS, SHELL
from cache.machine.sandbox import missing_sandbox
from cache.temporary_folders import make_folder
from scraper.errors import BrowserFailed
from scraper.memory_limit import remove_memory_limit
from scraper.processes import kill

log = logging.getLogger(__name__)

_INSTALL = {
    "darwin": "`brew install --cask google-chrome chromedriver`",
    "win32": "Chrome from google.com/chrome",  # its driver is downloaded
    "fedora": "`dnf install chromium chromedriver`",
    "alpine": "`apk add chromium chromium-chromedriver`",
    "arch": "`pacman -S chromium`",
    "debian": f"`apt-get install {SHELL} chromium-driver`",
    "ubuntu": "Chrome from google.com/chrome",  # Ubuntu's Chromium is a snap, which cannot read our folders
}
_FAILURES = (
    ("only supports Chrome version", "its driver is made for another version of Chrome"),
    ("session not created", "it did not start"),
    ("not interactable", "a field of the page cannot be filled in"),
    ("click intercepted", "something on the page covers a button"),
    ("stale element", "the page changed while it was filled in"),
    ("no such element", "the page lacks a field that it had"),
    ("imeout", "a page did not load in time"),
    ("unexpected alert", "the page asks a question in a window of its own"),
    *(
        (part, "it ended or crashed")
        for part in ("not reachable", "disconnected", "crashed", "invalid session", "closed")
    ),
)
"""What the driver says, and what that means."""
MAX_FOLDER_NAME = 60  # characters: Chrome makes a socket in a folder of it, whose path may have 107
PAGE_SECONDS = 60
ARGUMENTS = (
    "--headless=new",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",  # pages of the address bar, which take CPU time
    "--window-size=1280,900",
    "--remote-debugging-pipe",  # Chrome ends when its driver does
)


class Browser(NamedTuple):
    """A browser of this machine, and what a login with it needs, as measured.

    Attributes:
        path: Its program.
        login_bytes: Memory that a login takes.
        least_bytes: Of that, what the kernel cannot take back: with less, it would end processes.
    """

    path: str
    login_bytes: int
    least_bytes: int


def find_browser(uses_proxy: bool = False) -> Browser | None:
    """The first of BROWSERS that is on the PATH, or None.

    Args:
        uses_proxy: Whether it is to use a proxy for some hosts. The shell cannot: it runs no script that chooses.
    """
    for name in BROWSERS:
        if (name != SHELL or not uses_proxy) and (path := shutil.which(name)):
            return Browser(path, 250 << 20, 170 << 20) if name == SHELL else Browser(path, 450 << 20, 240 << 20)
    return None


def no_browser(uses_proxy: bool) -> str:
    """What to say where `find_browser` finds none."""
    return f"There is no Chrome or Chromium{' that can use a proxy' if uses_proxy else ''} on the PATH."


def install_advice() -> str:
    """How Chrome and its driver are installed on this system."""
    names = [sys.platform]
    with suppress(OSError):
        release = platform.freedesktop_os_release()
        names += [release["ID"], *release.get("ID_LIKE", "").split()]
    return next((_INSTALL[name] for name in names if name in _INSTALL), "Chrome or Chromium, and its chromedriver")


def find_driver() -> str:
    """Path of chromedriver: the one on the PATH, else one that webdriver-manager downloads.

    Raises:
        BrowserFailed: There is none, and the download failed.
    """
    installed = shutil.which("chromedriver")
    if installed:
        return installed
    from webdriver_manager.chrome import ChromeDriverManager
    from webdriver_manager.core.os_manager import ChromeType

    browser = find_browser()
    kind = ChromeType.CHROMIUM if browser and "chromium" in browser.path else ChromeType.GOOGLE
    try:
        return str(ChromeDriverManager(chrome_type=kind).install())
    except Exception as error:  # the library raises many types: no network, no such version, no browser
        raise BrowserFailed(
            f"There is no chromedriver on this machine, and its download failed ({type(error).__name__}).",
            f"Install it: {install_advice()}.",
        ) from error


@contextmanager
def failures() -> Iterator[None]:
    """Raises failures of Chrome and its driver as BrowserFailed."""
    try:
        yield
    except WebDriverException as error:
        log.debug("%s: %s", type(error).__name__, (error.msg or "").partition("\n")[0])
        what = next((words for part, words in _FAILURES if part in (error.msg or "")), type(error).__name__)
        raise BrowserFailed(f"Chrome failed: {what}.") from error
    except HTTPError as error:  # between Selenium and chromedriver
        raise BrowserFailed(f"chromedriver does not answer ({type(error).__name__}).") from error


@contextmanager
def chrome(*extra_arguments: str, uses_proxy: bool = False) -> Iterator[Chrome]:
    """Starts Chrome. It and all its processes have ended when the block ends.

    Args:
        *extra_arguments: Further arguments of its command line.
        uses_proxy: See `find_browser`.

    Raises:
        BrowserFailed: There is none, or it does not start, hangs or crashes.
    """
    browser = find_browser(uses_proxy)
    if browser is None:
        raise BrowserFailed(no_browser(uses_proxy), f"Install it: {install_advice()}.")
    # chromedriver makes the profile in its folder for temporary files. With a profile that was named to it,
    # it opens no first page, and the shell none either.
    folder = make_folder("chrome", MAX_FOLDER_NAME)
    environment = child_environment(HOME=str(folder), TMPDIR=str(folder))
    service = _Driver(find_driver(), env=environment, popen_kw=_killed_with_parent())
    options = ChromeOptions()
    # HTTP_PROXY is for phpMyAdmin, not for chromedriver on this machine. (The method of ChromeOptions is deprecated.)
    BaseOptions.ignore_local_proxy_environment_variables(options)
    options.binary_location = browser.path
    sandbox = ("--no-sandbox",) if missing_sandbox() else ()
    for argument in (*ARGUMENTS, *sandbox, *extra_arguments):
        options.add_argument(argument)
    processes: list[psutil.Process] = []
    try:
        with failures():
            driver = Chrome(options=options, service=service)
            processes = _processes(service)
            driver.set_page_load_timeout(PAGE_SECONDS)
            driver.set_script_timeout(PAGE_SECONDS)
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "deny"})
            yield driver
    finally:
        service.stop()
        kill(processes)  # also if the driver had crashed before
        shutil.rmtree(folder, ignore_errors=True)


class _Driver(Service):
    """chromedriver, which is killed together with Chrome. A polite request to quit can take minutes if it hangs."""

    def stop(self) -> None:
        if self.process is not None:
            kill(_processes(self))
            self.process.communicate()  # waits, and closes the pipe


def _processes(service: Service) -> list[psutil.Process]:
    try:
        driver = psutil.Process(service.process.pid)
        return [driver, *driver.children(recursive=True)]
    except (AttributeError, psutil.Error):
        return []


def _killed_with_parent() -> dict[str, Any]:
    """On Linux, the driver is killed when this process is, and Chrome with it through the pipe.

    The limit on the memory of a sync does not hold for them.
    """
    if not sys.platform.startswith("linux"):
        return {}
    libc, parent = ctypes.CDLL(None), os.getpid()
    pr_set_pdeathsig = 1  # man 2 prctl

    def set_signal() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        remove_memory_limit()
        if os.getppid() != parent:  # the parent was killed before the call
            os._exit(1)

    return {"preexec_fn": set_signal}
