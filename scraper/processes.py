"""Ends processes, and waits for their end.

A zombie has ended. An orphan stays one until process 1 reaps it, which may take seconds, and in a container may never
happen: psutil's own `wait_procs` would wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import psutil


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kills processes, and waits up to five seconds for their end.

    psutil compares start times, so a process id that is used again is safe.
    """
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    still_running(processes, 5)


def still_running(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits for the end of processes.

    Args:
        processes: Which ones.
        seconds: How long to wait at most.

    Returns:
        Those that run after that time.
    """
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
