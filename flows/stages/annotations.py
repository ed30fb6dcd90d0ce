"""Stage `annotations`: the scores and counts that came with a source, for gates to ask. Nothing is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.stages import annotated, given_people
from flows.stages.annotated import Annotation
from flows.stages.stage import Done, SourceItem


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationsFact:
    """As the data set states it, in its own units: values of two data sets cannot be compared. None: not stated."""

    origin: str | None
    """Which data set speaks; None: nothing came with the source, and all else is None too."""
    is_without_faces: bool | None = None
    """The data set looked for faces and found none."""
    length_frames: int | None = None
    """Of the span that it is about."""
    num_frames: int | None = None
    """Of the file."""
    fps: float | None = None
    width_px: int | None = None
    """Of the file's frames."""
    height_px: int | None = None
    crop_share: float | None = None
    """Share of the picture that is free of watermarks."""
    aesthetic: float | None = None
    technical: float | None = None
    motion: float | None = None
    luminance_min: float | None = None
    luminance_max: float | None = None
    blur_min: float | None = None
    blur_max: float | None = None
    foreground_aesthetic: float | None = None
    background_aesthetic: float | None = None
    person_gme_max: float | None = None
    """Highest similarity of a person's box and its class name."""
    person_aesthetic_max: float | None = None
    num_captions: int | None = None
    num_boxes: int | None = None
    num_masks: int | None = None
    num_person_masks: int | None = None
    """Masks of a class that names a person; one person may have several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """Reads what came with each source."""

    name: ClassVar[str] = "annotations"
    version: ClassVar[int] = 1
    takes: ClassVar[type[SourceItem]] = SourceItem
    fact: ClassVar[type[AnnotationsFact]] = AnnotationsFact
    needs: ClassVar[Sequence[str]] = ()

    def __call__(self, batch: Sequence[SourceItem], /) -> Sequence[Done[AnnotationsFact]]:
        return [Done(fact=_fact(annotated.of(item.source, item.media))) for item in batch]


def _fact(annotation: Annotation | None) -> AnnotationsFact:
    if annotation is None:
        return AnnotationsFact(origin=None)
    people = [box for box in annotation.boxes if given_people.person_noun(box.class_name)]
    return AnnotationsFact(
        origin=annotation.origin,
        is_without_faces=annotation.is_none if annotation.origin == annotated.OPENS2V else None,
        length_frames=annotation.span[1] - annotation.span[0] if annotation.span else None,
        num_frames=annotation.num_frames,
        fps=annotation.fps,
        width_px=annotation.width_px,
        height_px=annotation.height_px,
        crop_share=_crop_share(annotation),
        aesthetic=annotation.aesthetic,
        technical=annotation.technical,
        motion=annotation.motion,
        luminance_min=annotation.luminance_min,
        luminance_max=annotation.luminance_max,
        blur_min=annotation.blur_min,
        blur_max=annotation.blur_max,
        foreground_aesthetic=annotation.foreground_aesthetic,
        background_aesthetic=annotation.background_aesthetic,
        person_gme_max=max((box.gme_score for box in people if box.gme_score is not None), default=None),
        person_aesthetic_max=max((box.aesthetic for box in people if box.aesthetic is not None), default=None),
        num_captions=len(annotation.captions),
        num_boxes=len(annotation.boxes),
        num_masks=len(annotation.masks),
        num_person_masks=sum(given_people.person_noun(mask.class_name) is not None for mask in annotation.masks),
    )


def _crop_share(annotation: Annotation) -> float | None:
    """None where the crop or the picture's size is not stated."""
    if annotation.crop_px is None or not annotation.width_px or not annotation.height_px:
        return None
    x0, y0, x1, y1 = annotation.crop_px
    return (x1 - x0) * (y1 - y0) / (annotation.width_px * annotation.height_px)
