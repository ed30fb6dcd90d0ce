"""Stage `shots`, where the data set has cut already: one clip a source, the span that came with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.stages import annotated, shots
from flows.stages.shots import ShotsFact
from flows.stages.stage import Done, Failed, SourceItem, one_by_one


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenShots:
    """Takes sources, makes the clip that each one's annotation speaks of."""

    name: ClassVar[str] = "shots"
    version: ClassVar[int] = 1
    takes: ClassVar[type[SourceItem]] = SourceItem
    fact: ClassVar[type[ShotsFact]] = ShotsFact
    needs: ClassVar[Sequence[str]] = ("annotations",)

    def __call__(self, batch: Sequence[SourceItem], /) -> Sequence[Done[ShotsFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: SourceItem) -> Done[ShotsFact] | Failed:
        annotation = annotated.of(item.source, item.media)
        if annotation is None or annotation.span is None:
            key = f" in row {annotation.key}" if annotation else ": no annotation"
            return Failed(reason="no span came with the source", exception=f"{item.source.path}{key}")
        start, end = annotation.span
        item.video.keep(start if annotation.frame is None else annotation.frame)
        if end > item.video.num_frames:
            found = f"{item.source.path}: frames [{start}, {end}) of {item.video.num_frames}"
            return Failed(reason="span outside the video", exception=found)
        return Done(fact=shots.told(item.video, 1), made=[shots.clip(item, 0, start, end)])
