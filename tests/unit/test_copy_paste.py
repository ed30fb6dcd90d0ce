from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.engines.embedded.geometric_views import GeometricViews
from flows.engines.ports import Picture
from flows.sources.actors import portrait
from flows.stages.copy_paste import Own, copy_paste_score, prepared

OWN = portrait(0, size_px=320)
CROP = np.ascontiguousarray(OWN[40:290, 50:280])
FACE = (50.0, 60.0, 180.0, 190.0)
"""In the crop."""


def texture(seed: int, side_px: int = 240) -> Picture:
    """Blobs of all sizes from 2 px on: a picture like no other."""
    noise = np.random.default_rng(seed).random((side_px, side_px, 3)).astype(np.float32)
    layers = [cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (2, 5, 12)]
    mixed = np.sum(layers, axis=0)
    return np.asarray(cv2.normalize(mixed, None, 0, 255, cv2.NORM_MINMAX), dtype=np.uint8)


@pytest.fixture(scope="module")
def owns() -> tuple[Own, ...]:
    return prepared([portrait(3, size_px=320), OWN])


def scored(picture: Picture, owns: tuple[Own, ...]) -> float:
    score = copy_paste_score(np.ascontiguousarray(picture), owns)
    assert score is not None
    return score


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda picture: picture,
    "mirrored": lambda picture: picture[:, ::-1],
    "three times as large": lambda picture: cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
    "half as large": lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "darker and flatter": lambda picture: (picture * 0.5 + 20).astype(np.uint8),
    "a part of it": lambda picture: picture[30:200, 20:210],
    "JPEG": lambda picture: cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1),
    "stretched": lambda picture: cv2.resize(picture, (230, 290)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_a_copy_whatever_was_done_to_it(name: str, owns: tuple[Own, ...]) -> None:
    assert scored(COPIES[name](CROP), owns) > 0.9


@pytest.mark.parametrize("view", ["mirrored", "tilted", "turned", "evening"])
def test_geometric_views_are_copies(view: str, owns: tuple[Own, ...]) -> None:
    views = {each.name: each.picture for each in GeometricViews().views(CROP)}
    assert copy_paste_score(views[view], owns, face_px=FACE) > 0.85  # type: ignore[operator]


def test_another_person_and_another_thing_are_none(owns: tuple[Own, ...]) -> None:
    assert scored(portrait(5, size_px=230), owns) < 0.6, "drawn people are drawn alike"
    assert max(scored(texture(seed), owns) for seed in range(3)) < 0.2
    assert scored(texture(1), prepared([texture(2)])) < 0.2


def test_texture_that_is_half_the_clips_own_is_half_a_copy() -> None:
    own = texture(0)
    half = np.vstack([own[:120], texture(7)[:120]])
    assert scored(half, prepared([own])) == pytest.approx(0.5, abs=0.08)


def test_a_copied_face_is_a_copy_whatever_stands_behind_it(owns: tuple[Own, ...]) -> None:
    x0, y0, x1, y1 = map(int, FACE)
    pasted = cv2.resize(texture(1), CROP.shape[1::-1])
    pasted[y0:y1, x0:x1] = CROP[y0:y1, x0:x1]
    whole, face = copy_paste_score(pasted, owns), copy_paste_score(pasted, owns, face_px=FACE)
    assert whole is not None and face is not None and whole < 0.6 < 0.85 < face


def test_a_plain_ground_does_not_hide_a_copy(owns: tuple[Own, ...]) -> None:
    x0, y0, x1, y1 = map(int, FACE)
    pasted = np.full_like(CROP, 200)
    pasted[y0:y1, x0:x1] = CROP[y0:y1, x0:x1]
    assert scored(pasted, owns) > 0.6


def test_what_cannot_be_compared_has_no_score(owns: tuple[Own, ...]) -> None:
    assert copy_paste_score(CROP, ()) is None
    assert copy_paste_score(np.full_like(CROP, 90), owns) is None
    assert scored(CROP, prepared([np.full((300, 300, 3), 90, dtype=np.uint8)])) == 0.0


@settings(max_examples=15)
@given(width=st.integers(12, 90), height=st.integers(12, 90), seed=st.integers(0, 9))
def test_every_shape_has_a_score_between_nothing_and_all(width: int, height: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    own = np.random.default_rng(seed + 1).integers(0, 255, (width, height, 3), dtype=np.uint8)
    score = copy_paste_score(picture, prepared([own]), face_px=(2.0, 2.0, 9.0, 9.0))
    assert score is None or 0 <= score <= 1


def test_the_same_pictures_have_the_same_score_again(owns: tuple[Own, ...]) -> None:
    tilted = GeometricViews().views(CROP)[1].picture
    assert copy_paste_score(tilted, owns) == copy_paste_score(tilted, prepared([portrait(3, size_px=320), OWN]))
