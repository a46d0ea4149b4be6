"""Names that look like settings and are none: what is misspelt counts as missing, so somebody has to say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from cache.machine.env_file import EnvFile

SYNC_SETTINGS = frozenset(
    (
        "CHANGES_DAYS",
        "FULL_CHECK_HOURS",
        "HOLD_BACK_BELOW",
        "PHPMYADMIN_CA_FILE",
        "PHPMYADMIN_DATABASE",
        "PHPMYADMIN_HEADERS",
        "PHPMYADMIN_HTTP_PASSWORD",
        "PHPMYADMIN_HTTP_USERNAME",
        "PHPMYADMIN_LOGIN",
        "PHPMYADMIN_PASSWORD",
        "PHPMYADMIN_PORTAL_CODE_FIELD",
        "PHPMYADMIN_PORTAL_LINK",
        "PHPMYADMIN_PORTAL_PASSWORD",
        "PHPMYADMIN_PORTAL_PASSWORD_FIELD",
        "PHPMYADMIN_PORTAL_TOTP_SECRET",
        "PHPMYADMIN_PORTAL_URL",
        "PHPMYADMIN_PORTAL_USERNAME",
        "PHPMYADMIN_PORTAL_USERNAME_FIELD",
        "PHPMYADMIN_SERVER",
        "PHPMYADMIN_TABLE",
        "PHPMYADMIN_TOTP_SECRET",
        "PHPMYADMIN_URL",
        "PHPMYADMIN_USERNAME",
        "SOURCE_TIMEZONE",
        "STATEMENT_SECONDS",
        "SYNC_CONNECTIONS",
        "SYNC_MEMORY_MB",
        "SYNC_PAUSE_SECONDS",
    )
)
"""Settings that only syncs read, by name: to import their classes takes 13 MB and half a second in every process."""

_OF_COMPOSE = re.compile(r"COMPOSE_\w+|DATABASE_PASSWORD|SITE")  # compose.yaml reads them from `.env`
_OURS = ("PHPMYADMIN_", "DASHBOARD_", "ORDERS_")  # no other program's variables begin so
_ALIKE = 0.7  # PHPMYADMIN_DB, SYNC_INTERVAL
_MISSPELT = 0.85  # PHPMYADMIN_TABEL, API_PROT; not SHOPIFY_API_SECRET, which belongs to somebody else


def misspelt(names: Iterable[str], environment: Mapping[str, str], file: EnvFile) -> list[str]:
    """Sentences about names that are no settings, and about settings that `.env` has twice.

    Args:
        names: The settings of this process, in capitals.
        environment: A name there is meant for us if it begins with a word of our own, or resembles a setting of the
            same first word.
        file: Each name there is meant for us.
    """
    known = SYNC_SETTINGS.union(names)
    known |= {f"{name}_FILE" for name in known}
    found = [
        f"{name} in .env, line {file.lines[name]}, is not a setting.{_nearest(name, known)}"
        for name in file.values
        if name not in known and not _OF_COMPOSE.fullmatch(name)
    ]
    words = {name.partition("_")[0] for name in known}
    for name in environment:
        if name in known or name.partition("_")[0] not in words:
            continue
        if name.startswith(_OURS) or _nearest(name, known, _MISSPELT):
            found.append(f"{name} in the environment is not a setting.{_nearest(name, known)}")
    return found + [f"{name} stands twice in .env; line {file.lines[name]} counts." for name in file.repeated]


def _nearest(name: str, known: Iterable[str], alike: float = _ALIKE) -> str:
    nearest = get_close_matches(name.upper(), sorted(known), 1, alike)
    return f" Did you mean {nearest[0]}?" if nearest else ""
