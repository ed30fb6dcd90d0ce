"""How many faces a clip shows, how large, and how often one looks into the camera."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.engines.ports import Face, FaceReader, FrontalChecker, Picture
from flows.stages.stage import ClipItem, Done, Failed, one_by_one


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesFact:
    num_looked: int
    """Frames looked at."""
    face_share: float
    """Share of them with a face."""
    face_frontal_share: float | None
    """Share of them with a frontal face. With a checker it is the checker's, over the frames of which it could tell;
    None: it could tell of none."""
    face_frontal_share_reader: float
    """The same by the reader's own measure: a second opinion where there is a checker, else equal."""
    num_checked: int | None
    """Frames of which the checker could tell; None: there is no checker."""
    checker_agreement: float | None
    """Share of these frames of which the reader says the same; None: there are none."""
    num_faces_median: float
    num_faces_max: int
    face_px_max: float | None
    """Width of the largest face, in pixels of the source; None: no face was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    num: int
    share: float | None
    agreement: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Looks for faces in a few frames of each clip."""

    name: ClassVar[str] = "faces"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[FacesFact]] = FacesFact
    needs: ClassVar[Sequence[str]] = ("shots",)

    reader: FaceReader
    num_looks: int = 8
    frontal_from: float = 0.5
    """`Face.frontalness` of a face that counts as frontal."""
    checker: FrontalChecker | None = None
    """Has the last word on what is a clear frontal face (Identity-GRPO, 2.1.1: Qwen2.5-VL); None: the reader has."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[FacesFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[FacesFact] | Failed:
        frames = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        pictures = [frame.rgb for frame in frames]
        read = self.reader.read(pictures, with_vectors=False)
        counts = [len(faces) for faces in read]
        widths = [face.box_px[2] - face.box_px[0] for faces in read for face in faces]
        is_frontal = [self._has_frontal(faces) for faces in read]
        checked = self._checked(pictures, is_frontal)
        if isinstance(checked, Failed):
            return checked
        fact = FacesFact(
            num_looked=len(frames),
            face_share=sum(map(bool, counts)) / len(frames),
            face_frontal_share=checked.share if checked else sum(is_frontal) / len(frames),
            face_frontal_share_reader=sum(is_frontal) / len(frames),
            num_checked=checked.num if checked else None,
            checker_agreement=checked.agreement if checked else None,
            num_faces_median=float(statistics.median(counts)),
            num_faces_max=max(counts),
            face_px_max=max(widths) * item.video.look_scale if widths else None,
        )
        return Done(fact=fact)

    def _has_frontal(self, faces: Sequence[Face]) -> bool:
        return any(face.frontalness >= self.frontal_from for face in faces)

    def _checked(self, pictures: Sequence[Picture], is_frontal: Sequence[bool]) -> _Checked | Failed | None:
        """None: there is no checker. `Failed`: it answered of no picture, which is not the same as being unsure."""
        if self.checker is None:
            return None
        answers = self.checker.check(pictures)
        failed = [answer for answer in answers if isinstance(answer, Failed)]
        if len(failed) == len(pictures):
            return failed[0]
        told = [pair for pair in zip(answers, is_frontal, strict=True) if isinstance(pair[0], bool)]
        return _Checked(
            num=len(told),
            share=sum(bool(answer) for answer, _ in told) / len(told) if told else None,
            agreement=sum(answer == reader for answer, reader in told) / len(told) if told else None,
        )
