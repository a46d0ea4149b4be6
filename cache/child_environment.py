"""The environment of child processes that need no settings: Chrome, and the processes that render exports.

All that is not named here stays away from them: a setting, a key or a password in the environment of this process is
none of theirs.
"""

from __future__ import annotations

import os

_NAMES = {
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CHILD_LOG",  # see machine/logs.py
    "CHILD_MEMORY",  # see machine/memory.py
    # how the database of a shared cache proves who it is
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    # Windows
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "WINDIR",
}
_PREFIXES = ("LC_", "PYTHON", "ARROW_", "MALLOC_", "FONTCONFIG_")


def child_environment(**changes: str) -> dict[str, str]:
    """Returns what a program needs to run.

    Args:
        **changes: Variables that differ, or that are added.
    """
    kept = {name: value for name, value in os.environ.items() if name.upper() in _NAMES or name.startswith(_PREFIXES)}
    return kept | changes
