"""Shot boundaries by PySceneDetect's adaptive content detector, fed with proxies that were decoded anyway.

Why adaptive: a fixed threshold on the content score takes fast motion for cuts, whereas a cut's score stands out from
its neighbours'. The numbers below are the middle of a plateau: on the 18 hard cuts of 42 real clips, every ratio from
1.8 to 2.7 with a content score from 21 to 33 finds all cuts and nothing else. There, PySceneDetect's own numbers (3 and
15) miss 2 and find 2 that are none, its fixed threshold (27) finds 2 that are none, its histogram misses 5, its hash 3.

Dissolves and fades are not looked for: a shot may hold one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import scenedetect
from scenedetect import AdaptiveDetector, FrameTimecode

from flows.stages.frames import Frame


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
        self.revision = f"scenedetect {scenedetect.__version__} adaptive 1: {numbers}"

    def cuts(self, frames: Iterator[Frame]) -> Sequence[int]:
        """Indices of the first frame of every new shot, ascending, without 0."""
        detector = AdaptiveDetector(
            adaptive_threshold=self.ratio,
            min_content_val=self.content_score,
            window_width=self.window_frames,
            min_scene_len=0,
        )
        cuts: list[int] = []
        for frame in frames:
            place = FrameTimecode(frame.index, fps=1.0)  # frames are counted, not timed: any rate will do
            found = detector.process_frame(place, cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR))
            cuts.extend(int(cut.frame_num) for cut in found)
        return cuts
