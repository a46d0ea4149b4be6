"""Key ranges against plain sets of integers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.table.key_ranges import WHOLE, Range, count_keys, from_key, merge_neighbours, split_after

KEYS = range(-3, 13)  # the keys that there are; bounds lie within and outside of them
bounds = st.none() | st.integers(-6, 16)


def keys(*ranges: Range) -> list[int]:
    """The keys of ranges, in their order; one that stands in two of them is there twice."""
    return [key for low, high in ranges for key in KEYS if (low is None or key >= low) and (high is None or key < high)]


@st.composite
def ranges_in_order(draw: st.DrawFn) -> list[Range]:
    """Ranges in key order that do not overlap, some of them adjoining."""
    cuts = sorted(draw(st.sets(st.integers(-6, 16), max_size=7)))
    parts = [Range(*pair) for pair in zip([None, *cuts], [*cuts, None], strict=True)]
    return [part for part in parts if draw(st.booleans())]


@given(bounds, bounds, bounds, bounds)
def test_an_intersection_holds_the_keys_of_both(a: int | None, b: int | None, c: int | None, d: int | None) -> None:
    one, other = Range(a, b), Range(c, d)
    common = one.intersection(other)
    assert (keys(common) if common else []) == [key for key in keys(one) if key in keys(other)]
    assert common == other.intersection(one)


def test_ranges_that_only_touch_have_nothing_in_common() -> None:
    assert Range(1, 5).intersection(Range(5, 9)) is None
    assert Range(1, 5).intersection(Range(4, 9)) == Range(4, 5)
    assert WHOLE.intersection(WHOLE) == WHOLE


@given(ranges_in_order())
def test_positions_sort_ranges_by_their_keys(ranges: list[Range]) -> None:
    upside_down = ranges[::-1]
    assert sorted(upside_down, key=lambda part: part.position) == ranges


def test_the_range_without_a_lower_bound_comes_first() -> None:
    assert Range(None, 5).position < Range(-7, 5).position < Range(0, 5).position < Range(3, 5).position


@given(ranges_in_order())
def test_merged_ranges_hold_the_same_keys_and_do_not_adjoin(ranges: list[Range]) -> None:
    merged = merge_neighbours(ranges)
    assert keys(*merged) == keys(*ranges)
    assert all(left.high is not None and left.high != right.low for left, right in itertools.pairwise(merged))


@given(ranges_in_order(), bounds)
def test_from_a_key_on_all_lower_keys_are_gone(ranges: list[Range], key: int | None) -> None:
    left = from_key(ranges, key)
    assert keys(*left) == [each for each in keys(*ranges) if key is None or each >= key]
    assert all(low is None or high is None or low < high for low, high in left)


@given(ranges_in_order())
def test_keys_are_counted_between_bottom_and_top(ranges: list[Range]) -> None:
    assert count_keys(ranges, KEYS[0], KEYS[-1]) == len(keys(*ranges))


@given(ranges_in_order(), st.integers(0, 20))
def test_a_split_comes_after_as_many_keys_as_wanted(ranges: list[Range], width: int) -> None:
    before, after = split_after(ranges, width, KEYS[0], KEYS[-1])
    assert keys(*before) == keys(*ranges)[:width]
    assert keys(*after) == keys(*ranges)[width:]
    assert merge_neighbours([*before, *after]) == merge_neighbours(ranges)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (WHOLE, "the whole table"),
        (Range(None, 5), "keys below 5"),
        (Range(5, None), "keys from 5"),
        (Range(5, 9), "keys 5 to 8"),
    ],
)
def test_a_range_is_described_for_people(part: Range, words: str) -> None:
    assert part.describe() == words
