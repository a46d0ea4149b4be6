"""Gzip bodies are put together from what was compressed at publish; every client reads the plain body out of them."""

from __future__ import annotations

import gzip
import subprocess
import urllib.request
import zlib
from collections.abc import Iterator

import pytest
from cache_factory import order, publish
from hypothesis import given
from hypothesis import strategies as st
from web_server import Handler, serving

from cache.storage.gzip_concat import Compressed, Piece, joined, member
from cache.storage.snapshot import GZIP
from cache.storage.store import Cache

HEAD, TAIL = b'{"status": "success", "data": [', b"]}"

row = st.binary(min_size=1, max_size=30).map(lambda text: text + b",")
segment = st.lists(st.lists(row, max_size=4).map(b"".join), max_size=4).filter(any)


@given(st.lists(segment, max_size=5), st.binary(max_size=50), st.binary(max_size=50))
def test_a_body_of_pieces_is_one_member_of_the_plain_bytes(
    segments: list[list[bytes]], head: bytes, tail: bytes
) -> None:
    body = b"".join(member(head, joined(map(compressed, segments)), tail))
    unpacked = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    plain = b",".join(b"".join(batches)[:-1] for batches in segments)
    assert unpacked.decompress(body) == head + plain + tail
    assert unpacked.eof
    assert unpacked.unused_data == b""


def compressed(batches: list[bytes]) -> Compressed:
    piece = Piece()
    data = b"".join([*map(piece.add, batches), piece.end()])
    return Compressed((data,), piece.crc32, piece.size)


@pytest.mark.parametrize(("rows", "segments"), [(0, 1), (1, 1), (40, 1), (40, 4), (5, 5)])
def test_the_compressed_body_is_that_of_the_rows(cache: Cache, rows: int, segments: int) -> None:
    publish(cache, rows, segments=segments)
    snapshot = cache.snapshots.open()
    assert gzip.decompress(b"".join(snapshot.gzip_slices(HEAD, TAIL))) == plain(cache)


def test_an_incremental_publish_compresses_only_what_changed(cache: Cache) -> None:
    rows = [order(i) for i in range(40)]
    publish(cache, rows, segments=4)
    before = {path: path.stat().st_mtime_ns for path in cache.snapshots.open().paths(GZIP)}
    publish(cache, [*rows[:-1], {**rows[-1], "note": "changed"}], segments=4)
    after = {path: path.stat().st_mtime_ns for path in cache.snapshots.open().paths(GZIP)}
    assert list(before.items())[:3] == list(after.items())[:3]
    assert list(before)[3] != list(after)[3]


@pytest.fixture
def served(cache: Cache) -> Iterator[str]:
    """The address of a server that sends the compressed body."""
    publish(cache, 40, segments=4)
    body = b"".join(cache.snapshots.open().gzip_slices(HEAD, TAIL))

    class Sending(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Sending) as url:
        yield f"{url}/"


NODE = "fetch(process.argv[1]).then(a => a.text()).then(text => process.stdout.write(text))"


@pytest.mark.parametrize("command", [("curl", "-sS", "--compressed"), ("node", "-e", NODE)], ids=["curl", "node"])
def test_http_clients_read_the_whole_body(cache: Cache, served: str, command: tuple[str, ...]) -> None:
    read = subprocess.run([*command, served], check=True, capture_output=True, timeout=60)
    assert read.stdout == plain(cache)


def test_the_gzip_command_reads_the_whole_body(cache: Cache, served: str) -> None:
    with urllib.request.urlopen(served) as answer:
        read = subprocess.run(["gzip", "-dc"], check=True, input=answer.read(), capture_output=True, timeout=60)
    assert read.stdout == plain(cache)


def plain(cache: Cache) -> bytes:
    return HEAD + b"".join(cache.snapshots.open().json_slices()) + TAIL
