"""The health check of the image: whether the programs that run in the container answer, each on its port.

A container that serves nothing, such as one with the worker alone, is healthy as long as it runs.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from cache.errors import OrdersError
from cache.listen_address import local_url
from cache.settings import Settings

TIMEOUT = 3  # seconds for one answer
_API, _DASHBOARD, _BOTH = "api_sidecar.py", "streamlit_app.py", "one_port.py"


def main(first: int = 1) -> str:
    """Asks every program.

    Args:
        first: The process that started all others.

    Returns:
        What is wrong; "" if nothing is.
    """
    try:
        programs = _programs(psutil.Process(first))
        if "serve.py" in programs and _BOTH not in programs and not {_API, _DASHBOARD} <= programs:
            return "A program of serve.py has ended."
        for url in _urls(programs, Settings.load()):
            _ask(url)
    except (OSError, OrdersError, psutil.Error) as error:
        return str(error)
    return ""


def _programs(first: psutil.Process) -> set[str]:
    """The names of the scripts that a process and its descendants run."""
    return {Path(word).name for process in (first, *first.children(recursive=True)) for word in _command(process)[1:]}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # it has just ended
        return []


def _urls(programs: set[str], settings: Settings) -> Iterator[str]:
    dashboard = local_url(settings.dashboard_host, settings.dashboard_port)
    if _DASHBOARD in programs or _BOTH in programs:
        yield f"{dashboard}/_stcore/health"
    if _BOTH in programs:
        yield f"{dashboard}/health"
    if _API in programs:
        yield f"{local_url(settings.api_host, settings.api_port)}/health"


def _ask(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT):
        return


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) or 0)
