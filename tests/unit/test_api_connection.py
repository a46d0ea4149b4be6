"""However requests are joined and cut on their way, each gets the answer that it gets alone."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import cast

import pytest
from cache_factory import publish
from fronts import address_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from sidecar_process import KEY, SCRIPTS, Sidecar, sidecar

CLIENTS = 200
HEAD = f"Host: x\r\nX-API-Key: {KEY}\r\n".encode()
PAGE = b"GET /fetch-data?limit=3 HTTP/1.1\r\n"
REQUESTS = (
    PAGE + HEAD + b"\r\n",
    PAGE + HEAD + b"If-None-Match: *\r\n\r\n",
    PAGE + HEAD + b"Accept: text/csv\r\n\r\n",
    PAGE + HEAD + b"Content-Length: 5\r\n\r\nhello",
    PAGE + b"Host: x\r\n\r\n",
    PAGE + b"Host: x\r\nX-API-Key: another\r\n\r\n",
    b"GET /fetch-data?limit=2&sort=-id#later HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"HEAD /fetch-data?limit=3 HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /fetch-data?limit=none HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"POST /fetch-data HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n",
    b"GET /v1/no-such HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"\r\n" + PAGE + HEAD + b"\r\n",
)


@pytest.fixture(scope="module", params=SCRIPTS)
def api(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("connection"), request.param, FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache, 20)
        running.client.get("/fetch-data")
        yield running


def connected(api: Sidecar) -> socket.socket:
    connection = socket.create_connection(address_pair(api.url), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answers(connection: socket.socket, asked: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Status and body of each answer, as its length is told, without the id of the request."""
    found = []
    with connection.makefile("rb") as stream:
        for request in asked:
            status = stream.readline()
            lines = b"".join(iter(stream.readline, b"\r\n"))
            length = re.search(rb"content-length: (\d+)", lines, re.IGNORECASE)
            empty = status.split()[1] == b"304" or request.startswith(b"HEAD")
            found.append((status, b"" if empty or not length else stream.read(int(length[1]))))
            if not length and b"chunked" in lines and not empty:
                chunks = iter(lambda: int(stream.readline(), 16), 0)
                body = b"".join([stream.read(size + 2)[:-2] for size in chunks])
                stream.readline()
                found[-1] = (status, body)
    return [(status, re.sub(rb', "request_id": "[0-9a-f]+"', b"", body)) for status, body in found]


def alone(api: Sidecar, request: bytes) -> tuple[bytes, bytes]:
    with connected(api) as connection:
        connection.sendall(request)
        return answers(connection, [request])[0]


@pytest.fixture(scope="module")
def right(api: Sidecar) -> dict[bytes, tuple[bytes, bytes]]:
    """What each request gets alone."""
    found = {request: alone(api, request) for request in REQUESTS}
    statuses = [int(status.split()[1]) for status, _ in found.values()]
    assert statuses == [200, 304, 200, 200, 401, 401, 200, 200, 400, 405, 404, 200]
    return found


@pytest.mark.slow
@given(
    asked=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    together=st.booleans(),
)
@settings(max_examples=75)
def test_answers_do_not_depend_on_how_requests_are_joined_and_cut(
    api: Sidecar, right: dict[bytes, tuple[bytes, bytes]], asked: list[bytes], cuts: list[float], together: bool
) -> None:
    """Parameters: `cuts`, as shares of what is sent; `together`, without waiting for an answer."""
    batches = [asked] if together else [[request] for request in asked]
    with connected(api) as connection:
        for batch in batches:
            sent = b"".join(batch)
            places = [0, *sorted({int(cut * len(sent)) for cut in cuts} - {0, len(sent)}), len(sent)]
            for start, stop in pairwise(places):
                connection.sendall(sent[start:stop])
                time.sleep(0.002)  # so that it arrives as a piece of its own
            assert answers(connection, batch) == [right[request] for request in batch]


def test_a_client_waits_for_few_answers_to_others_that_connect_with_it(api: Sidecar) -> None:
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(CLIENTS):
            client = stack.enter_context(connected(api))
            client.sendall(REQUESTS[0])
            selector.register(client, selectors.EVENT_READ)
        answered = Counter[socket.socket]()
        while len(answered) < CLIENTS:
            for key, _ in selector.select(10):
                client = cast(socket.socket, key.fileobj)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
                client.sendall(REQUESTS[0])
                answered[client] += 1
    assert max(answered.values()) <= CLIENTS / 4


@pytest.mark.slow
def test_the_rest_of_a_request_is_not_taken_for_one(api: Sidecar) -> None:
    """What a client sends as the body, or in the middle of a head, is answered by nobody."""
    hidden = b"GET /fetch-data?limit=1 HTTP/1.1\r\n" + HEAD + b"\r\n"
    body = b"POST /fetch-data HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(hidden)
    for request in (body, PAGE + HEAD + b"\r\n" + PAGE + b"X-Part: "):
        with connected(api) as connection:
            connection.sendall(request)
            time.sleep(0.05)
            connection.sendall(hidden)
            connection.settimeout(0.3)
            read = b""
            try:
                while part := connection.recv(65536):
                    read += part
            except TimeoutError:
                pass
        assert b'"count": 1,' not in read
        assert read.startswith(b"HTTP/1.1 ")


def test_a_connection_ends_after_a_response_if_the_client_asks_for_it(api: Sidecar) -> None:
    with connected(api) as connection:
        connection.settimeout(2)
        connection.sendall(PAGE + HEAD + b"Connection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in received.lower()


@pytest.mark.slow
@pytest.mark.parametrize("query", ["limit=3", "limit=3&format=csv", "note__contains=a", "fields=id", "stream=true"])
def test_a_client_that_ends_its_sending_side_gets_its_responses(api: Sidecar, query: str) -> None:
    request = f"GET /fetch-data?{query} HTTP/1.1\r\n".encode() + HEAD + b"\r\n"
    whole = alone(api, request)
    with connected(api) as connection:
        connection.sendall(request + request)
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection, [request, request]) == [whole, whole]
        assert connection.recv(1) == b""


@pytest.mark.parametrize("request_line", [b"GET /events HTTP/1.1\r\n", b"GET /fetch-data?wait=true HTTP/1.1\r\n"])
def test_half_a_request_gets_no_response(api: Sidecar, request_line: bytes) -> None:
    with connected(api) as connection:
        connection.sendall(request_line + HEAD)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_an_event_stream_ends_when_its_client_leaves(api: Sidecar) -> None:
    with connected(api) as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        while connection.recv(1 << 16):
            pass


def test_white_space_around_a_key_does_not_count(api: Sidecar) -> None:
    key = KEY.encode()
    assert alone(api, PAGE + b"Host: x\r\nX-API-Key: " + key + b" \t\r\n\r\n")[0].split()[1] == b"200"


def test_a_key_in_a_trailer_is_no_key(api: Sidecar) -> None:
    head = b"Host: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-Key\r\n\r\n"
    trailer = b"0\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n"
    assert alone(api, PAGE + head + trailer)[0].split()[1] == b"401"
