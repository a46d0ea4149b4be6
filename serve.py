"""Dashboard and API together on this machine: `python serve.py`. One that crashes is started again.

`--one-port` serves both in one process (one_port.py) on the port of the dashboard. So does a platform that sets PORT
alone, without API_PORT and DASHBOARD_PORT.

The pause before a start grows with each crash. `/status` of the API says what crashed, and when.
"""

from __future__ import annotations

from cache.version import versioned  # first: it says which Python is needed

# isort: split

import argparse
import http.client
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from api.auth.default_key import is_output_kept, load_key
from cache.errors import OrdersError, SettingsInvalid
from cache.listen_address import local_url
from cache.machine.logs import JsonFormatter
from cache.machine.memory import SMALL_FOOTPRINT, is_small
from cache.private_files import keep_files_private
from cache.settings import Settings

log = logging.getLogger("serve")

ROOT = Path(__file__).resolve().parent
POLL_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between a crash and the next start
STEADY_SECONDS = 120  # a service that ran so long begins with the first pause again
PRINT_SECONDS = 2  # the last lines of a program that has ended are printed within this time
KILL_SECONDS = 5  # a service that does not end within this time is killed


class Service:
    """A program in a process of its own.

    Args:
        name: Its name, which begins each line of its output.
        script: The program.
        url: An address that answers once the program is up.
        settings: Say where crashes are recorded.
    """

    def __init__(self, name: str, script: Path, url: str, settings: Settings) -> None:
        self._name = name
        self._script = script
        self._url = url
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self.answered = False

    def keep_running(self, stopping: threading.Event) -> int:
        """Starts the program, and starts it again whenever it ends.

        Args:
            stopping: Ends it.

        Returns:
            The exit code of a program that ended with an error before it ever answered: a setting is wrong. Else 0.
        """
        pause = FIRST_PAUSE
        while not stopping.is_set():
            started = time.monotonic()
            code = self._run()
            if stopping.is_set():
                break
            if code > 0 and not self.answered:
                return code
            pause = FIRST_PAUSE if time.monotonic() - started > STEADY_SECONDS else pause
            self._record(_reason(code), pause)
            stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return 0

    def poll(self) -> None:
        """Notes whether the program answers."""
        try:
            self.answered = self.answered or _is_success(self._url)
        except (OSError, http.client.HTTPException):
            return

    def end(self, force: bool = False) -> None:
        """Ends the program. `force` also kills what it started."""
        if self._process and self._process.poll() is None:
            if force and hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.terminate()

    def _run(self) -> int:
        """Runs the program once, and returns its exit code; if a signal ended it, the negative number of the signal."""
        self._process = subprocess.Popen(
            [sys.executable, str(self._script)],
            env={**(SMALL_FOOTPRINT if is_small() else {}), **os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C in a terminal reaches this process alone, which ends the others
        )
        # What the program started may keep the pipe open, so its end is not awaited for ever.
        printer = threading.Thread(target=self._print_output, args=(self._process,), daemon=True)
        printer.start()
        code = self._process.wait()
        printer.join(PRINT_SECONDS)  # Python aborts if it ends while a thread prints
        return code

    def _print_output(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self._say(line.rstrip("\n"))

    def _say(self, line: str) -> None:
        """Prints a line of the program, or about it. Where the log is JSON, other lines become JSON as well."""
        if self._settings.log_format == "text":
            line = f"{self._name:<9} | {line}"
        elif not line.startswith("{"):
            line = JsonFormatter(self._name).format(
                logging.makeLogRecord({"name": "serve", "levelname": "INFO", "msg": line})
            )
        print(f"{line}\n", end="", flush=True)  # in one piece: another thread prints too

    def _record(self, reason: str, pause: float) -> None:
        self._say(f"{reason} It is started again in {pause:g} s.")
        # Late, since this process lives long and holds 20 MB less without them.
        from cache.storage.backends import open_cache
        from cache.storage.documents import RESTARTS
        from cache.storage.records import now

        try:
            with closing(open_cache(self._settings.cache_place)) as cache:
                cache.documents.change(RESTARTS, lambda restarts: restarts.add(self._name, reason, now()))
        except OrdersError as error:
            self._say(f"The crash cannot be recorded. {error}")


def serve(one_port: bool = False) -> int:
    """Runs both, and prints their addresses and the API key once both answer.

    Args:
        one_port: Whether they share a port and a process, also where PORT is not set alone.

    Returns:
        0 after Ctrl-C or SIGTERM; the exit code of a service that could not start.

    Raises:
        SettingsInvalid: A setting is wrong, or two processes would listen on one port.
    """
    keep_files_private()
    settings = Settings.load()
    settings.set_up_process("serve")
    settings.warn_of_misspelt()
    if one_port or settings.is_one_port:
        settings = settings.on_one_port()
    elif settings.api_port == settings.dashboard_port:
        raise SettingsInvalid(
            f"API_PORT and DASHBOARD_PORT are both {settings.api_port}.",
            "Set them to two different ports, or start python serve.py --one-port.",
        )
    if 0 in (settings.api_port, settings.dashboard_port):
        raise SettingsInvalid(
            f"The API and the dashboard cannot listen on ports {settings.api_port} and {settings.dashboard_port}.",
            "Set API_PORT and DASHBOARD_PORT to ports other than 0.",
        )
    key = load_key(settings, show=False)  # it is shown with the addresses
    services = _services(settings)
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    codes: list[int] = []
    threads = [threading.Thread(target=partial(_supervise, service, stopping, codes)) for service in services]
    for thread in threads:
        thread.start()
    _announce(services, settings, key, stopping)
    stopping.wait()
    for force in (False, True):
        for service in services:
            service.end(force)
        deadline = time.monotonic() + KILL_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    return max(codes, default=0)


def _services(settings: Settings) -> tuple[Service, ...]:
    """The programs to run: one where both have the same address."""
    dashboard = local_url(settings.dashboard_host, settings.dashboard_port)
    api = local_url(settings.api_host, settings.api_port)
    if settings.has_one_address:
        return (Service("one port", ROOT / "one_port.py", f"{api}/health", settings),)
    return (
        Service("dashboard", ROOT / "streamlit_app.py", f"{dashboard}/_stcore/health", settings),
        Service("api", ROOT / "api_sidecar.py", f"{api}/health", settings),
    )


def _supervise(service: Service, stopping: threading.Event, codes: list[int]) -> None:
    codes.append(service.keep_running(stopping))
    stopping.set()


def _announce(services: tuple[Service, ...], settings: Settings, key: str, stopping: threading.Event) -> None:
    """Waits until both services have answered, and prints where they are."""
    while not all(service.answered for service in services):
        if stopping.wait(POLL_SECONDS):
            return
        for service in services:
            service.poll()
    dashboard = local_url(settings.dashboard_host, settings.dashboard_port)
    api = local_url(settings.api_host, settings.api_port)
    where = f"as set in {settings.set_api_key[0]}" if settings.set_api_key else f"as kept in {settings.api_key_file}"
    shown = where if is_output_kept(settings) else key
    if settings.public_path:
        dashboard = settings.dashboard_url or f"{dashboard} (open it at {settings.public_path}/ of its proxy)"
    if settings.log_format == "json":  # a program reads what is printed
        log.info("Dashboard %s, API %s, API key %s", dashboard, api, shown)
        return
    print(f"\n  Dashboard  {dashboard}\n  API        {api}  (try it at {api}/demo)\n  API key    {shown}\n", flush=True)


def _is_success(url: str) -> bool:
    """Whether a GET is answered with success."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)) as connection:
        connection.request("GET", parts.path)
        return 200 <= connection.getresponse().status < 300


def _reason(code: int) -> str:
    if code >= 0:
        return f"It ended with exit code {code}."
    try:
        return f"It was ended by {signal.Signals(-code).name}."
    except ValueError:
        return f"It was ended by signal {-code}."


def _parser() -> argparse.ArgumentParser:
    parser = versioned(argparse.ArgumentParser(prog="python serve.py", description="Runs the dashboard and the API."))
    parser.add_argument(
        "--one-port", action="store_true", help="in one process on DASHBOARD_PORT (also where PORT is set alone)"
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(serve(**vars(_parser().parse_args())))
    except OrdersError as error:
        sys.exit(str(error))
