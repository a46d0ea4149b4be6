"""Packed answers are unpacked, and a cut is noticed."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.client.gunzip import GunzipSink
from scraper.errors import AnswerCut


def unpacked(data: bytes, size: int) -> bytes:
    found = bytearray()
    sink = GunzipSink(found.extend)
    for at in range(0, len(data), size):
        sink(data[at : at + size])
    sink.end()
    return bytes(found)


@given(
    parts=st.lists(st.binary(max_size=300), max_size=4), size=st.integers(1, 50), behind=st.sampled_from([b"", b"<br>"])
)
def test_members_are_unpacked_in_order_and_other_bytes_are_left_alone(
    parts: list[bytes], size: int, behind: bytes
) -> None:
    data = b"".join(map(gzip.compress, parts))
    assert unpacked(data + behind, size) == b"".join(parts) + behind


@given(part=st.binary(max_size=300), size=st.integers(1, 50))
def test_wherever_a_packed_answer_ends_early_it_is_noticed(part: bytes, size: int) -> None:
    data = gzip.compress(b"first") + gzip.compress(part)
    first = len(gzip.compress(b"first"))
    for end in range(first + 2, len(data)):
        with pytest.raises(AnswerCut):
            unpacked(data[:end], size)
