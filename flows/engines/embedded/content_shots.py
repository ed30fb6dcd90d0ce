"""Shot boundaries by PySceneDetect's adaptive content rule, on proxies that were decoded anyway.

Why adaptive: a fixed threshold on the content score takes fast motion for cuts, whereas a cut's score stands out from
its neighbours'. The score and the rule are those of its `AdaptiveDetector` (a test compares the cuts); the arithmetic
is not, because its own takes nearly four times as long.

The numbers below lie within a plateau: on the 18 hard cuts of 42 real clips, every ratio from 1.6 to 3 with a content
score from 18 to 31 finds all cuts and nothing else. At the proxies' full size the plateau is narrower (1.8 to 2.7 and
21 to 33), without colours it is small (1.6 to 2.2 and 20 to 25). PySceneDetect's own numbers (3 and 15) find 1 cut that
is none.

Dissolves and fades are not looked for: a shot may hold one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.stages.frames import Proxy


@dataclass(slots=True, kw_only=True)
class ContentShots:
    """`ShotDetector` without a network.

    It imposes no least shot length: two cuts close together give a short clip, which a gate on length drops, and not a
    clip that joins two shots. It cannot see a cut within `window_frames` frames of the video's start or end.
    """

    ratio: float = 2.2
    """How many times its neighbours' mean a frame's content score must be."""
    content_score: float = 27.0
    """The least content score: mean absolute change of hue, saturation and value, in 8-bit levels."""
    window_frames: int = 2
    """Neighbours looked at on either side."""
    revision: str = field(init=False)

    def __post_init__(self) -> None:
        numbers = f"ratio {self.ratio}, score {self.content_score}, window {self.window_frames}"
        self.revision = f"content shots 2: {numbers}"

    def cuts(self, frames: Iterator[Proxy]) -> Sequence[int]:
        """Indices of the first frame of every new shot, ascending, without 0."""
        scores = content_scores(frames)
        window = self.window_frames
        cuts = []
        for index in range(window, len(scores) - window):
            around = sum(scores[index - window : index]) + sum(scores[index + 1 : index + window + 1])
            stands_out = scores[index] * 2 * window >= self.ratio * around
            if stands_out and scores[index] >= self.content_score:
                cuts.append(index)
        return cuts


def content_scores(frames: Iterator[Proxy]) -> list[float]:
    """How much each frame differs from the one before, 0 for the first: the mean absolute difference of hue (0 to 179),
    saturation and value, in 8-bit levels, at half the proxies' size."""
    scores: list[float] = []
    before: NDArray[np.uint8] | None = None
    for frame in frames:
        after = np.asarray(cv2.cvtColor(frame.half_rgb, cv2.COLOR_RGB2HSV), np.uint8)
        scores.append(0.0 if before is None else cv2.norm(before, after, cv2.NORM_L1) / after.size)
        before = after
    return scores
