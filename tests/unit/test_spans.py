from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.spans import Span


def span(**override: Any) -> Span:
    values: dict[str, Any] = {"start_frame": 24, "end_frame": 36, "start": Fraction(1), "end": Fraction(3, 2)}
    return Span(**(values | override))


def test_a_span_of_twelve_frames_at_24_a_second_lasts_half_a_second() -> None:
    assert (span().length_frames, span().length) == (12, Fraction(1, 2))


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.fractions(min_value=0, max_value=10**6))
def test_two_spans_that_meet_are_as_long_as_both(start: int, length: int, at: Fraction) -> None:
    middle, end = start + length, start + 2 * length
    one = span(start_frame=start, end_frame=middle, start=at, end=at + length)
    two = span(start_frame=middle, end_frame=end, start=at + length, end=at + 3 * length)
    whole = span(start_frame=start, end_frame=end, start=one.start, end=two.end)
    assert whole.length_frames == one.length_frames + two.length_frames
    assert whole.length == one.length + two.length


@pytest.mark.parametrize(
    "override",
    [
        {"start_frame": -1},
        {"end_frame": 24},
        {"end_frame": 23},
        {"start": Fraction(-1)},
        {"end": Fraction(1)},
        {"end": Fraction(1, 2)},
    ],
)
def test_a_span_that_is_empty_or_runs_backwards_is_refused(override: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are no span"):
        span(**override)
