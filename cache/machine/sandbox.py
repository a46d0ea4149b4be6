"""Whether Chrome can run in its sandbox, which keeps a hostile page from the files and processes of this user."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from cache.child_environment import child_environment


@functools.cache
def missing_sandbox() -> str | None:
    """Returns why Chrome has to run without its sandbox on this machine; None where it has one.

    On Linux, the sandbox is made of user namespaces, and Chrome refuses to make one as root.
    """
    if not sys.platform.startswith("linux"):
        return None
    if os.geteuid() == 0:
        return "this process runs as root"
    if not _has_user_namespaces():
        return "this user may not create user namespaces"
    return None


def _has_user_namespaces() -> bool:
    try:
        command = ["unshare", "--user", "--map-root-user", "true"]  # from util-linux
        tried = subprocess.run(command, capture_output=True, timeout=5, env=child_environment(), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0
