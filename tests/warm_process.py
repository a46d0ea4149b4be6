"""Processes that start in milliseconds: forks of a process that has done its imports already.

Tests start the API hundreds of times, and the dashboard often. Each start would spend most of its time with imports.
A fork runs the same script with its own environment, folder, output and process id. Starts without a fork are tested
in test_serve.py.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TextIO

from paths import ROOT


class ForkedProcess:
    """A running fork, with the part of `subprocess.Popen` that tests need."""

    def __init__(self, stdout: TextIO, status: TextIO) -> None:
        self.stdout = stdout
        self._status = status
        self._code: int | None = None
        self.pid = int(status.readline())

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self._code = int(self._status.readline())
            self._status.close()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Args:
            timeout: in seconds; None waits for ever.

        Returns:
            The exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self._code is None:
            select.select([self._status], [], [], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class WarmProcess:
    """A process that has imported a module of the checkout's top level, and forks to run it as a script.

    Args:
        module: `api_sidecar`, `streamlit_app` or `one_port`.
    """

    def __init__(self, module: str) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-u", __file__, module, str(theirs.fileno())]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()])

    def close(self) -> None:
        """End it. Its forks go on."""
        self._channel.close()
        self._process.wait()

    def start(
        self, folder: Path, environment: Mapping[str, str], stderr: IO[bytes], stdout: IO[bytes] | None = None
    ) -> ForkedProcess:
        """Run the script in a fork.

        Args:
            folder: the working directory.
            environment: all environment variables.
            stderr: a file for errors and the log.
            stdout: a file for output, which otherwise is read from the process that is returned.
        """
        output, output_end = os.pipe()
        status, status_end = os.pipe()
        request = json.dumps([str(folder), dict(environment)]).encode()
        socket.send_fds(
            self._channel, [request], [stdout.fileno() if stdout else output_end, stderr.fileno(), status_end]
        )
        for number in (output_end, status_end):
            os.close(number)
        return ForkedProcess(os.fdopen(output), os.fdopen(status))


@functools.cache
def warm(module: str) -> WarmProcess:
    """The warm process of this module, which ends with the tests."""
    process = WarmProcess(module)
    atexit.register(process.close)
    return process


# -- what runs in the warm process


def forked(channel: socket.socket) -> tuple[str, dict[str, str], list[int]]:
    """Wait for requests, and return in a fork for each: folder, environment, and pipes as in `WarmProcess.start`."""
    while True:
        request, pipes, *_ = socket.recv_fds(channel, 1 << 20, 3)
        if not request:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            folder, environment = json.loads(request)
            return folder, environment, pipes
        for number in pipes:
            os.close(number)


def main() -> None:
    """Import a module; then, in forks, run it as a script. Each has a parent that reports its id and its exit code."""
    module, channel = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    importlib.import_module(module)
    if module != "api_sidecar":
        importlib.import_module("pandas")  # which the dashboard imports when it starts
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the parents
    folder, environment, (output, errors, status) = forked(channel)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        os.close(output)
        os.write(status, f"{child}\n".encode())
        os.write(status, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
        os._exit(0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for number in (output, errors, status):
        os.close(number)
    faulthandler.register(signal.SIGUSR1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    script = str(ROOT / f"{module}.py")
    sys.argv, sys.path[0] = [script], str(ROOT)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
