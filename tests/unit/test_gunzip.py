"""Compressed answers are decompressed as they arrive, a cut is noticed, and compression is requested where it pays."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.client import gunzip
from scraper.client.gunzip import CompressionChoice, GunzipSink
from scraper.errors import AnswerCut


def decompressed(data: bytes, cuts: Sequence[int] = ()) -> bytes:
    result = bytearray()
    sink = GunzipSink(result.extend)
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        sink(data[start:stop])
    sink.end()
    return bytes(result)


behind = st.sampled_from([b"", b"\n", b"<br>", b"<b>Fatal error</b>", b"\x1f", b"\x8b\x1f", b"\x00\x1f\x8b"])


@given(parts=st.lists(st.binary(max_size=300), max_size=4), behind=behind, data=st.data())
@settings(max_examples=200)
def test_members_are_decompressed_in_order_and_other_bytes_stay(
    parts: list[bytes], behind: bytes, data: st.DataObject
) -> None:
    packed = b"".join(map(gzip.compress, parts)) + behind
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packed)), max_size=10)))
    assert decompressed(packed, cuts) == b"".join(parts) + behind


def test_every_split_into_two_chunks_gives_the_same_bytes() -> None:
    packed = gzip.compress(b"first") + gzip.compress(b"") + gzip.compress(b"third") + b"<br>"
    for cut in range(len(packed) + 1):
        assert decompressed(packed, [cut]) == b"firstthird<br>"
    assert decompressed(packed, range(1, len(packed))) == b"firstthird<br>"


@pytest.mark.parametrize("plain", [b"", b"a", b"\x1f", b"\x1f\x1f\x8b", b"\x8b\x1f", b'"c0","c1"\n\x1f\x8b\x08'])
def test_bytes_that_are_not_gzip_stay_as_they_are(plain: bytes) -> None:
    for cut in range(len(plain) + 1):
        assert decompressed(plain, [cut]) == plain
    assert decompressed(plain, range(1, len(plain))) == plain


@given(part=st.binary(max_size=200), chunk=st.integers(1, 60))
@settings(max_examples=50)
def test_wherever_a_compressed_answer_ends_early_it_is_noticed(part: bytes, chunk: int) -> None:
    first = gzip.compress(b"first")
    data = first + gzip.compress(part)
    for end in range(2, len(data)):
        cuts = range(chunk, end, chunk)
        if end == len(first) or end == len(first) + 1:  # between members, or a first byte that may be anything
            assert decompressed(data[:end], cuts) == b"first" + data[len(first) : end]
            continue
        with pytest.raises(AnswerCut, match="ended before its end"):
            decompressed(data[:end], cuts)


def test_damaged_data_is_noticed() -> None:
    packed = gzip.compress(bytes(range(256)))
    for place in range(10, len(packed)):  # behind the header, of which most bytes mean nothing
        damaged = packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :]
        with pytest.raises(AnswerCut, match=r"arrived damaged|ended before its end"):
            decompressed(damaged)
    with pytest.raises(AnswerCut, match="arrived damaged") as raised:
        decompressed(packed[:-1] + bytes([packed[-1] ^ 1]))
    assert isinstance(raised.value.__cause__, zlib.error)


def test_bytes_are_passed_on_as_they_arrive() -> None:
    packed = gzip.compress(bytes(range(256)) * 200, 0)
    pieces: list[bytes] = []
    sink = GunzipSink(pieces.append)
    sink(packed[:30_000])
    assert sum(map(len, pieces)) > 20_000
    sink(packed[30_000:])
    assert b"".join(pieces) == bytes(range(256)) * 200


# -- the choice


PLENTY = 300_000  # bytes


def choice_after(*answers: tuple[float, float]) -> CompressionChoice:
    """The choice after answers of these sizes in bytes and rates in bytes a second."""
    choice = CompressionChoice()
    for size, rate in answers:
        choice.learn(int(size), size / rate)
    return choice


def test_compression_is_not_requested_at_first() -> None:
    assert not CompressionChoice().enabled


@pytest.mark.parametrize(
    ("rate", "wanted"), [(100_000, True), (1_999_000, True), (2_000_000, False), (2_001_000, False), (1e9, False)]
)
def test_compression_is_tried_below_two_megabytes_a_second(rate: float, wanted: bool) -> None:
    assert choice_after((PLENTY, rate)).enabled == wanted


@pytest.mark.parametrize(("size", "wanted"), [(262_143, False), (262_144, True)])
def test_an_answer_below_a_quarter_of_a_megabyte_says_nothing(size: int, wanted: bool) -> None:
    assert choice_after((size, 1_000)).enabled == wanted
    assert choice_after((PLENTY, 1_000), (size, 1_000)).enabled != wanted


def test_a_connection_that_becomes_slow_is_noticed() -> None:
    assert choice_after((PLENTY, 1e9), (PLENTY, 3e6), (PLENTY, 1e5)).enabled


@pytest.mark.parametrize(("rate", "kept"), [(1_000, False), (149_000, False), (151_000, True), (10_000_000, True)])
def test_compression_stays_where_rows_come_half_as_fast_again(rate: float, kept: bool) -> None:
    assert choice_after((PLENTY, 100_000), (PLENTY, rate)).enabled == kept


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("rate", [1.0, 1e9])
def test_the_choice_is_made_once(kept: bool, rate: float) -> None:
    decision = (PLENTY, 500_000 if kept else 1_000)
    assert choice_after((PLENTY, 100_000), decision, (PLENTY, rate)).enabled == kept
    assert choice_after((PLENTY, 100_000), decision, (PLENTY, rate), (PLENTY, rate)).enabled == kept


def test_an_answer_without_a_duration_counts_as_fast() -> None:
    choice = CompressionChoice()
    choice.learn(PLENTY, 0.0)
    assert not choice.enabled
    choice.learn(PLENTY, 3.0)
    choice.learn(PLENTY, 0.0)
    assert choice.enabled


def test_the_log_says_what_was_chosen_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", gunzip.__name__)
    choice_after((PLENTY, 100_000), (PLENTY, 400_000))
    choice_after((PLENTY, 100_000), (PLENTY, 120_000))
    assert caplog.messages == [
        "compression=tried because rows come at 100 kB/s",
        "compression=kept because compressed rows come at 400 kB/s",
        "compression=tried because rows come at 100 kB/s",
        "compression=dropped because compressed rows come at 120 kB/s",
    ]
