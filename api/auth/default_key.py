"""The key named `default`: where it comes from, and which ones are refused. `authentication` checks it."""

from __future__ import annotations

import logging
import os
import re
import secrets
from pathlib import Path

from filelock import FileLock

from cache.errors import SettingsInvalid
from cache.listen_address import is_loopback
from cache.settings import Settings

log = logging.getLogger(__name__)

MIN_LENGTH = 16
# Published keys are placeholders: made of nothing but such words, digits and signs ("your-secret-api-key-123").
_PLACEHOLDER = re.compile(
    r"(?:a|abcdef\w*|access|admin|api|changeme|change|default|demo|dev|development|dummy|enter|example|generated?|here|"
    r"insert|is|key|long|me|my|number|order|orders|password|phpmyadmin|placeholder|please|prod|production|put|random|"
    r"replace|sample|secret|secure|sh|shop|shopify|string|strong|super|test|testing|the|this|to|token|value|very|with|"
    r"your|[\W\d_])+",
    re.IGNORECASE,
)


def load_key(settings: Settings) -> str:
    """SHOPIFY_API_KEY, else the key in DATA_DIR, which is made at the first start and printed that once.

    A key is weak if it is shorter than 16 characters or was ever published. On loopback a weak one is taken, with a
    warning; on any other address it is refused. A key that no header can carry is refused everywhere.
    Raises SettingsInvalid.
    """
    if settings.shopify_api_key is None:
        return _kept_key(settings.api_key_file)
    key = settings.shopify_api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsInvalid("SHOPIFY_API_KEY holds a character that a header cannot carry.", _ADVICE)
    if is_weak(key):
        if not is_loopback(settings.api_host):
            raise SettingsInvalid(f"SHOPIFY_API_KEY is too weak for API_HOST={settings.api_host}.", _ADVICE)
        log.warning("SHOPIFY_API_KEY is weak: it is taken on this machine only. %s", _ADVICE)
    return key


_ADVICE = (
    "Take one of 16 or more letters and digits that was never published, such as `python -c "
    '"import secrets; print(secrets.token_urlsafe(32))"` prints; or leave it out and one is made.'
)


def is_weak(key: str) -> bool:
    """Shorter than 16 characters, or a placeholder that anyone can guess."""
    return len(key) < MIN_LENGTH or bool(_PLACEHOLDER.fullmatch(key))


def _kept_key(file: Path) -> str:
    """Reads the key file or makes it. The lock lets two processes that start at once agree."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(file.name + ".lock")):
            key = file.read_text(encoding="ascii").strip() if file.exists() else ""
            if key:
                return key
            file.unlink(missing_ok=True)  # empty: a start was killed before it wrote
            key = secrets.token_urlsafe(32)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
                opened.write(key + "\n")
    except OSError as error:
        raise SettingsInvalid(
            f"The API key cannot be kept in {file}: {error.strerror}.",
            "Make the folder writable, or set SHOPIFY_API_KEY.",
        ) from error
    print(f"A new API key was made and is kept in {file}. It is shown this once:\n  {key}", flush=True)
    return key
