"""Dashboard and API together on this machine: `python serve.py`. When one of them ends, the other is ended too."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
from honcho.manager import Manager

from api.auth.default_key import load_key
from cache.errors import OrdersError, SettingsInvalid
from cache.listen_address import is_loopback, local_url
from cache.settings import Settings

ROOT = Path(__file__).resolve().parent
POLL_SECONDS = 0.5
ENDED_BY_SIGNAL = {130, 143}  # as honcho tells of SIGINT and SIGTERM


def serve() -> int:
    """Runs both, and prints their addresses and the API key once both answer.

    Returns:
        0 after Ctrl-C or SIGTERM, else the exit code of the one that ended by itself.

    Raises:
        SettingsInvalid: A setting is wrong, or both would listen on one port.
    """
    settings = Settings.load()
    if 0 in (settings.api_port, settings.dashboard_port) or settings.api_port == settings.dashboard_port:
        raise SettingsInvalid(
            f"The API and the dashboard cannot listen on ports {settings.api_port} and {settings.dashboard_port}.",
            "Set API_PORT and DASHBOARD_PORT to two different ports (PORT alone means both).",
        )
    key = load_key(settings)
    manager = Manager()
    for name, script in (("dashboard", "streamlit_app.py"), ("api", "api_sidecar.py")):
        manager.add_process(name, _command(ROOT / script), env={**os.environ, "PYTHONUNBUFFERED": "1"})
    threading.Thread(target=_announce, args=(settings, key), daemon=True).start()
    manager.loop()
    return 0 if manager.returncode in ENDED_BY_SIGNAL else int(manager.returncode)


def _command(script: Path) -> str:
    """A command line for the shell that honcho starts. `exec` replaces that shell by Python."""
    words = [sys.executable, str(script)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else f"exec {shlex.join(words)}"


def _announce(settings: Settings, key: str) -> None:
    dashboard = local_url(settings.dashboard_host, settings.dashboard_port)
    api = local_url(settings.api_host, settings.api_port)
    while not (_answers(f"{dashboard}/_stcore/health") and _answers(f"{api}/health")):
        pass
    # Off loopback, the output is likely a log that others read, so the key is not printed.
    shown = (
        key if is_loopback(settings.api_host) else f"as set in SHOPIFY_API_KEY, else as kept in {settings.api_key_file}"
    )
    print(f"\n  Dashboard  {dashboard}\n  API        {api}  (try it at {api}/demo)\n  API key    {shown}\n", flush=True)


def _answers(url: str) -> bool:
    time.sleep(POLL_SECONDS)  # before the first request too: while the manager forks, this thread must hold no lock
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    try:
        sys.exit(serve())
    except OrdersError as error:
        sys.exit(str(error))
