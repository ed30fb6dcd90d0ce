from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flows.stages.encode import encode
from flows.stages.frames import Frame, Video
from flows.stages.quality import Quality, QualityFact, luma, motion, sharpness
from flows.stages.stage import ClipItem, Done, Failed
from tests import factories
from warehouse.media import MediaStore

Picture = NDArray[np.uint8]


def pattern(seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(60, 190, (24, 32), dtype=np.uint8)


def item(path: Path, start_frame: int, end_frame: int) -> ClipItem:
    clip = factories.clip(
        start_frame=start_frame, end_frame=end_frame, start=Fraction(start_frame, 24), end=Fraction(end_frame, 24)
    )
    return ClipItem(
        source=factories.source(),
        clip=clip,
        video=Video(path),
        media=MediaStore(Path("/nowhere")),
        facts={},
        fact_key="fact_quality_1",
        subjects=(),
        references=(),
    )


def measure(path: Path, start_frame: int, end_frame: int) -> QualityFact:
    [outcome] = Quality()([item(path, start_frame, end_frame)])
    assert isinstance(outcome, Done)
    return outcome.fact


@pytest.fixture(scope="module")
def dark_then_light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six flat frames of grey 20, then six of 220."""
    path = tmp_path_factory.mktemp("quality") / "flat.mp4"
    greys = [20] * 6 + [220] * 6
    path.write_bytes(encode((np.full((48, 64, 3), grey, np.uint8) for grey in greys), frame_rate=Fraction(24)))
    return path


def test_luma_weighs_the_colours_as_bt_601_does() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert luma(Frame(index=0, time=Fraction(0), rgb=rgb)).tolist() == [[76, 150, 29, 255]]


def test_the_sharpness_of_one_white_pixel_is_a_worked_value() -> None:
    picture = np.zeros((5, 5), np.uint8)
    picture[2, 2] = 10
    # Laplacian: -40 in the middle, 10 at its four neighbours, 0 at the other twenty; its mean is 0.
    assert sharpness(picture) == pytest.approx((40**2 + 4 * 10**2) / 25)


@given(seed=st.integers(0, 99), lift=st.integers(0, 60))
def test_sharpness_does_not_depend_on_brightness(seed: int, lift: int) -> None:
    assert sharpness(pattern(seed) + np.uint8(lift)) == pytest.approx(sharpness(pattern(seed)))


@given(seed=st.integers(0, 99))
def test_a_blurred_picture_is_less_sharp(seed: int) -> None:
    blurred = np.asarray(cv2.GaussianBlur(pattern(seed), (0, 0), 1.0), np.uint8)
    assert sharpness(blurred) < sharpness(pattern(seed)) / 2


def test_motion_is_the_mean_change_a_frame() -> None:
    steps = [np.full((4, 4), level, np.uint8) for level in (10, 14, 12)]
    assert motion(steps) == pytest.approx((4 + 2) / 2)


@given(seed=st.integers(0, 99), other=st.integers(100, 199))
def test_motion_is_the_same_forwards_and_backwards_and_none_for_a_still(seed: int, other: int) -> None:
    pictures = [pattern(seed), pattern(other), pattern(seed + 1)]
    assert motion(pictures) == motion(pictures[::-1])
    assert motion([pictures[0]] * 3) == 0.0


def test_the_motion_of_a_single_frame_is_unknown(dark_then_light: Path) -> None:
    assert motion([pattern()]) is None
    assert measure(dark_then_light, 3, 4).motion is None


def test_only_the_clips_own_frames_are_measured(dark_then_light: Path) -> None:
    dark, light = measure(dark_then_light, 0, 6), measure(dark_then_light, 6, 12)
    assert dark.luminance_max == pytest.approx(20, abs=2)
    assert light.luminance_min == pytest.approx(220, abs=2)
    assert (dark.motion, light.motion) == (pytest.approx(0, abs=0.5), pytest.approx(0, abs=0.5))


def test_a_fact_is_told_in_frames_seconds_and_levels(dark_then_light: Path) -> None:
    fact = measure(dark_then_light, 3, 9)
    assert (fact.length_frames, fact.length_s) == (6, 0.25)
    assert fact.luminance_mean == pytest.approx(120, abs=2)
    assert (fact.luminance_min, fact.luminance_max) == (pytest.approx(20, abs=2), pytest.approx(220, abs=2))
    assert fact.motion == pytest.approx(200 / 5, abs=1)
    assert 0 <= fact.blur_min <= fact.blur <= fact.blur_max < 5  # flat pictures have nothing sharp


def test_an_unreadable_video_fails_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no video")
    [outcome] = Quality()([item(tmp_path / "text.mp4", 0, 6)])
    assert isinstance(outcome, Failed)
    assert outcome.reason == "not a video"
