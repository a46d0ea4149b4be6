"""A gateway between the scraper and phpMyAdmin that spoils chosen answers, as servers in trouble do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
from web_server import Handler, serving

Meddle = Callable[[str, bytes], bytes]


class Gateway:
    """`statements` are those that came through, in order; `meddle` makes of a statement and its answer what is sent;
    `stall` says how many seconds to read nothing after the answer has begun.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.meddle: Meddle = lambda _, body: body
        self.stall: Callable[[str], float] = lambda _: 0
        self.url = ""


@contextmanager
def gateway(export_url: str) -> Iterator[Gateway]:
    """A gateway to phpMyAdmin's export address; `url` is the address to use in its place."""
    ours = Gateway()
    client = httpx.Client(trust_env=False, timeout=60)

    class Forwarding(Handler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"]))
            sql = parse_qs(form.decode())["sql_query"][0]
            kept = {name: self.headers[name] for name in ("Content-Type", "Cookie", "User-Agent")}
            with client.stream("POST", export_url, content=form, headers=kept) as answer:
                pieces = answer.iter_bytes()
                begun = next(pieces, b"")
                time.sleep(ours.stall(sql))
                body = ours.meddle(sql, begun + b"".join(pieces))
            ours.statements.append(sql)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(body)

    with client, serving(Forwarding) as url:
        ours.url = urlsplit(export_url)._replace(netloc=urlsplit(url).netloc).geturl()
        yield ours


def cut(body: bytes, keep: float) -> bytes:
    """A part of the rows of an answer without line breaks in its values, its header line always."""
    header, *rows = body.splitlines(keepends=True)
    return header + b"".join(rows[: min(int(len(rows) * keep), len(rows) - 1)] if rows else [])
