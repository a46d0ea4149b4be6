"""Start a server, remember it so that another run finds it, and end it with all that it started."""

import os
import pwd
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

Mark = tuple[int, float]
"""A process beyond doubt: its id, and when it began in seconds since the epoch (ids are used again)."""

_started: dict[int, subprocess.Popen[bytes]] = {}  # our own children: they must be waited for


def server_user() -> str | None:
    """The user that servers run as: `nobody` when root starts them, else None, the current user."""
    return "nobody" if os.geteuid() == 0 else None


def give(path: Path, mode: int) -> None:
    """Make a file or folder the servers' own, with this mode."""
    path.chmod(mode)
    if user := server_user():
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def spawn(command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a server as `server_user`, in a session of its own; what it prints is appended to `log`."""
    user = server_user()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **env},
            start_new_session=True,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
    _started[process.pid] = process
    return process


def tree(pid: int) -> list[Mark]:
    """The process and all its descendants."""
    try:
        parent = psutil.Process(pid)
        return [(each.pid, each.create_time()) for each in (parent, *parent.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def alive(mark: Mark) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    return _find(mark) is not None


def end(marks: Sequence[Mark], *, kill: bool = False, patience: float = 20.0) -> None:
    """End these processes and their descendants: politely, then by force, or with `kill` by force at once."""
    found = {each.pid: each for mark in marks if (each := _find(mark))}
    for process in list(found.values()):
        try:
            found.update({each.pid: each for each in process.children(recursive=True)})
        except psutil.NoSuchProcess:
            continue
    left = list(found.values())
    if not kill:
        left = _signal(left, "terminate", patience)
    _signal(left, "kill", patience)
    for pid, _ in marks:
        if child := _started.pop(pid, None):
            child.wait()


def _signal(processes: Sequence[psutil.Process], method: str, patience: float) -> list[psutil.Process]:
    for process in processes:
        try:
            getattr(process, method)()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + patience
    while (left := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not (whoever inherits an orphan may be slow to bury it)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _find(mark: Mark) -> psutil.Process | None:
    pid, began = mark
    try:
        process = psutil.Process(pid)
        # The clock may be set a little between two looks; an id is not used again that soon.
        same = abs(process.create_time() - began) < 2
    except psutil.NoSuchProcess:
        return None
    return process if same and _runs(process) else None
