"""The limit on the memory of a sync. It is the last defence: scraper/client/bounds.py limits what a server sends.

RLIMIT_DATA (man 2 setrlimit) counts what a process may write to, unlike RLIMIT_AS, which also counts mapped files and
addresses that are only reserved. macOS and Windows have no such limit.
"""

from __future__ import annotations

import sys


def limit_memory(megabytes: int) -> None:
    """Limits the memory of this process: what exceeds it raises MemoryError. Children inherit the limit."""
    if sys.platform.startswith("linux"):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = megabytes << 20
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard < 0 else min(soft, hard), hard))


def remove_memory_limit() -> None:
    """Removes the limit in a child that needs more, such as Chrome."""
    if sys.platform.startswith("linux"):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
