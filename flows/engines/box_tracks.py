"""What both SAM 2 engines share: frames made ready one at a time, a memory that does not grow, masks in and out.

SAM 2 (Ravi et al. 2024) follows an object outwards from the frame in which it was pointed at: first to the end of the
clip, then back to its beginning.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Mask, Picture
from warehouse.records import Box


class PreparedFrames(Sequence[Any]):
    """The tensors of a clip's frames, each made when it is asked for.

    Both libraries would hold the whole clip as float32 squares of 1024 px: 12 MB a frame. They read it by index only.
    """

    def __init__(self, frames: Sequence[Picture], prepare: Callable[[Picture], Any]) -> None:
        self._frames = frames
        self._prepare = prepare

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        return self._prepare(self._frames[index])


def gather(
    answers: Iterator[tuple[int, NDArray[np.bool_]]], num_frames: int, num_boxes: int
) -> list[list[Mask | None]]:
    """Tracks by object and frame from answers (frame, masks of all objects); an empty mask is None: not seen there."""
    tracks: list[list[Mask | None]] = [[None] * num_frames for _ in range(num_boxes)]
    for at, masks in answers:
        for track, mask in zip(tracks, masks, strict=True):
            track[at] = mask.copy() if mask.any() else None  # a copy: a view would keep all objects' masks alive
    return tracks


def forget(memory: Mapping[int, Mapping[str, dict[int, Any]]], *, now: int, key_index: int, reach: int) -> None:
    """Drop what the network cannot look at any more: it reads the last `reach` frames, and those by the key frame.

    The frames beside the key frame stay for the way back, which begins there. `memory` is, in both libraries, outputs
    by object, kind and frame.
    """
    for outputs in memory.values():
        tracked = outputs["non_cond_frame_outputs"]
        for at in [at for at in tracked if abs(at - now) > reach and abs(at - key_index) > reach]:
            del tracked[at]


def inside(box: Box, picture: Picture) -> Box:
    """The part of a box that the picture shows; `ValueError` for one that lies outside: it points at nothing."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"box {box} lies outside its picture of {width} x {height} px")
    return x0, y0, x1, y1
