"""The demo: sample orders, a real first scrape, then dashboard and API until Ctrl-C; nothing is left running."""

import os
import signal
import subprocess
import sys
from types import FrameType

from cache.listen_address import listen
from cache.settings import Settings, from_checkout
from lab import Lab, LabError
from lab.servers import BROWSER, install
from scraper.settings import ScraperSettings
from serve import serve

KEPT = ("api_", "dashboard_", "port", "orders_api_key", "shopify_api_key")  # where the demo listens, and for whom
DATA_DIR = from_checkout("var/demo")  # not the user's own data


def demo(lab: Lab) -> int:
    """Runs the demo; returns 0 after Ctrl-C or SIGTERM, else the exit code of the server that ended by itself.

    Raises:
        LabError: something is missing, or the first scrape failed.
        OrdersError: the settings do not parse.
    """
    forget_settings()
    settings = Settings.load()
    # Before minutes of installation, not after.
    listen(settings.api_host, settings.api_port, "API_HOST", settings.port_setting("api_port")).close()
    port_setting = settings.port_setting("dashboard_port")
    listen(settings.dashboard_host, settings.dashboard_port, "DASHBOARD_HOST", port_setting).close()
    signal.signal(signal.SIGTERM, _end)
    try:
        _say("Debian packages: Chromium, MariaDB, phpMyAdmin, for a minute or two where they are missing")
        install(*BROWSER)
        _say(f"MariaDB and phpMyAdmin in {lab.path}")
        lab.up()
        if not lab.rows():
            _say("Sample orders, for some seconds")
            lab.seed()
        _say(f"First scrape: {lab.rows()} orders out of phpMyAdmin at {lab.url}")
        os.environ.update(
            lab.settings(), DATA_DIR=str(DATA_DIR), CACHE_URL=f"file:{DATA_DIR / 'cache'}", SOURCE_TIMEZONE="UTC"
        )
        _scrape()
        _say("Dashboard and API (Ctrl-C ends everything)")
        return serve()
    except KeyboardInterrupt:
        return 0
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)  # what has begun to end is let end
        lab.down()
        _say(f"Nothing is left running; the sample orders are kept in {lab.path} and {DATA_DIR}.")


def forget_settings() -> None:
    """Leaves the user's own settings out: their phpMyAdmin, cache and syncs are none of the demo's."""
    for name in list(os.environ):
        setting = name.upper().removesuffix("_FILE").lower()
        if setting in ScraperSettings.model_fields and not setting.startswith(KEPT):
            del os.environ[name]
    os.environ["ENV_FILE"] = os.devnull


def _scrape() -> None:
    """One sync; it ends with this process, since its standard input closes then."""
    command = [sys.executable, "-m", "scraper", "sync", "--attached", "--trigger", "demo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as sync:
        code = sync.wait()
    if code:
        raise LabError(
            "The first scrape failed, as told above. Look closer: python -m lab up, then "
            "python -m lab run -- python -m scraper doctor"
        )


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"== {what}", flush=True)
