"""Peak memory of one process, sampled."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Self

import psutil

SAMPLE_SECONDS = 0.05


class Peak:
    """The most that a process held at one time, in bytes, while the block ran. Its children are not counted.

    `uss` is what only this process maps, files included; `anonymous` leaves files out (both as Linux counts them).
    `alone_since` is when the last child was seen (seconds since the epoch; 0: none was).
    """

    def __init__(self, process: psutil.Process) -> None:
        self.uss = self.anonymous = 0
        self.alone_since = 0.0
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        with suppress(psutil.Error):
            while not self._ended.wait(SAMPLE_SECONDS):
                held = self._process.memory_full_info()
                self.uss = max(self.uss, held.uss)
                self.anonymous = max(self.anonymous, held.rss - held.shared)
                if self._process.children():
                    self.alone_since = time.time()
