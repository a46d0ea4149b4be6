"""The follower: a thread that keeps the files of this host up to date. One process of the host follows at a time."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from filelock import FileLock, Timeout

from cache.errors import CacheError, CacheUnreachable, WarmingUp
from cache.storage.local.atomic_files import disk_errors
from cache.storage.local.snapshots import LocalSnapshots
from cache.storage.shared.changes import Changes
from cache.storage.shared.documents import SharedDocuments
from cache.storage.shared.mirror import Mirror

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
END_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds after a copy that failed; each doubles the next


class Follower:
    """The thread. It runs from `start` to `stop`.

    Args:
        root: The folder of the mirror.
        files: The generations in it.
        mirror: Copies generations there.
        changes: Says when the database has another one.
        documents: Are copied too.
        read_only: Whether this process may not write the folder. Then another process of the host has to follow.
    """

    def __init__(
        self,
        root: Path,
        files: LocalSnapshots,
        mirror: Mirror,
        changes: Changes,
        documents: SharedDocuments,
        read_only: bool = False,
    ) -> None:
        self._documents = documents
        self._keep_at = 0.0
        self._kept = -1  # the version of the cache at which the documents were copied
        self._read_only = read_only
        self._lock = FileLock(root / "follower.lock", thread_local=False)
        self._files = files
        self._mirror = mirror
        self._changes = changes
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._failure = ""

    def start(self) -> None:
        """Starts the thread, at the first call."""
        with self._starting:
            if self._thread is None and not self._read_only:
                self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Ends the thread soon. Then another process of the host may follow."""
        self._stopped.set()

    def join(self) -> None:
        """Waits until the thread has ended, for a limited time."""
        if self._thread is not None:
            self._thread.join(END_SECONDS)  # a copy may take longer; it is complete only once the pointer has moved

    @property
    def is_behind(self) -> bool:
        """Whether the database has a newer generation than this host, as far as this process knows."""
        pointer, head = self._changes.pointer, self._files.head()
        return pointer is not None and (head is None or head.generation < pointer.generation)

    def reach(self, generation: int, timeout: float) -> bool:
        """Waits until this host has a generation, or a later one.

        Args:
            generation: The number of the generation.
            timeout: Maximum time to wait, in seconds.

        Returns:
            Whether it has; False if none was published with this number.

        Raises:
            WarmingUp: It is not here yet.
            CacheUnreachable: It is not here, and the database does not answer.
        """
        end = time.monotonic() + timeout
        while (head := self._files.head()) is None or head.generation < generation:
            pointer, version = self._changes.look(), self._changes.seen
            if pointer is None or pointer.generation < generation:
                return False
            left = end - time.monotonic()
            if left <= 0:
                raise WarmingUp()
            self._changes.wait(version, min(left, POLL_SECONDS))
        return True

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                with disk_errors():
                    self._lock.acquire(timeout=0)
                try:
                    while not self._stopped.is_set():
                        self._step()
                        pause = FIRST_PAUSE
                finally:
                    self._lock.release()
            except Timeout:
                self._stopped.wait(POLL_SECONDS)
            except CacheError as error:
                self._tell(error)
                self._stopped.wait(pause)
                pause = min(2 * pause, POLL_SECONDS if isinstance(error, CacheUnreachable) else LONGEST_PAUSE)
            except Exception:
                log.exception("The copy of the shared cache on this host is not renewed.")
                self._stopped.wait(LONGEST_PAUSE)

    def _step(self) -> None:
        """Copies what the database has, and waits for the next change."""
        seen = self._changes.seen
        pointer = self._changes.pointer
        if pointer is not None and not self._mirror.holds(pointer):
            self._mirror.catch_up()
            self._failure = ""
            return
        if pointer is not None and seen != self._kept and time.monotonic() >= self._keep_at:
            self._keep_at = time.monotonic() + POLL_SECONDS
            self._documents.keep()
            self._kept = seen
        self._changes.wait(seen, POLL_SECONDS)

    def _tell(self, error: CacheError) -> None:
        if error.message != self._failure:  # not at each attempt
            self._failure = error.message
            log.error("The copy of the shared cache on this host is not renewed. %s", error)
