"""API keys and feeds: `python -m api key`, and `python -m api keys` or `feeds` with `add NAME`, `list`, `revoke NAME`.

key     Prints the default key, and nothing else: ORDERS_API_KEY from the environment or .env, else the key that is
        stored in DATA_DIR. If there is none yet, it is made, and the API takes it when it starts.

add     Makes a key and prints it once. Without `--scope` it may read rows; `--scope refresh` makes a key that may
        request refreshes, `--scope read --scope refresh` one that may do both. `--expires` takes days or hours (90d,
        12h), or a date: the key ends when that day begins in UTC. `--masked` hides personal data from the key, and
        says which columns that are, and which texts it sees.
list    Shows the names of the keys and what they may do, with `--json` for programs.
revoke  Ends a key.

A feed is an address for programs that can send no key, such as a spreadsheet. It stands for one path and query:

    python -m api feeds add weekly --path '/fetch-data?format=csv&fields=id,name,total_price'

`add` prints the address once. Personal data is hidden, unless `--unmasked`. `--days` ends the feed. `list` also shows
when each feed was last used.

A change takes effect within a second in every process that serves this cache, without a restart.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import get_args

from api import feed_commands
from api.auth.default_key import load_key
from api.contract.json_response import iso
from cache.access.api_keys import ApiKey, Scope, digest, new_key
from cache.access.masking import MaskRules
from cache.errors import OrdersError, SettingsInvalid
from cache.private_files import keep_files_private
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS, SETUP
from cache.storage.records import now
from cache.storage.store import Cache
from cache.version import versioned

FAILED, USAGE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The command line; None: that of the process.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    keep_files_private()
    try:
        settings = Settings.load()
        if options.subject == "key":
            with redirect_stdout(sys.stderr):  # says whether a key was made
                key = load_key(settings, show=False)
            print(key)
            return 0
        with closing(open_cache(settings.cache_place)) as cache:
            if options.subject == "feeds":
                feed_commands.run(options, cache, settings)
            elif options.command == "add":
                _add(cache, options)
                if options.masked:
                    _say_what_is_hidden(cache, MaskRules.of(settings))
            elif options.command == "revoke":
                cache.documents.change(API_KEYS, lambda keys: keys.revoke(options.name))
                print(f"The key '{options.name}' is revoked.")
            else:
                _list(cache, options.json)
    except OrdersError as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, SettingsInvalid) else FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = versioned(argparse.ArgumentParser(prog="python -m api", description=__doc__, formatter_class=formatter))
    subjects = parser.add_subparsers(dest="subject", required=True)
    subjects.add_parser("key", help="print the default key")
    keys = subjects.add_parser("keys", help="API keys")
    commands = keys.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--scope", action="append", choices=get_args(Scope), help="what the key may do (default: read)")
    add.add_argument("--expires", type=_expiry, metavar="90d|12h|2027-01-31", help="when the key ends (default: never)")
    add.add_argument("--masked", action="store_true", help="hide personal data from the key")
    commands.add_parser("list", help="show the keys").add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("revoke", help="end a key").add_argument("name", metavar="NAME")
    feed_commands.add_parser(subjects)
    return parser


def _expiry(text: str) -> datetime:
    duration = re.fullmatch(r"(\d{1,5})([dh])", text)
    if duration:
        expiry = now() + timedelta(**{{"d": "days", "h": "hours"}[duration[2]]: int(duration[1])})
    else:
        try:
            expiry = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a duration (90d, 12h) or a date (2027-01-31)") from None
    if expiry <= now():
        raise argparse.ArgumentTypeError(f"'{text}' is in the past")
    return expiry


def _add(cache: Cache, options: argparse.Namespace) -> None:
    secret = new_key()
    key = ApiKey(
        name=options.name,
        digest=digest(secret),
        scopes=tuple(dict.fromkeys(options.scope or ["read"])),
        masked=options.masked,
        created_at=now(),
        expires_at=options.expires,
    )
    cache.documents.change(API_KEYS, lambda keys: keys.add(key))
    print(f"The key '{key.name}' ({_describe(key)}) is shown only once:", file=sys.stderr)
    print(secret)


def _say_what_is_hidden(cache: Cache, rules: MaskRules) -> None:
    head = cache.snapshots.head()
    if head is None:
        print("Nothing is cached yet, so it is not known which columns are hidden.", file=sys.stderr)
        return
    columns = cache.snapshots.inspect(head.generation).columns
    mask = rules.mask(columns, cache.documents.read(SETUP))
    texts = [column.name for column in columns if column.kind == "text" and column.name not in mask.columns]
    for label, names in (
        ("Hidden from it", mask.hidden),
        ("JSON without its personal data", mask.pruned),
        ("Texts that it sees", texts),
    ):
        print(f"{label}: {', '.join(names) or 'none'}.", file=sys.stderr)
    print("Hide more with PERSONAL_COLUMNS or MASK_UNKNOWN=on, show more with SAFE_COLUMNS.", file=sys.stderr)


def _list(cache: Cache, as_json: bool) -> None:
    keys = cache.documents.read(API_KEYS).keys
    if as_json:
        print(json.dumps([key.model_dump(mode="json", exclude={"digest"}) for key in keys], indent=2))
        return
    width = max((len(key.name) for key in keys), default=0)
    for key in keys:
        print(f"{key.name:{width}}  {_describe(key)}; created {iso(key.created_at)}")
    if not keys:
        message = "No keys were added. The default key is valid (`python -m api key` prints it)."
        print(message, file=sys.stderr)


def _describe(key: ApiKey) -> str:
    parts = [" and ".join(key.scopes)]
    if key.masked:
        parts.append("personal data hidden")
    if key.expires_at:
        parts.append(f"{'expired' if key.expires_at <= now() else 'expires'} {iso(key.expires_at)}")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
