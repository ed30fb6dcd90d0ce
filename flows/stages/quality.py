"""Stage `quality`: how long, how bright, how sharp and how lively a clip is, by arithmetic on its proxies.

`luminance` and `blur` are called as OpenHumanVid calls them. As there, **a higher `blur` is a sharper picture**: it is
the variance of the Laplacian of the luma. It is measured on proxies (longest side 256 px, or the source's if that is
smaller), so that clips of different resolution compare; blur finer than a proxy's pixel goes unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.stages.frames import Frame
from flows.stages.stage import ClipItem, Done, Failed, one_by_one

Luma = NDArray[np.uint8]
"""(height, width), full range: a proxy's by the video's own matrix, `luma`'s by BT.601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFact:
    """One row a clip."""

    length_frames: int
    length_s: float
    luminance_mean: float
    luminance_min: float
    luminance_max: float
    """Mean, least and greatest of the frames' mean lumas, 0 (black) to 255."""
    blur: float
    blur_min: float
    blur_max: float
    """Mean, least and greatest of the frames' sharpness: 0 (flat), higher is sharper, in squared 8-bit levels."""
    motion: float | None
    """Mean absolute change of luma from frame to frame, in 8-bit levels; None: the clip has but one frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Takes clips, makes nothing."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 2
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[QualityFact]] = QualityFact
    needs: ClassVar[Sequence[str]] = ("shots",)

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[QualityFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[QualityFact]:
        clip = item.clip
        lumas = [proxy.luma for proxy in item.video.proxies[clip.start_frame : clip.end_frame]]
        luminances = [cv2.mean(picture)[0] for picture in lumas]
        sharpnesses = [sharpness(picture) for picture in lumas]
        fact = QualityFact(
            length_frames=len(lumas),
            length_s=float(clip.span.length),
            luminance_mean=float(np.mean(luminances)),
            luminance_min=min(luminances),
            luminance_max=max(luminances),
            blur=float(np.mean(sharpnesses)),
            blur_min=min(sharpnesses),
            blur_max=max(sharpnesses),
            motion=motion(lumas),
        )
        return Done(fact=fact)


def luma(frame: Frame) -> Luma:
    return np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def sharpness(picture: Luma) -> float:
    """Variance of the 3 x 3 Laplacian, edges mirrored, in squared 8-bit levels. Pech-Pacheco et al. 2000."""
    edges = cv2.Laplacian(picture, cv2.CV_16S)
    mean = float(cv2.sumElems(edges)[0]) / edges.size
    return float(max(0.0, cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - mean * mean))


def motion(lumas: Sequence[Luma]) -> float | None:
    """Mean absolute difference of successive pictures, in 8-bit levels a frame; None for fewer than two."""
    if len(lumas) < 2:
        return None
    changes = [cv2.norm(before, after, cv2.NORM_L1) for before, after in pairwise(lumas)]
    return float(np.mean(changes)) / lumas[0].size
