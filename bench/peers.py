"""The peers of `bench.serve`, each over the same rows: nginx with files, ROAPI, Datasette, and a small Flask app."""

from __future__ import annotations

import gzip
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.servers import Server, running
from cache.storage.snapshot import PARQUET, Snapshot
from lab.servers import free_port

TABLE = "orders"
INDEXED = ("created_at", "financial_status", "total_price")  # so that SQLite need not sort or scan

_NGINX = """
{user}worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    gzip_static on;
    keepalive_requests 10000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}; default_type application/json; }}
    }}
}}
"""

_FLASK = """
import json, sys
from flask import Flask
app = Flask(__name__)

@app.get("/ready")
def ready():
    return ""

@app.get("/fetch-data")
def rows():
    with open(sys.argv[1], encoding="utf-8") as file:
        return app.response_class(json.dumps(json.load(file)), mimetype="application/json")

app.run("127.0.0.1", int(sys.argv[2]), threaded=True)
"""


@contextmanager
def nginx(files: dict[str, bytes], folder: Path) -> Iterator[Server]:
    """nginx with one worker, as the API is one process. A file that ends in .gz is what clients of gzip get."""
    root = folder / "nginx"
    root.mkdir(exist_ok=True)
    for name, data in files.items():
        (root / name).write_bytes(data)
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    (root / "nginx.conf").write_text(_NGINX.format(user=user, folder=root, port=port))
    command = ["nginx", "-p", str(root), "-c", str(root / "nginx.conf")]
    with running(command, f"http://127.0.0.1:{port}", f"/{next(iter(files))}", {}, folder / "nginx.log") as server:
        yield server


@contextmanager
def roapi(snapshot: Snapshot, folder: Path) -> Iterator[Server]:
    """ROAPI, which holds the table in memory."""
    file = folder / f"{TABLE}.parquet"
    with pq.ParquetWriter(file, pq.read_schema(snapshot.paths(PARQUET)[0])) as writer:
        for path in snapshot.paths(PARQUET):
            writer.write_table(pq.read_table(path))
    http, postgres, flight = free_port(), free_port(), free_port()
    command = [
        str(Path(sys.executable).with_name("roapi")),
        "--addr-http",
        f"127.0.0.1:{http}",
        "--addr-postgres",
        f"127.0.0.1:{postgres}",
        "--addr-flight-sql",
        f"127.0.0.1:{flight}",
        "--table",
        f"{TABLE}={file}",
    ]
    ready = f"/api/tables/{TABLE}?limit=1"
    with running(command, f"http://127.0.0.1:{http}", ready, {}, folder / "roapi.log") as server:
        yield server


@contextmanager
def datasette(snapshot: Snapshot, folder: Path) -> Iterator[Server]:
    """Datasette over an SQLite file that is declared immutable and has the indexes that the queries want."""
    file = folder / f"{TABLE}.db"
    with closing(sqlite3.connect(file)) as db:
        names = [f'"{column.name}"' for column in snapshot.columns]
        key = ", ".join(f'"{name}"' for name in snapshot.manifest.key)
        db.execute(f"CREATE TABLE {TABLE} ({', '.join(names)}, PRIMARY KEY ({key}))")
        insert = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(names))})"
        for path in snapshot.paths(PARQUET):
            db.executemany(insert, _plain(pq.read_table(path)))
        for name in INDEXED:
            db.execute(f"CREATE INDEX by_{name} ON {TABLE} ({name})")
        db.commit()
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("datasette")),
        "serve",
        "--immutable",
        str(file),
        "--port",
        str(port),
        "--setting",
        "sql_time_limit_ms",
        "60000",
    ]
    with running(command, f"http://127.0.0.1:{port}", "/-/versions.json", {}, folder / "datasette.log") as server:
        yield server


def _plain(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows of values that SQLite knows."""
    columns = [
        column.cast(pa.string())
        if pa.types.is_timestamp(column.type)
        else column.cast(pa.int64())
        if pa.types.is_unsigned_integer(column.type)
        else column
        for column in table.columns
    ]
    for row in zip(*(column.to_pylist() for column in columns), strict=True):
        yield tuple(float(value) if isinstance(value, Decimal) else value for value in row)


@contextmanager
def flask(body: Path, folder: Path) -> Iterator[Server]:
    """What such a service is without a cache: it loads and dumps a JSON file for each request."""
    port = free_port()
    command = [sys.executable, "-c", _FLASK, str(body), str(port)]
    with running(command, f"http://127.0.0.1:{port}", "/ready", {}, folder / "flask.log") as server:
        yield server


def compressed(body: bytes) -> bytes:
    """As a site would prepare it once for nginx."""
    return gzip.compress(body, 6)
