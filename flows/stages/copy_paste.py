"""How far a reference is a mere copy of the clip's own frames: 1, it is cut out of one of them; 0, it is like none.

A policy that is shown copies learns to paste them (Identity-GRPO, 2.1.1). The score is the share of the reference's
textured pixels that one of the clip's pictures explains: the picture is laid over the reference as well as it can be
(SIFT matches under an affine map found by RANSAC, or the best place of a template search where there are few matches;
then the homography that maximises the enhanced correlation coefficient, Evangelidis and Psarakis 2008), and a pixel is
explained where the two correlate in the window around it. Mirror images count as copies. What is flat says nothing and
is left out, and a window's own brightness and contrast do not matter: neither other light nor a plain background
lowers the score. It is asked of the whole reference and of its face alone, and the higher answer stands: a copied face
is a copy whatever stands behind it.

Measured (tests/bench/bench_references.py) on 24 subjects of real footage and 44 portraits, 10 % / median / 90 %: crops
and what can be done to them 0.87 / 0.98 / 1.00 at worst, another picture of the same person 0.09 / 0.42 / 0.64, another
person 0.04 / 0.10 / 0.19. A gate at 0.7 divides them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Luma = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

REFERENCE_SIDE_PX, OWN_SIDE_PX, COARSE_SIDE_PX = 160, 216, 48
"""Longest sides at which the reference and the clip's pictures are compared, and searched for a first place."""
NUM_FEATURES = 250
LEAST_MATCHES = 10
"""Matches that must agree on one place before it is believed without a search."""
WINDOW_PX = 9
EXPLAINED_FROM = 0.8
"""Correlation in the window from which a pixel is explained."""
TEXTURE = 3.0
"""Standard deviation in the window, in 8-bit levels, from which there is something to explain."""
LEAST_TEXTURED_PX = 50
SEARCHED_SHARES = (0.4, 0.5, 0.62, 0.78, 0.97)
"""Longest side of the reference in the search, as a share of the picture's."""
REFINED_BELOW = 0.95
PROMISING_FROM = 0.3
"""A place that explains as much as the first is not made better; one that explains less than the second even after a
first refinement, not any further."""


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """One of the clip's own pictures: `luma` (h, w), `points` (n, 2) in its pixels, their `descriptors` (n, 128)."""

    luma: Luma
    points: Floats
    descriptors: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a reference may come from: `matrix` (3, 3) takes the reference's pixels to those of `own`."""

    own: Own
    matrix: Floats
    is_mirrored: bool
    strength: float
    """Matches that agree, or the search's correlation: compares places found the same way."""


def prepared(pictures: Sequence[Picture]) -> tuple[Own, ...]:
    """The clip's own pictures, (h, w, 3) RGB each, ready to be compared with any number of references."""
    lumas = [_luma(picture, OWN_SIDE_PX) for picture in pictures]
    return tuple(Own(luma, *_features(luma)) for luma in lumas)


def copy_paste_score(reference: Picture, owns: Sequence[Own], *, face_px: Box | None = None) -> float | None:
    """0 to 1, see above. `reference` (h, w, 3) RGB; `face_px` its face, if one was found.

    None: there is nothing to compare with, or the reference is flat.
    """
    luma = _luma(reference, REFERENCE_SIDE_PX)
    textured = _textured(luma)
    if not owns or textured.sum() < LEAST_TEXTURED_PX:
        return None
    regions = [textured]
    if face_px is not None:
        face = textured & _inside(face_px, reference.shape[:2], luma.shape)
        regions += [face] if face.sum() >= LEAST_TEXTURED_PX else []
    sides = (luma, np.ascontiguousarray(luma[:, ::-1]))

    def share(place: _Place) -> float:
        explained = _explained(sides[place.is_mirrored], place.own.luma, place.matrix)
        explained = explained[:, ::-1] if place.is_mirrored else explained
        return max(float(explained[region].mean()) for region in regions)

    found = [(share(place), place) for place in _places(sides, owns)]
    if not found:
        return 0.0
    best, place = max(found, key=lambda each: each[0])
    for motion, least in ((cv2.MOTION_AFFINE, 0.0), (cv2.MOTION_HOMOGRAPHY, PROMISING_FROM)):
        if least <= best < REFINED_BELOW and (refined := _refined(sides[place.is_mirrored], place, motion)):
            place = refined
            best = max(best, share(place))
    return best


def _places(sides: tuple[Luma, Luma], owns: Sequence[Own]) -> list[_Place]:
    """The likeliest place by matches; unless many agree on it, by search too. `sides`: as is, mirrored."""
    matched = [place for side in (False, True) for place in _matched(sides[side], owns, is_mirrored=side)]
    best = sorted(matched, key=lambda place: -place.strength)[:1]
    if best and best[0].strength >= LEAST_MATCHES:
        return best
    searched = [place for side in (False, True) for place in _searched(sides[side], owns, is_mirrored=side)]
    return best + sorted(searched, key=lambda place: -place.strength)[:1]


def _matched(luma: Luma, owns: Sequence[Own], *, is_mirrored: bool) -> list[_Place]:
    points, descriptors = _features(luma)
    found = []
    for own in owns:
        if len(descriptors) < 2 or len(own.descriptors) < 2:
            continue
        pairs = _matcher().knnMatch(descriptors, own.descriptors, k=2)
        near = [first for first, second in pairs if first.distance < 0.85 * second.distance]
        if len(near) < 4:
            continue
        here = points[[each.queryIdx for each in near]]
        there = own.points[[each.trainIdx for each in near]]
        affine, agree = cv2.estimateAffine2D(here, there, ransacReprojThreshold=4.0, maxIters=300)
        if affine is not None and 0.02 < np.linalg.det(affine[:, :2]) < 16:
            matrix = np.vstack([affine, (0, 0, 1)]).astype(np.float32)
            found.append(_Place(own, matrix, is_mirrored, float(agree.sum())))
    return found


def _searched(luma: Luma, owns: Sequence[Own], *, is_mirrored: bool) -> list[_Place]:
    found = []
    for own in owns:
        coarse = COARSE_SIDE_PX / max(own.luma.shape)
        field = cv2.resize(own.luma, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_AREA)
        for share in SEARCHED_SHARES:
            height, width = (max(6, round(side * share * COARSE_SIDE_PX / max(luma.shape))) for side in luma.shape)
            if height > field.shape[0] or width > field.shape[1]:
                continue
            small = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
            _, strength, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(field, small, cv2.TM_CCOEFF_NORMED))
            scale_x, scale_y = width / luma.shape[1] / coarse, height / luma.shape[0] / coarse
            matrix = np.array([(scale_x, 0, x / coarse), (0, scale_y, y / coarse), (0, 0, 1)], np.float32)
            found.append(_Place(own, matrix, is_mirrored, strength))
    return found


def _refined(luma: Luma, place: _Place, motion: int) -> _Place | None:
    """The place made better, as an affine map at half the size or as a homography; None: it did not converge."""
    is_affine = motion == cv2.MOTION_AFFINE
    here, there = (cv2.pyrDown(each) if is_affine else each for each in (luma, place.own.luma))
    shrink = np.diag([0.5, 0.5, 1.0]) if is_affine else np.eye(3)
    start = (shrink @ place.matrix @ np.linalg.inv(shrink)).astype(np.float32)[: 2 if is_affine else 3]
    enough = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
    try:
        _, found = cv2.findTransformECC(here, there, start, motion, enough, None, 5)
    except cv2.error:
        return None
    whole = np.vstack([found, (0, 0, 1)]) if is_affine else found
    return replace(place, matrix=(np.linalg.inv(shrink) @ whole @ shrink).astype(np.float32))


def _explained(luma: Luma, own: Luma, matrix: Floats) -> NDArray[np.bool_]:
    """Which of the reference's pixels the picture explains, laid over it by `matrix`."""
    size = luma.shape[::-1]
    over = cv2.warpPerspective(own, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    is_covered = cv2.warpPerspective(np.ones_like(own), matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    a, b = _smooth(luma), _smooth(over)
    mean_a, mean_b = _mean(a), _mean(b)
    variances = (np.maximum(0, _mean(x * x) - mean * mean) for x, mean in ((a, mean_a), (b, mean_b)))
    correlation = (_mean(a * b) - mean_a * mean_b) / np.sqrt(np.prod([each + 1.0 for each in variances], axis=0))
    return np.asarray((correlation >= EXPLAINED_FROM) & (is_covered > 0))


def _textured(luma: Luma) -> NDArray[np.bool_]:
    smooth = _smooth(luma)
    mean = _mean(smooth)
    return np.asarray(_mean(smooth * smooth) - mean * mean >= TEXTURE**2)


def _inside(box_px: Box, of: Sequence[int], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Of a picture scaled from `of` to `shape` (both height, width): the pixels of a box of the unscaled one."""
    x0, x1 = (round(edge * shape[1] / of[1]) for edge in box_px[0::2])
    y0, y1 = (round(edge * shape[0] / of[0]) for edge in box_px[1::2])
    inside = np.zeros(tuple(shape), dtype=np.bool_)
    inside[max(0, y0) : y1, max(0, x0) : x1] = True
    return inside


def _luma(picture: Picture, side_px: int) -> Luma:
    scale = side_px / max(picture.shape[:2])
    size = [max(8, round(side * scale)) for side in picture.shape[1::-1]]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _smooth(luma: Luma) -> Floats:
    return np.asarray(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 1.0))


def _mean(values: Floats) -> Floats:
    return np.asarray(cv2.blur(values, (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REFLECT_101))


def _features(luma: Luma) -> tuple[Floats, Floats]:
    """Points (n, 2) and their descriptors (n, 128); n is 0 where nothing stands out."""
    points, descriptors = _detector().detectAndCompute(luma, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.array([point.pt for point in points], np.float32), descriptors


@cache
def _detector() -> Any:
    return cv2.SIFT_create(nfeatures=NUM_FEATURES, contrastThreshold=0.02)  # type: ignore[attr-defined]


@cache
def _matcher() -> Any:
    return cv2.BFMatcher(cv2.NORM_L2)
