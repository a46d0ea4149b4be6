"""Requests that no client should send: none is answered with 500, leaves a trace in the log, or harms the next one."""

from __future__ import annotations

import os
import random
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cache_factory import publish
from sidecar_process import KEY, Sidecar, sidecar

from api.contract.operations import OPERATIONS
from api.contract.queries.fetch_query import PARAMETERS

PATHS = (
    *sorted({operation.path.partition("{")[0] for operation in OPERATIONS}),
    *("/v1/fetch-data", "/v1/figures", "/v1/changes", "/v1", "/v1/", "/api/data", "/api/task/x", "/no", ""),
    *("/signin", "/signout", "/orders", "/_stcore/stream", "/_stcore/health", "/media/x", "/static/x", "/export"),
)
NAMES = (
    *(p.name for p in PARAMETERS),
    "id",
    "name",
    "created_at",
    "total_price",
    "note",
    "test",
    "line_items",
    "since",
    "id__gt",
    "total_price__lte",
    "created_at__in",
    "note__contains",
    "email__startswith",
    "test__isnull",
    "_",
    "name__nope",
    "__eq",
    "expires",
    "signature",
    *(
        "metric",
        "by",
        "step",
        "period",
        "compare",
        "currency",
        "from",
        "to",
        "path",
        "start_row",
        "end_row",
        "fields[0]",
    ),
)
VALUES = (
    "",
    "true",
    "false",
    "1",
    "-1",
    "0",
    "9" * 30,
    "1e400",
    "NaN",
    "inf",
    "-0",
    "0x1",
    "%",
    "%f",
    "%ff",
    "%00",
    "%c3%28",
    "%ED%A0%80",
    "+",
    "a,b",
    '"',
    '"a',
    '"a"b',
    "''",
    "--",
    "id,",
    "-id",
    "-,-",
    "csv",
    "parquet",
    "2025-13-45",
    "2025-12-29T10:25:00Z",
    "0001-01-01T00:00:00%2B23:59",
    "9999-12-31T23:59:59-23:59",
    "10000-01-01",
    "A" * 32,
    "A" * 3000,
    "id'; DROP TABLE orders; --",
    "../../etc/passwd",
    "{}",
    "[]",
    "null",
    "é",
    "\u202e",
    "%F0%9F%8E%82",
    *(
        "net_sales",
        "country,day",
        "month",
        "custom",
        "before",
        "all",
        "2026-02-30",
        "2026-07-01",
        "%2Ffetch-data%3Flimit%3D1",
    ),
)
HEADERS = (
    "If-None-Match: ",
    "If-None-Match: *",
    'If-None-Match: "a", W/"b", c',
    "Accept: text/csv;q=a",
    "Accept: ;;;,,,",
    "Accept: */*;q=1;q=2",
    "Accept-Encoding: gzip;q=",
    "Accept-Encoding: ,;,",
    "Range: bytes=5-1",
    "Range: bytes=-",
    "Range: potatoes=1-2",
    "Last-Event-ID: x",
    "Last-Event-ID: 99999999999999999999-1",
    "Origin: \x01null",
    "Expect: 100",
    "Content-Length: 5",
    "Content-Length: -5",
    "Content-Length: 5, 6",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: nonsense",
    "Upgrade: websocket",
    "Connection: Upgrade, close",
    "X-Forwarded-For: \xff",
    "X: " + "y" * 900,
    "Authorization: Bearer",
    "Authorization: Basic eA==",
    " folded",
    "no colon",
    ": no name",
    "Host: a\r\nHost: b",
    "Host: ",
    "Host: [",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Content-Encoding: gzip",
    "Content-Type: multipart/form-data",
    "Content-Type: application/json; charset=nonsense",
    "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 99\r\nUpgrade: websocket\r\nConnection: Upgrade",
    "Cookie: " + "a=b; " * 300,
    "Cookie: =;;=\x80",
    "If-Modified-Since: yesterday",
    "traceparent: 00-zz-zz-01",
    "X-Request-ID: a b\tc",
    "Authorization: Basic " + "=" * 40,
    "Authorization: Basic \xff",
    "X-Forwarded-Proto: javascript",
    "\r\n".join(f"X-{i}: y" for i in range(300)),
)
METHODS = ("GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW", "get", "CONNECT", "TRACE")
BODIES = (
    *(b"", b"", b"{", b"\xff\xfe", b'{"path": 5}', b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"GET / HTTP/1.1\r\n\r\n"),
    *(
        b'{"path": "/fetch-data?limit=1"}',
        b'{"path": "/no", "seconds": 1e400}',
        b"[" * 5000,
        b'{"path": "' + b"a" * 70_000,
    ),
    *(b"ffffffffffffffffff\r\nx\r\n", b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", b"-1\r\n", b"0\r\n\r\n0\r\n\r\n"),
    *(b"password=%ff&password=%00", b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n'),
)


def request(dice: random.Random) -> bytes:
    """One request that is wrong in some way, as often as not in several."""
    pairs = [f"{dice.choice(NAMES)}={dice.choice(VALUES)}" for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    query = dice.choice(("&", "&", ";", "&&")).join(pairs)
    target = dice.choice(PATHS[:1] * 8 + PATHS) + ("?" + query if query else dice.choice(("", "?", "#", "?#&=")))
    if dice.random() < 0.05:
        target = dice.choice(
            ("*", "//", "http://x/fetch-data", "/%2e%2e/%ff", "/fetch-data%00", "/fetch-data?" + "a" * 40000)
        )
    version = dice.choice(("HTTP/1.1",) * 9 + ("HTTP/1.0", "HTTP/2.0", "HTTP/9", "http/1.1", ""))
    head = [f"{dice.choice(METHODS)} {target} {version}", "Host: x"]
    head += [f"X-API-Key: {KEY}"] if dice.random() < 0.9 else []
    head += [dice.choice(HEADERS) for _ in range(dice.choice((0, 0, 1, 2)))]
    end = dice.choice(("\r\n",) * 9 + ("\n",))
    head += ["Connection: close"] if dice.random() < 0.5 else []
    raw = (end.join(head) + end + end).encode() + dice.choice(BODIES)
    if dice.random() < 0.15:  # some bytes of it are other ones
        mangled = bytearray(raw)
        for _ in range(dice.randrange(1, 4)):
            mangled[dice.randrange(len(mangled))] = dice.randrange(256)
        raw = bytes(mangled)
    if dice.random() < 0.03:
        raw = dice.randbytes(dice.randrange(1, 200)) + b"\r\n\r\n"
    return raw


def send(api: Sidecar, raw: bytes) -> bytes:
    """What comes back, as far as it came. A half-closed connection tells the server that nothing more follows."""
    host, port = api.url.removeprefix("http://").split(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while len(got) < 1 << 20 and (part := connection.recv(65536)):
                got += part
        except (ConnectionError, TimeoutError):
            pass
    return got


def bombard(api: Sidecar, make: Callable[[random.Random], bytes], times: int, seed: int) -> Counter[str]:
    dice = random.Random(seed)
    answered: Counter[str] = Counter()
    for _ in range(times):
        raw = make(dice)
        got = send(api, raw)
        status = got.split(b" ", 2)[1].decode() if got.startswith(b"HTTP/1.1 ") else "none"
        assert status != "500", (seed, raw)
        assert b"Traceback" not in got, (seed, raw)
        answered[status] += 1
    return answered


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("script", "times"),
    [
        ("api_sidecar", 1_000),
        pytest.param("api_sidecar", 10_000, marks=pytest.mark.soak),
        pytest.param("one_port", 10_000, marks=pytest.mark.soak),
    ],
)
def test_malformed_requests_bring_no_500_and_no_trace(tmp_path: Path, script: str, times: int) -> None:
    """`MALFORMED_SEED=…` sends the requests of a failure again."""
    seed = int(os.environ.get("MALFORMED_SEED") or (random.randrange(1 << 30) if times == 10_000 else 20251229))
    with sidecar(tmp_path, script, RATE_LIMIT="off", FAILED_KEYS_LIMIT="off") as api:
        publish(api.cache, 20)
        answered = bombard(api, request, times, seed)
        print(f"\n{script} seed={seed} {dict(answered.most_common())}")
        assert answered["400"] > times / 20
        assert answered["200"] > times / 200  # some are right after all
        assert api.client.get("/fetch-data").json()["count"] == 20
        assert "Traceback" not in api.log()
        assert "Exception" not in api.log()
