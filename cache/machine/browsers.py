"""The names of browsers that the product starts: to log in, and to print pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SHELL = "chromium-headless-shell"  # Chromium without windows: it starts in half of the time
BROWSERS = (
    SHELL,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    *(
        str(Path(os.environ.get(name, "/")) / "Google/Chrome/Application/chrome.exe")
        for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
    ),
)


def installed_browser() -> str | None:
    """The program of the first of BROWSERS that is on the PATH; None where none is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
