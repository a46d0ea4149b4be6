"""The commands `python -m api feeds add NAME`, `list` and `revoke NAME`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import timedelta

from api.contract.json_response import iso
from api.contract.queries.feed_query import PATH, read_feed_query
from cache.access.api_keys import digest, new_key
from cache.access.feeds import Feed
from cache.access.masking import NOTHING_HIDDEN, Mask, MaskRules
from cache.errors import NoSnapshot
from cache.settings import Settings
from cache.storage.documents import API_KEYS, FEED_USES, SETUP
from cache.storage.records import now
from cache.storage.store import Cache

MAX_DAYS = 3650


def add_parser(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands to a command line."""
    commands = subjects.add_parser("feeds", help="feeds").add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a feed")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--path", required=True, metavar="'/fetch-data?format=csv&…'", help="what the feed stands for")
    add.add_argument("--days", type=_days, metavar="N", help="when the feed ends (default: never)")
    add.add_argument("--unmasked", action="store_true", help="show personal data to whoever has the address")
    commands.add_parser("list", help="show the feeds").add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("revoke", help="end a feed").add_argument("name", metavar="NAME")


def run(options: argparse.Namespace, cache: Cache, settings: Settings) -> None:
    """Runs a command.

    Args:
        options: The arguments.
        cache: The cache.
        settings: The settings.

    Raises:
        OrdersError: The feed cannot be made, or there is none of that name.
    """
    match options.command:
        case "add":
            _add(options, cache, settings)
        case "revoke":
            cache.documents.change(API_KEYS, lambda keys: keys.revoke_feed(options.name))
            print(f"The feed '{options.name}' is revoked.")
        case _:
            _list(cache, options.json)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of days from 1 to {MAX_DAYS}")
    return int(text)


def _add(options: argparse.Namespace, cache: Cache, settings: Settings) -> None:
    path, query = read_feed_query(options.path)
    token = new_key()
    feed = Feed(
        name=options.name,
        digest=digest(token),
        path=path,
        query=query,
        masked=not options.unmasked,
        mask=NOTHING_HIDDEN if options.unmasked else _mask_of_today(cache, settings),
        created_at=now(),
        expires_at=now() + timedelta(days=options.days) if options.days else None,
    )
    cache.documents.read(API_KEYS).add_feed(feed)  # raises where the name is taken
    asyncio.run(_check(feed, cache, settings))
    cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed))
    print(f"The feed '{feed.name}' ({_describe(feed)}) stands for {path}?{query}", file=sys.stderr)
    if feed.masked:
        print(f"Hidden from its readers: {', '.join(feed.mask.columns) or 'nothing'}.", file=sys.stderr)
    print(
        "Whoever has this address may read it. Put the address of the API before it; shown only once:", file=sys.stderr
    )
    print(settings.public_path + PATH.replace("{token}", token))


def _mask_of_today(cache: Cache, settings: Settings) -> Mask:
    head = cache.snapshots.head()
    if head is None:
        raise NoSnapshot()  # it is not known yet what there is to hide
    columns = cache.snapshots.inspect(head.generation).columns
    return MaskRules.of(settings).mask(columns, cache.documents.read(SETUP))


async def _check(feed: Feed, cache: Cache, settings: Settings) -> None:
    """Reads a feed once, as its readers will.

    Raises:
        OrdersError: They would get this error.
    """
    from api.app import create_app  # late: it takes a second, which the other commands need not wait
    from api.routes.cache_watcher import CacheWatcher

    app = create_app(cache, settings, new_key(), CacheWatcher(cache))
    async with app.lifespan(app):
        await app.feeds.check(feed)


def _list(cache: Cache, as_json: bool) -> None:
    feeds = cache.documents.read(API_KEYS).feeds
    last = cache.documents.read(FEED_USES).last
    if as_json:
        listed = [
            feed.model_dump(mode="json", exclude={"digest"})
            | {"last_used_at": iso(last[feed.digest]) if feed.digest in last else None}
            for feed in feeds
        ]
        print(json.dumps(listed, indent=2))
        return
    width = max((len(feed.name) for feed in feeds), default=0)
    for feed in feeds:
        used = f"last used {iso(last[feed.digest])}" if feed.digest in last else "never used"
        print(f"{feed.name:{width}}  {_describe(feed)}; created {iso(feed.created_at)}; {used}")
        print(f"{'':{width}}  {feed.path}?{feed.query}")
    if not feeds:
        print("There are no feeds. `python -m api feeds add NAME --path …` makes one.", file=sys.stderr)


def _describe(feed: Feed) -> str:
    shown = "personal data hidden" if feed.masked else "personal data shown"
    if feed.expires_at is None:
        return shown
    return f"{shown}, {'expired' if feed.expires_at <= now() else 'expires'} {iso(feed.expires_at)}"
