"""How much memory this process may use: that of the machine, or of its container.

A container, and a systemd unit with a limit, is a memory cgroup (man 7 cgroups). Version 2 and version 1 are read. The
limit of each cgroup holds for all below it. A process in a container may not see where its own cgroup is, and then its
container's is mounted as the topmost one.

Where no cgroup says it, MEMORY_LIMIT_MB does: the process that reads it first shares it with all that it starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SMALL = 1 << 30  # bytes: with less, all that can wait its turn does
_DATABASE_SHARE = 8  # the limit of a database is at most this part of the memory, and at least _LEAST_DATABASE
_LEAST_DATABASE = 32 << 20
SMALL_FOOTPRINT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Environment in which Arrow and glibc return memory earlier (mallopt(3)): less is held after a large answer."""

_LIMIT = "CHILD_MEMORY"  # tells child processes the limit in MB, and the process that began

_FILES_1, _FILES_2 = ("total_inactive_file", "total_active_file"), ("inactive_file", "active_file")

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
OOM_SCORE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True)
class _Cgroup:
    """A memory cgroup of one of the versions.

    Attributes:
        folder: Its folder.
        limit_file: The name of the file with its limit.
        usage_file: The name of the file with what it uses.
        reclaimable: The counters of `memory.stat` that say how much of that the kernel takes back when needed: files
            that were read or written.
    """

    folder: Path
    limit_file: str
    usage_file: str
    reclaimable: tuple[str, ...]

    @property
    def limit(self) -> int | None:
        """Its limit in bytes; None if it has none."""
        return self._number(self.limit_file)

    @property
    def available(self) -> int | None:
        """Bytes that its processes may still take; None if it has no limit."""
        limit, usage = self.limit, self._number(self.usage_file)
        return None if limit is None or usage is None else max(0, limit - usage + self._files())

    def _number(self, name: str) -> int | None:
        with suppress(OSError, ValueError):
            return int((self.folder / name).read_text())  # `max` in version 2: no limit
        return None

    def _files(self) -> int:
        with suppress(OSError, ValueError):
            counters = (line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
            return sum(int(value) for name, value in counters if name in self.reclaimable)
        return 0


def set_memory_limit(megabytes: int | None) -> None:
    """Sets a limit for this process and all that it will start, together.

    It says how to work, and ends nothing. A limit that the process which started this one has set stays.

    Args:
        megabytes: The setting MEMORY_LIMIT_MB; None: only the machine and cgroups limit memory.
    """
    if megabytes is not None:
        os.environ.setdefault(_LIMIT, f"{megabytes} {os.getpid()}")


def total_memory() -> int:
    """The memory of this machine, or of the container, in bytes; or what is set."""
    limits = [cgroup.limit for cgroup in _cgroups()]
    if given := _given():
        limits.append(given[0])
    return min([psutil.virtual_memory().total, *(limit for limit in limits if limit is not None)])


def available_memory() -> int:
    """Available memory in bytes, of this machine or of the container; or what is left of the limit that is set."""
    left = [cgroup.available for cgroup in _cgroups()]
    if given := _given():
        left.append(max(0, given[0] - _held(given[1])))
    return min([psutil.virtual_memory().available, *(size for size in left if size is not None)])


def is_small() -> bool:
    """Whether there is so little memory that what can wait its turn does."""
    return total_memory() < SMALL


def end_me_first() -> None:
    """Where memory runs out, the kernel ends this process and its children first (man 5 proc_pid_oom_score_adj).

    Call it in a process that others can start again: dashboard and API go on without it.
    """
    with suppress(OSError):  # only Linux has it
        OOM_SCORE.write_text("500")


def database_limit(megabytes: int) -> str:
    """The limit of a DuckDB database, as DuckDB reads it. Beyond it, the database writes to temporary files or fails.

    Args:
        megabytes: Where there is enough memory for it.
    """
    share = max(total_memory() // _DATABASE_SHARE, _LEAST_DATABASE) >> 20
    return f"{min(megabytes, share)}MB"


def _given() -> tuple[int, int] | None:
    """The limit that is set, in bytes, and the id of the process that began; None if none is set."""
    if not (text := os.environ.get(_LIMIT)):
        return None
    megabytes, process = map(int, text.split())
    return megabytes << 20, process


def _held(process: int) -> int:
    """What a process and all that it started hold, in bytes: pages that several share count once."""
    held = 0
    with suppress(psutil.Error):
        first = psutil.Process(process)
        for each in (first, *first.children(recursive=True)):
            with suppress(psutil.Error):
                held += getattr(each.memory_full_info(), "pss", each.memory_info().rss)  # only Linux knows PSS
    return held


def _cgroups() -> Iterator[_Cgroup]:
    """The memory cgroups that this process is in; none where there are no cgroups."""
    lines: list[str] = []
    with suppress(OSError):
        lines = MEMBERSHIP.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            for folder in _upwards(MOUNT / "memory", path):
                yield _Cgroup(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", _FILES_1)
        elif not controllers:
            for folder in _upwards(MOUNT, path):
                yield _Cgroup(folder, "memory.max", "memory.current", _FILES_2)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """The folder of a cgroup and those above it, up to the mount, as far as they can be seen."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # it is outside of what is mounted
        parts = []
    for count in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:count])
