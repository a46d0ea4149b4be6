"""What a feed may stand for: one path and query, as whoever makes the feed writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from api.contract.errors import ParameterInvalid
from api.contract.paths import own_path
from api.contract.queries import figures_query
from api.contract.queries.fetch_query import PATH as FETCH_PATH
from api.contract.queries.fetch_query import FetchQuery, parse_fetch_query
from api.contract.queries.figures_query import FiguresQuery, parse_events_query, parse_figures_query
from api.contract.queries.parameters import Parameter, split_query
from cache.access.signed_urls import EXPIRES, SIGNATURE

PATH = "/feeds/{token}"
TOKEN = Parameter(
    "token",
    str,
    "what `python -m api feeds add` gave",
    {"type": "string", "minLength": 1},
    "Which feed.",
    "oM3nYV8b1qgRz0W5Jc7pXkT2sLd9HfQe4uIaEwBvNxU",
    required=True,
)
MAX_LENGTH = 8_000  # of a path with its query
FEEDABLE = (FETCH_PATH, figures_query.PATH, figures_query.EVENTS_PATH)  # paths that a feed may stand for
_NOT_IN_FEEDS: Mapping[str, str] = {
    "refresh": "whoever opens the address would start a refresh",
    "wait": "whoever opens the address would start a refresh",
    "stream": "its readers expect a file that ends",
    "after": "a page belongs to one generation, and a feed always gives the newest",
}


class FeedQuery(NamedTuple):
    """What a feed stands for: a path of FEEDABLE, and a query string."""

    path: str
    query: str


def read_feed_query(address: str) -> FeedQuery:
    """Reads what a feed is to stand for.

    The format is written out, so that no header of a reader changes it. Formulas in CSV are defused, unless the query
    says `formulas=keep`: most readers are spreadsheets.

    Args:
        address: A path with its query, such as `/fetch-data?format=csv`.

    Raises:
        ParameterInvalid: A feed cannot have that path or a parameter, or the path would refuse the query.
    """
    path, _, query = address.partition("?")
    path = own_path(path)
    if path not in FEEDABLE:
        raise ParameterInvalid("A feed cannot stand for this path.", f"Paths that it can: {', '.join(FEEDABLE)}.")
    if len(address) > MAX_LENGTH or "#" in address or not (query.isascii() and query.isprintable()) or " " in query:
        raise ParameterInvalid(
            "This is no address as a program sends it.",
            f"Percent-encode what is no plain letter, leave out `#…`, and stay below {MAX_LENGTH} characters.",
        )
    names = {name for name, _ in split_query(query.encode())}
    if names & {EXPIRES, SIGNATURE}:
        raise ParameterInvalid("This address is signed.", f"Leave out '{EXPIRES}' and '{SIGNATURE}'.")
    parsed = _PARSERS[path](query.encode())
    for name, reason in _NOT_IN_FEEDS.items():
        if getattr(parsed, name, None):
            raise ParameterInvalid(f"Parameter '{name}' cannot stand in a feed: {reason}.", "Leave it out.")
    added = []
    if parsed.format is None:
        added.append("format=json")
    if parsed.format == "csv" and "formulas" not in names:
        added.append("formulas=defuse")
    return FeedQuery(path, "&".join([*filter(None, [query]), *added]))


_PARSERS: Mapping[str, Callable[[bytes], FetchQuery | FiguresQuery]] = {
    FETCH_PATH: parse_fetch_query,
    figures_query.PATH: parse_figures_query,
    figures_query.EVENTS_PATH: parse_events_query,
}
