"""Threads that compute beside the event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

SWITCH_SECONDS = 0.001  # so long a thread that computes keeps the event loop waiting
_IDLE_SWITCH_SECONDS = sys.getswitchinterval()
_computing: set[object] = set()  # one for each thread; only the event loop changes it


async def compute_in_thread(
    function: Callable[[*Arguments], Result], *arguments: *Arguments, limiter: anyio.CapacityLimiter | None = None
) -> Result:
    """Runs a function that computes for long in a thread.

    Meanwhile the threads of the process take turns more often, so that the event loop waits less. At other times more
    turns would only cost time.

    Args:
        function: The function.
        arguments: Its arguments.
        limiter: Bounds how many threads run at once; None: the bound that all threads share.
    """
    turn = object()
    _computing.add(turn)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=limiter)
    finally:
        _computing.remove(turn)
        if not _computing:
            sys.setswitchinterval(_IDLE_SWITCH_SECONDS)
