"""Where memory is short, a sync and the worker processes of readers take turns: together they are more than fits.

A sync comes first. Once it has begun, no worker is used any more, and it waits for the answer that one is computing.
Locks of files say so: they end with their process, however it ends. They are in the folder of snapshots, so each host
has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cache.machine.memory import is_small

ANSWER_SECONDS = 60  # a sync waits that long for an answer that is being computed


class MemoryTurns:
    """The turns of this host. Nobody waits where the folder cannot be written to.

    Args:
        folder: Of the snapshots on this host.
    """

    def __init__(self, folder: Path) -> None:
        self._sync = FileLock(folder / "memory_sync.lock", thread_local=False)
        self._answer = FileLock(folder / "memory_answer.lock", thread_local=False)

    @contextmanager
    def of_sync(self) -> Iterator[None]:
        """The turn of a sync. It begins once no worker computes an answer, or after ANSWER_SECONDS."""
        with ExitStack() as stack:
            if is_small():
                with suppress(OSError):  # also a timeout: another sync has its turn, and this one will be refused
                    stack.enter_context(self._sync.acquire(timeout=1))  # `sync_runs` holds it for a moment
                    with self._answer.acquire(timeout=ANSWER_SECONDS):
                        pass
            yield

    def sync_runs(self) -> bool:
        """Whether a sync of this host has its turn."""
        try:
            with self._sync.acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def begin_answer(self) -> bool:
        """Begins the turn of a worker, unless a sync has its own. Then call `end_answer` at its end.

        Two serving processes do not wait for each other.
        """
        with suppress(OSError):
            self._answer.acquire(blocking=False)  # before the look: a sync that begins after the look waits
        if not self.sync_runs():
            return True
        self.end_answer()
        return False

    def end_answer(self) -> None:
        """Ends the turn of a worker."""
        self._answer.release()
