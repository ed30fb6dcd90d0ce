"""Stage `shots`: cuts a source into clips, one a shot. They tile the video: none overlaps, no frame is left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from flows.engines.ports import ShotDetector
from flows.stages.frames import Video
from flows.stages.stage import Done, Failed, SourceItem, one_by_one
from warehouse import ids
from warehouse.records import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotsFact:
    """One row a source."""

    num_shots: int
    num_frames: int
    length_s: float
    frame_rate: float
    """The container's average, frames a second."""
    width_px: int
    height_px: int
    """As displayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """Takes sources, makes clips."""

    name: ClassVar[str] = "shots"
    version: ClassVar[int] = 2
    takes: ClassVar[type[SourceItem]] = SourceItem
    fact: ClassVar[type[ShotsFact]] = ShotsFact
    needs: ClassVar[Sequence[str]] = ()

    detector: ShotDetector

    def __call__(self, batch: Sequence[SourceItem], /) -> Sequence[Done[ShotsFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: SourceItem) -> Done[ShotsFact]:
        video = item.video
        bounds = [0, *self.detector.cuts(iter(video.proxies)), video.num_frames]
        clips = [clip(item, shot_index, start, end) for shot_index, (start, end) in enumerate(pairwise(bounds))]
        return Done(fact=told(video, len(clips)), made=clips)


def clip(item: SourceItem, shot_index: int, start: int, end: int) -> Clip:
    """The clip of the frames `[start, end)` of a source."""
    video = item.video
    is_last = end == video.num_frames
    return Clip(
        clip_id=ids.make("clip", item.source.source_id, start, end),
        source_id=item.source.source_id,
        fact_key=item.fact_key,
        shot_index=shot_index,
        start_frame=start,
        end_frame=end,
        start=video.times[start],
        end=video.end if is_last else video.times[end],
        frame_rate=video.frame_rate,
        width_px=video.width_px,
        height_px=video.height_px,
    )


def told(video: Video, num_shots: int) -> ShotsFact:
    """What the stage tells of a source."""
    return ShotsFact(
        num_shots=num_shots,
        num_frames=video.num_frames,
        length_s=float(video.end),
        frame_rate=float(video.frame_rate),
        width_px=video.width_px,
        height_px=video.height_px,
    )
