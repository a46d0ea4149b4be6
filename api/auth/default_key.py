"""The key named `default`: ORDERS_API_KEY or SHOPIFY_API_KEY, or one that is made at the first start."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys

from filelock import FileLock

from cache.access.api_keys import read_key
from cache.errors import SettingsInvalid
from cache.listen_address import is_loopback
from cache.settings import Settings

log = logging.getLogger(__name__)

MIN_LENGTH = 16
# Placeholders consist of such words, digits and signs: "your-secret-api-key-123".
_PLACEHOLDER = re.compile(
    r"(?:a|abcdef\w*|access|admin|api|changeme|change|default|demo|dev|development|dummy|enter|example|generated?|here|"
    r"insert|is|key|long|me|my|number|order|orders|password|phpmyadmin|placeholder|please|prod|production|put|random|"
    r"replace|sample|secret|secure|sh|shop|shopify|string|strong|super|test|testing|the|this|to|token|value|very|with|"
    r"your|[\W\d_])+",
    re.IGNORECASE,
)


def load_key(settings: Settings, show: bool = True) -> str:
    """Loads the default key: ORDERS_API_KEY or SHOPIFY_API_KEY, else the key in DATA_DIR.

    That one is made at the first start, and printed once unless the output is kept as a log. A weak key is accepted on
    loopback, with a warning. On any other address it is refused.

    Args:
        settings: Where the key is, and who can reach the API.
        show: Whether a key that is made is printed here, as the only time. Otherwise the caller shows it.

    Raises:
        SettingsInvalid: The key is too weak, or it is missing for a shared cache, or no header can carry it, or the key
            file cannot be written.
    """
    if settings.set_api_key is None:
        if settings.cache_place.is_shared:
            raise SettingsInvalid(
                "ORDERS_API_KEY must be set for a shared cache: each host would make a key of its own.", _RANDOM
            )
        return _kept_key(settings, show)
    name, key = settings.set_api_key
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsInvalid(f"{name} has a character that a header cannot carry.", _ADVICE)
    if is_weak(key):
        if not is_loopback(settings.api_host):
            raise SettingsInvalid(f"{name} is too weak for API_HOST={settings.api_host}.", _ADVICE)
        log.warning("%s is weak. It is accepted because only this machine can reach the API. %s", name, _ADVICE)
    return key


_RANDOM = (
    "Set 16 or more random letters and digits, for example from `python -c "
    '"import secrets; print(secrets.token_urlsafe(32))"`.'
)
_ADVICE = f"{_RANDOM.removesuffix('.')}; or leave it out, and a key is made."


def is_weak(key: str) -> bool:
    """Whether a key is shorter than 16 characters, or a placeholder that anyone can guess."""
    return len(key) < MIN_LENGTH or bool(_PLACEHOLDER.fullmatch(key))


def is_output_kept(settings: Settings) -> bool:
    """Whether others may read what this process prints, so that no key belongs there.

    Off loopback it is likely a container, whose output is a log. JSON is for a program that keeps it. systemd sets
    JOURNAL_STREAM where it keeps the output, also for terminals of a desktop.
    """
    is_log = settings.log_format == "json" or not is_loopback(settings.api_host)
    return is_log or ("JOURNAL_STREAM" in os.environ and not sys.stdout.isatty())


def _kept_key(settings: Settings, show: bool) -> str:
    """Reads the key file, or makes it. The lock is for two processes that start at the same time."""
    file = settings.api_key_file
    try:
        if key := read_key(file):  # also where nothing can be written
            return key
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(file.name + ".lock")):
            if key := read_key(file):
                return key
            file.unlink(missing_ok=True)  # an empty file: the process that made it was killed
            key = secrets.token_urlsafe(32)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
                opened.write(key + "\n")
    except OSError as error:
        raise SettingsInvalid(
            f"The API key cannot be stored in {file}: {error.strerror}.",
            "Make the folder writable, or set ORDERS_API_KEY.",
        ) from error
    shown = "" if not show or is_output_kept(settings) else f" It is shown only once:\n  {key}"
    said = f"A new API key was made. It is stored in {file}.{shown}"
    if settings.log_format == "json":
        log.info(said)
    else:
        print(said, flush=True)
    return key
