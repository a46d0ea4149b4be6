"""python -m api keys add NAME | list | revoke NAME

add     makes a key and prints it this once. It may read rows; `--scope refresh` lets it ask for refreshes, and
        `--scope read --scope refresh` both. `--expires` takes a number of days or hours (90d, 12h), or a date, at whose
        beginning in UTC the key ends. `--masked` hides columns with personal data from it (PERSONAL_COLUMNS).
list    shows the keys that were added, and never what they are.
revoke  ends one.

A change counts within a second, in every process that serves this cache; nothing is restarted.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import get_args

from api.contract.json_response import iso
from cache.access.api_keys import ApiKey, Scope, digest, new_key
from cache.errors import OrdersError, SettingsInvalid
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.store import Cache

FAILED, USAGE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    keys = parser.add_subparsers(dest="subject", required=True).add_parser("keys", help="keys of the API")
    commands = keys.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--scope", action="append", choices=get_args(Scope), help="what it may do (read)")
    add.add_argument("--expires", type=_when, metavar="90d|12h|2027-01-31", help="when it ends (never)")
    add.add_argument("--masked", action="store_true", help="hide personal data from it")
    commands.add_parser("list", help="show the keys")
    commands.add_parser("revoke", help="end a key").add_argument("name", metavar="NAME")
    asked = parser.parse_args(arguments)
    try:
        with closing(open_cache(Settings.load().cache_url)) as cache:
            if asked.command == "add":
                _add(cache, asked.name, tuple(dict.fromkeys(asked.scope or ["read"])), asked.masked, asked.expires)
            elif asked.command == "revoke":
                cache.documents.change(API_KEYS, lambda clients: clients.revoke(asked.name))
                print(f"The key '{asked.name}' is revoked.")
            else:
                _list(cache)
    except OrdersError as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, SettingsInvalid) else FAILED
    return 0


def _when(text: str) -> datetime:
    span = re.fullmatch(r"(\d{1,5})([dh])", text)
    if span:
        at = now() + timedelta(**{{"d": "days", "h": "hours"}[span[2]]: int(span[1])})
    else:
        try:
            at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is neither 90d, 12h nor a date like 2027-01-31") from None
    if at <= now():
        raise argparse.ArgumentTypeError(f"'{text}' is over already")
    return at


def _add(cache: Cache, name: str, scopes: tuple[Scope, ...], masked: bool, expires_at: datetime | None) -> None:
    key = new_key()
    made = ApiKey(
        name=name, digest=digest(key), scopes=scopes, masked=masked, created_at=now(), expires_at=expires_at
    )  # fmt: skip
    cache.documents.change(API_KEYS, lambda clients: clients.add(made))
    print(f"The key '{name}' ({_meaning(made)}) is shown this once:", file=sys.stderr)
    print(key)


def _list(cache: Cache) -> None:
    keys = cache.documents.read(API_KEYS).keys
    width = max((len(key.name) for key in keys), default=0)
    for key in keys:
        print(f"{key.name:{width}}  {_meaning(key)}; made {iso(key.created_at)}")
    if not keys:
        print(
            "No keys were added; the one of the settings (SHOPIFY_API_KEY, or DATA_DIR/api_key) counts.",
            file=sys.stderr,
        )


def _meaning(key: ApiKey) -> str:
    words = [" and ".join(key.scopes)]
    if key.masked:
        words.append("personal data hidden")
    if key.expires_at:
        words.append(f"{'ended' if key.expires_at <= now() else 'until'} {iso(key.expires_at)}")
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
