"""A small phpMyAdmin for tests, with 150 orders. At one step of a sync it sends what no phpMyAdmin sends."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from web_server import Handler, serving

SECRET = "s3cret-please"
ORDERS = range(1, 151)
PAGE_STEPS = ("login page", "after the password", "export form")
STATEMENT_STEPS = ("columns", "rows", "checksums")
SIMILAR_STEPS = ("keys", "count")  # one statement more with the code of the others
FORM = """<form method="post" action="{action}" id="login_form"><input id="input_username" name="pma_username">
<input id="input_password" name="pma_password" type="password"><button type="submit">Log in</button></form>"""
LOGGED_IN = '<script>CommonParams.setAll({logged_in:"true",version:"5.2.1",token:"t0ken",server:"1"});</script>'
NAVIGATION = (
    "<script>window.CommonParams = {get: name => ({logged_in: true, token: 't0ken', server: '1'})[name]}</script>"
)
MEGABYTE = b"x" * (1 << 20)
BOMB = gzip.compress(bytes(64 << 20), 9)

BOMB_IN_BOMB = gzip.compress(BOMB)


class Answer(NamedTuple):
    """An answer: its status, headers, and the pieces of its body, of which there may be endlessly many."""

    status: int
    headers: dict[str, str]
    body: Iterable[bytes]


def page(html: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"Content-Type": "text/html", **headers}, [html.encode()])


def csv(rows: Iterable[Sequence[object]], columns: int) -> bytes:
    lines = [[f"c{i}" for i in range(columns)], *rows]
    return "".join(",".join(f'"{value}"' for value in line) + "\n" for line in lines).encode()


def checksum(order: int) -> int:
    """The checksum of an order's row, as the server computes it."""
    name = f"order {order}"
    text = f"{order}#{name}#{len(str(order))},{len(name)}"
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16], 16)


def answer_to(sql: str) -> tuple[str, bytes]:
    """The step of a sync that a statement belongs to, and the answer of an honest phpMyAdmin."""
    if "information_schema.statistics" in sql:
        return "keys", csv([("PRIMARY", "id", 1, "", "", 1)], 6).replace(b'"",""', b"NULL,NULL")
    if "information_schema.columns" in sql:
        common = ("10.11", "utf8mb4", 150, 100, "InnoDB", 2)
        return "columns", csv(
            [
                ("id", "bigint(20)", "bigint", "NO", 19, 0, 0, *common),
                ("name", "varchar(40)", "varchar", "NO", 0, 0, 0, *common),
            ],
            13,
        )
    low, high = (re.search(rf"t\.`id` {sign} (\d+)", sql) for sign in (">=", "<"))
    chosen = [n for n in ORDERS if (not low or n >= int(low[1])) and (not high or n < int(high[1]))]
    if groups := re.search(r"INTERVAL\(t\.`id`, ([\d, ]+)\)", sql):
        bounds = [int(bound) for bound in groups[1].split(",")]
        places = itertools.groupby(chosen, lambda n: bisect_right(bounds, n))
        rows = [(place, len(group), sum(map(checksum, group))) for place, ns in places if (group := list(ns))]
        total = f'NULL,"{len(chosen)}","{sum(map(checksum, chosen))}"\n'
        return "checksums", csv(rows, 3) + total.encode()
    if "COALESCE(SUM(" in sql:
        return "checksums", csv([(len(chosen), sum(map(checksum, chosen)))], 2)
    if "COUNT(*)" in sql:
        return "count", csv([(len(chosen), 0)], 2)
    limit = int(sql.rpartition("LIMIT ")[2])
    return "rows", csv([(n, f"order {n}") for n in chosen[:limit]], 2)


class Request(NamedTuple):
    """A request at the hostile step: the URL of another host, and the columns of the statement (0: none)."""

    elsewhere: str
    columns: int


def header(request: Request) -> bytes:
    return csv([], max(request.columns, 2))


def endless(start: bytes, piece: bytes) -> Answer:
    """An answer that does not end, in pieces of at least a megabyte."""
    many = piece * ((1 << 20) // len(piece))
    return Answer(200, {"Content-Type": "text/html"}, itertools.chain([start], itertools.repeat(many)))


def rows_of(request: Request, *cells: object, times: int = 1) -> Answer:
    """Rows in which these values take turns."""
    columns = max(request.columns, 2)
    row = [str(cell) for cell in itertools.islice(itertools.cycle(cells), columns)]
    return Answer(200, {}, [csv([row] * times, columns)])


Answers = dict[str, Callable[[Request], Answer]]
ANYWHERE: Answers = {
    "nothing": lambda _: page(""),
    "a closed connection": lambda _: Answer(0, {}, []),
    "a server error": lambda _: page("<title>Oops</title>", 500),
    "a page of nothing known": lambda _: page("<!doctype html><title>Hello</title>", 404),
    "a redirect loop": lambda _: page("", 302, Location="?again"),
    "a redirect that repeats the form": lambda r: page("", 307, Location=r.elsewhere),
    "a redirect with an endless body": lambda _: Answer(302, {"Location": "/"}, itertools.repeat(MEGABYTE)),
    "an endless page": lambda _: endless(b"<!doctype html><title>Hello</title>", MEGABYTE),
    "a bomb": lambda _: Answer(200, {"Content-Encoding": "gzip"}, [BOMB]),
    "a bomb in a bomb": lambda _: Answer(200, {"Content-Encoding": "gzip"}, [BOMB_IN_BOMB]),
    "gzip that is cut": lambda _: Answer(200, {"Content-Encoding": "gzip"}, [BOMB[:1_000]]),
    "an unknown encoding": lambda _: Answer(200, {"Content-Encoding": "br"}, [b"\x0b\x02\x80hello\x03"]),
    "fewer bytes than announced": lambda r: Answer(200, {"Content-Length": "100000"}, [header(r)]),
    "binary data": lambda _: Answer(200, {}, [bytes(range(256)) * 1_000]),
    "escape sequences": lambda _: page("<div class='alert alert-danger error'>no\x1b[31m\x07\x9b2J</div>"),
}
PAGES: Answers = {
    **ANYWHERE,
    "a redirect to another host": lambda r: page("", 302, Location=r.elsewhere),
    "a redirect to no address": lambda _: page("", 302, Location="http://[:"),
    "a refresh to another host": lambda r: page(f'<meta http-equiv="refresh" content="0;url={r.elsewhere}">'),
    "a form of another host": lambda r: page(FORM.format(action=r.elsewhere)),
    "a form without an address": lambda r: page(FORM.format(action="http://[:")),
    "tags inside each other": lambda _: page("<b>" * 15_000),
    "a million tags": lambda _: page("<b>" * 500_000),
    "a million attributes": lambda _: page(f"<a {' '.join(f'a{i}' for i in range(250_000))}>"),
    "tags without an end": lambda _: page("<a " * 20_000 + "<!--" * 20_000),
}
STATEMENTS: Answers = {
    **ANYWHERE,
    "the login form again": lambda _: page(FORM.format(action="")),
    "an endless header of columns": lambda _: endless(b'"c0', MEGABYTE),
    "endless rows": lambda r: endless(header(r), b",".join([b'"1"'] * max(r.columns, 2)) + b"\n"),
    "an endless cell": lambda r: endless(header(r) + b'"', MEGABYTE),
    "a cell of line breaks": lambda r: endless(header(r) + b'"', b"\n" * (1 << 20)),
    "a bomb in place of rows": lambda r: Answer(200, {}, [BOMB]),
    "zero bytes": lambda r: Answer(200, {}, [header(r), bytes(1 << 20)]),
    "an alert of brackets": lambda _: page('<div class="alert alert-danger">' + "<" * 200_000),
    "words for numbers": lambda r: rows_of(r, "abc"),
    "NULL for numbers": lambda r: Answer(200, {}, [header(r), b",".join([b"NULL"] * max(r.columns, 2)) + b"\n"]),
    "numbers of thousands of digits": lambda r: rows_of(r, "9" * 10_000),
    "more rows than were requested": lambda r: rows_of(r, 1, times=6_000),
    "rows that were not requested": lambda r: rows_of(r, -7, times=2),
}
CASES = [(step, kind) for step in PAGE_STEPS for kind in PAGES]
CASES += [(step, kind) for step in STATEMENT_STEPS for kind in STATEMENTS]
CASES += [(step, kind) for step in SIMILAR_STEPS for kind in STATEMENTS if kind not in ANYWHERE]
SLOW = "a byte now and then"


class HostilePhpMyAdmin:
    """What the server sends at present.

    Attributes:
        url: Its address.
        step: The step at which it is hostile.
        kind: What it sends there, by its name.
        stolen: All that another host was sent.
        passwords: Those that the login form was sent.
    """

    def __init__(self, elsewhere: str, stolen: list[str]) -> None:
        self.url = ""
        self.step = self.kind = ""
        self.stolen = stolen
        self.passwords: list[str] = []
        self._elsewhere = elsewhere

    def answer(self, method: str, path: str, body: str) -> Answer:
        """The answer to a request."""
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        sql = form.get("sql_query", "")
        if "pma_password" in form:
            self.passwords.append(form["pma_password"])
        if sql:
            step, text = answer_to(sql)
            text = re.sub(rb"\bNULL\b", form["csv_null"].encode(), text)
            honest = Answer(200, {"Content-Type": "text/x-csv"}, [text])
        elif "server/export" in path:
            step, honest = "export form", page(LOGGED_IN + NAVIGATION + '<form name="dump" action="/export"></form>')
        elif method == "POST":
            step, honest = "after the password", page(LOGGED_IN + NAVIGATION)
        else:
            step, honest = "login page", page(FORM.format(action="/index.php"))
        if step != self.step:
            return honest
        if self.kind == SLOW:
            return Answer(200, {"Content-Type": "text/html"}, _slowly())
        return {**PAGES, **STATEMENTS}[self.kind](Request(self._elsewhere, sql.count(" AS c")))


@contextmanager
def hostile_phpmyadmin() -> Iterator[HostilePhpMyAdmin]:
    """A server on 127.0.0.1, beside another host that records what it is sent."""
    stolen: list[str] = []

    class Other(Handler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            stolen.append(json.dumps([self.path, body, str(self.headers)]))
            _send(self, page(FORM.format(action="")))

        do_POST = do_GET

    with serving(Other, "127.0.0.2") as elsewhere:
        site = HostilePhpMyAdmin(elsewhere, stolen)

        class Hostile(Handler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                _send(self, site.answer(self.command, self.path, body))

            do_POST = do_GET

        with serving(Hostile) as url:
            site.url = f"{url}/"
            yield site


def _slowly() -> Iterator[bytes]:
    for _ in range(600):
        time.sleep(0.1)
        yield b" "


def _send(handler: Handler, answer: Answer) -> None:
    """Sends an answer until its end, or until the client has enough. The connection is closed then."""
    handler.close_connection = True
    if not answer.status:
        return
    with suppress(OSError):
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for piece in answer.body:
            handler.wfile.write(piece)


def settings_for(site: HostilePhpMyAdmin) -> dict[str, Any]:
    """The settings of a sync."""
    return {
        "phpmyadmin_url": site.url,
        "phpmyadmin_username": "reader",
        "phpmyadmin_password": SECRET,
        "phpmyadmin_database": "shop",
        "phpmyadmin_login": "http",
    }
