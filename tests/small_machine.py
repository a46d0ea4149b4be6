"""A machine with little memory: a memory cgroup around a program, and what its processes hold. For Linux.

Where no memory cgroup can be made, nothing limits the program, and what its processes hold is all that is known.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

SAMPLE_SECONDS = 0.2
MOUNT = Path("/sys/fs/cgroup")
PROGRAMS = {
    "serve.py": "supervisor",
    "one_port.py": "one port",
    "streamlit_app.py": "dashboard",
    "api_sidecar.py": "API",
    "cache.export.worker": "workers",
    "scraper": "sync",
}
"""A word of the command line of each program -> its name in reports."""


class MemoryCgroup:
    """A cgroup that limits memory, of version 1 or 2.

    Attributes:
        folder: Its folder.
    """

    def __init__(self, folder: Path, is_second: bool) -> None:
        self.folder = folder
        self._is_second = is_second

    def limit(self, size: int) -> None:
        """Limits memory, in bytes, with nothing to swap to."""
        if self._is_second:
            (self.folder / "memory.max").write_text(str(size))
            with suppress(OSError):
                (self.folder / "memory.swap.max").write_text("0")
        else:
            (self.folder / "memory.limit_in_bytes").write_text(str(size))
            with suppress(OSError):
                (self.folder / "memory.memsw.limit_in_bytes").write_text(str(size))

    def enter(self) -> None:
        """Moves this process into it; its children begin there."""
        (self.folder / "cgroup.procs").write_text("0")

    @property
    def kills(self) -> int:
        """Processes that the kernel has killed because memory was short."""
        return self._counters("memory.events" if self._is_second else "memory.oom_control")["oom_kill"]

    @property
    def peak(self) -> int:
        """The most that it held at one time, in bytes, with the page cache, which the kernel takes back when needed."""
        return int((self.folder / ("memory.peak" if self._is_second else "memory.max_usage_in_bytes")).read_text())

    @property
    def held(self) -> int:
        """Bytes that the kernel cannot take back: memory of processes, and temporary files in memory."""
        counters = self._counters("memory.stat")
        names = ("anon", "shmem") if self._is_second else ("total_rss", "total_shmem")
        return sum(counters[name] for name in names)

    def remove(self) -> None:
        """Removes it, once its last process has ended."""
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)

    def _counters(self, name: str) -> Counter[str]:
        pairs = (line.split() for line in (self.folder / name).read_text().splitlines())
        return Counter({key: int(value) for key, value in pairs})


def memory_cgroup(size: int) -> MemoryCgroup | None:
    """A new cgroup with a limit in bytes, below that of this process; None where none can be made."""
    for parent, is_second in _parents():
        folder = parent / f"small-machine-{os.getpid()}-{time.monotonic_ns()}"
        with suppress(OSError):
            folder.mkdir()
            cgroup = MemoryCgroup(folder, is_second)
            try:
                cgroup.limit(size)
            except OSError:  # the controller is not on for children of this cgroup
                folder.rmdir()
                continue
            return cgroup
    return None


def _parents() -> Iterator[tuple[Path, bool]]:
    """The cgroups of this process that may have one below (man 7 cgroups)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield MOUNT / "memory" / path.lstrip("/"), False
        elif not controllers:
            yield MOUNT / path.lstrip("/"), True


class Sampler(threading.Thread):
    """Samples what a program and all that it started hold: their summed PSS (man 5 proc_pid_smaps).

    Attributes:
        peak: The most at one time, in bytes.
        at_peak: What each program held then.
        most: The most that the processes of each program held together.
        held: The most that the cgroup held which the kernel cannot take back.
    """

    def __init__(self, root: psutil.Process, cgroup: MemoryCgroup | None) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._cgroup = cgroup
        self._ended = threading.Event()
        self.peak = self.held = 0
        self.at_peak: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            now: Counter[str] = Counter()
            with suppress(psutil.Error):
                for process in (self._root, *self._root.children(recursive=True)):
                    with suppress(psutil.Error):
                        now[_program(process)] += process.memory_full_info().pss
            if now.total() > self.peak:
                self.peak, self.at_peak = now.total(), now
            self.most |= now
            if self._cgroup:
                self.held = max(self.held, self._cgroup.held)

    def report(self) -> str:
        """The peaks, in MB."""
        lines = [f"summed PSS {_megabytes(self.peak)}: {_shares(self.at_peak)}", f"most of each: {_shares(self.most)}"]
        if self._cgroup:
            peak, held = _megabytes(self._cgroup.peak), _megabytes(self.held)
            lines.append(f"cgroup {peak} with the page cache, {held} without; kills: {self._cgroup.kills}")
        return "\n".join(lines)


@contextmanager
def removed_at_end(cgroup: MemoryCgroup) -> Iterator[MemoryCgroup]:
    """A cgroup that is removed when the block ends."""
    try:
        yield cgroup
    finally:
        cgroup.remove()


def _program(process: psutil.Process) -> str:
    name = process.name()
    if "chrom" in name:
        return "Chrome"
    words = [Path(word).name for word in process.cmdline()]
    return next((title for word, title in PROGRAMS.items() if word in words), name)


def _shares(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {_megabytes(size)}" for name, size in counted.most_common())


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.0f} MB"
