"""What a clip looks like in a few dozen bytes, so that near duplicates among millions can be found.

Perceptual hashes: the signs of a frame's 64 lowest spatial frequencies about their median, as in Zauner 2010 ("pHash").
Re-encoding, scaling and mild changes of colour leave most of them as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import cv2
import numpy as np

from flows.stages.quality import Luma
from flows.stages.stage import ClipItem, Done, Failed, one_by_one

FrameT = TypeVar("FrameT")

SIDE_PX = 32
LEAST_CONTRAST = 4.0
"""Standard deviation of luma, in 8-bit levels, below which a frame is taken to be empty: its signs are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintFact:
    num_looked: int
    hashes: tuple[int, ...]
    """One signed 64-bit hash a frame, in order of time; frames without contrast have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Hashes frames that are spread evenly over the clip."""

    name: ClassVar[str] = "fingerprint"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[FingerprintFact]] = FingerprintFact
    needs: ClassVar[Sequence[str]] = ("shots",)

    num_looks: int = 8

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[FingerprintFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[FingerprintFact]:
        looks = spread_over(item.video.proxies[item.clip.start_frame : item.clip.end_frame], self.num_looks)
        lumas = [frame.luma for frame in looks]
        hashes = tuple(perceptual_hash(picture) for picture in lumas if picture.std() >= LEAST_CONTRAST)
        return Done(fact=FingerprintFact(num_looked=len(looks), hashes=hashes))


def spread_over(frames: Sequence[FrameT], num: int) -> Sequence[FrameT]:
    """At most `num` frames, in the middles of equal parts."""
    num = min(num, len(frames))
    return [frames[(2 * part + 1) * len(frames) // (2 * num)] for part in range(num)]


def perceptual_hash(picture: Luma) -> int:
    """Signed 64-bit hash of a picture (height, width)."""
    small = cv2.resize(picture, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    low[0] = 0  # the mean brightness says nothing of what is shown
    bits = np.packbits(low > np.median(low[1:]))
    return int(bits.view(">i8")[0])
