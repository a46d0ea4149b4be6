"""Keeps a copy of the orders in an SQLite file, in step with the API by what changed. Standard library alone.

    export ORDERS_API_KEY=...
    python examples/client.py orders.sqlite --api http://127.0.0.1:5000 --every 60
    sqlite3 orders.sqlite "SELECT row ->> 'name', row ->> 'total_price' FROM rows LIMIT 5"

Every answer is applied in one transaction together with the place to go on from, so the client may be stopped at any
moment. While rows are loaded anew, the former ones stay.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sqlite3
import sys
import time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PAGE = 5_000
_TABLES = """
CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS loading (key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

Body = dict[str, Any]


class Refused(Exception):
    """The API answered with an error. `status` is HTTP's; the message says what to do next."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Copy:
    """Parameters: `path` of the SQLite file; `api` is the address, `key` the API key; `page` is rows an answer."""

    def __init__(self, path: str, api: str, key: str, page: int = PAGE) -> None:
        self.database = sqlite3.connect(path)
        self.database.executescript(_TABLES)
        self._api = api
        self._headers = {"X-API-Key": key, "Accept-Encoding": "gzip"}
        self._page = page

    def catch_up(self) -> None:
        """Brings the copy to where the API is."""
        while self.step():
            pass

    def step(self) -> bool:
        """Asks once and applies the answer; returns whether there is more to ask for. Raises Refused, URLError."""
        state: dict[str, str] = dict(self.database.execute("SELECT name, value FROM state"))
        try:
            return self._follow(state) if "since" in state else self._load(state)
        except Refused as error:
            if error.status not in (400, 410) or not state:
                raise
            with self.database:  # what was known is not known there any more: load all rows anew
                self.database.execute("DELETE FROM state")
            return True

    def _follow(self, state: dict[str, str]) -> bool:
        body = self._get("/changes", since=state["since"], limit=self._page)
        with self.database:
            gone = [(_key(state["key"], key),) for key in body["deleted"]]
            self.database.executemany("DELETE FROM rows WHERE key = ?", gone)
            self._put("rows", state["key"], body["inserted"] + body["updated"])
            self._remember(since=body["next"])
        return bool(body["more"])

    def _load(self, state: dict[str, str]) -> bool:
        """A page of all rows: the first, or the one after the last."""
        body = self._get("/fetch-data", limit=self._page, **({"after": state["after"]} if state else {}))
        if not state:
            columns = self._get("/fetch-data", metadata_only="true")
            if columns["generation"] != body["generation"]:
                return True  # published between the two
            parts = sorted((column["key"], column["name"]) for column in columns["columns"] if column["key"])
            if not parts:
                raise Refused(409, "The table has no key to tell its rows apart by.")
            key = json.dumps([name for _, name in parts])
        else:
            key = state["key"]
        with self.database:
            if not state:
                self.database.execute("DELETE FROM loading")
            self._put("loading", key, body["data"])
            self._remember(key=key, after=body["next"] or "")
            if not body["next"]:
                self.database.execute("DELETE FROM rows")
                self.database.execute("INSERT INTO rows SELECT * FROM loading")
                self.database.execute("DELETE FROM loading")
                self._remember(since=str(body["generation"]))
        return True

    def _put(self, table: str, names: str, rows: list[Body]) -> None:
        values = [(_key(names, row), json.dumps(row, ensure_ascii=False)) for row in rows]
        self.database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", values)

    def _remember(self, **values: str) -> None:
        self.database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())

    def _get(self, path: str, **query: object) -> Body:
        request = Request(f"{self._api}{path}?{urlencode(query)}", headers=self._headers)  # noqa: S310
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                data = answer.read()
                body: Body = json.loads(gzip.decompress(data) if answer.headers["Content-Encoding"] else data)
                return body
        except HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)["message"]) from error


def _key(names: str, row: Body) -> str:
    return json.dumps([row[name] for name in json.loads(names)], ensure_ascii=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Keeps a copy of the orders in an SQLite file.")
    parser.add_argument("file")
    parser.add_argument("--api", default="http://127.0.0.1:5000")
    parser.add_argument("--every", type=float, default=60, help="seconds; 0: once")
    options = parser.parse_args()
    copy = Copy(options.file, options.api.rstrip("/"), os.environ["ORDERS_API_KEY"])
    while True:
        try:
            copy.catch_up()
            print(copy.database.execute("SELECT COUNT(*) FROM rows").fetchone()[0], "rows", flush=True)
        except (Refused, URLError) as error:  # too many requests, nothing cached yet, a restart: it goes on from here
            print(error, file=sys.stderr)
        if not options.every:
            return
        time.sleep(options.every)


if __name__ == "__main__":
    main()
