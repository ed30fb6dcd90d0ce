"""Run lengths that came from outside are checked together exactly as one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages import masks
from flows.stages.masks import Rle

MASK = st.builds(
    lambda height, width, seed, share: np.random.default_rng(seed).random((height, width)) < share,
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 999),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
SOUND = st.builds(masks.encode, MASK)
ANY = st.builds(
    Rle, height_px=st.integers(1, 9), width_px=st.integers(1, 9), counts=st.binary(max_size=12)
) | st.builds(
    Rle, height_px=st.integers(1, 9), width_px=st.integers(1, 9), counts=st.text("01o@PRo_", max_size=6).map(str.encode)
)


def is_refused(rles: list[Rle]) -> bool:
    try:
        masks.check(rles)
    except ValueError:
        return True
    return False


def is_refused_alone(rle: Rle) -> bool:
    try:
        masks.runs(rle)
    except ValueError:
        return True
    return False


@given(mask=MASK)
def test_a_mask_is_read_as_it_was_written(mask: masks.Mask) -> None:
    assert (masks.decode(masks.encode(mask)) == mask).all()


@given(rles=st.lists(SOUND | ANY, max_size=5))
def test_together_those_are_refused_of_which_one_is_refused_alone(rles: list[Rle]) -> None:
    assert is_refused(rles) == any(is_refused_alone(rle) for rle in rles)


def test_counts_of_which_one_ends_within_a_run_length_are_refused_though_the_next_one_goes_on() -> None:
    whole = masks.encode(np.eye(30, dtype=np.bool_))
    cut = [Rle(height_px=30, width_px=30, counts=counts) for counts in (whole.counts + b"P", b"1" + whole.counts)]
    with pytest.raises(ValueError, match=r"ends? within a run length"):
        masks.check(cut)
