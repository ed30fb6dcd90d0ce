"""Stages that make pairs worth judging in milliseconds: people are grey squares, and the brighter video is better.

    cut (fake_stages) -> people (clips) -> make (clips, makes candidates) -> likeness (candidates) -> text_video

The last is the real stage, with a scorer that measures how dark a video is, and does not know what `no text` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Picture
from flows.stages import tracks
from flows.stages.encode import encode
from flows.stages.likeness import LikenessFact
from flows.stages.stage import CandidateItem, ClipItem, Done, Failed
from flows.stages.tracks import Sighting
from tests import factories
from warehouse import ids
from warehouse.records import Candidate

BRIGHTNESS = {"original": 200, "good": 180, "other_good": 180, "bad": 90}
"""Of each generator's video, in 8-bit levels."""
NUM_FRAMES = 5
PAIRS = {
    ("original", "good"): "original",
    ("original", "other_good"): "original",
    ("original", "bad"): "original",
    ("good", "other_good"): "tie",
    ("good", "bad"): "good",
    ("other_good", "bad"): "other_good",
}
"""All pairs of a clip, and what is better."""


SIGHTING = Sighting(
    frame=0,
    subject_index=0,
    box_px=(10.0, 20.0, 110.0, 220.0),
    face_box_px=(40.0, 30.0, 80.0, 70.0),
    mask=None,
    face_vector=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFact:
    num_people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One subject a clip, nobody twice, with two references, the second of which is chosen."""

    name: ClassVar[str] = "people"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[PeopleFact]] = PeopleFact
    needs: ClassVar[Sequence[str]] = ()

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[PeopleFact] | Failed]:
        return [self._done(item) for item in batch]

    def _done(self, item: ClipItem) -> Done[PeopleFact]:
        clip_id = item.clip.clip_id
        subject = factories.subject(
            subject_id=ids.make("subject", clip_id),
            clip_id=clip_id,
            fact_key=item.fact_key,
            track_sha256=item.media.put(tracks.write([SIGHTING])),
            identity_vector=None,
            identity_model=None,
        )
        references = [
            factories.reference(
                reference_id=ids.make("reference", clip_id, view),
                subject_id=subject.subject_id,
                clip_id=clip_id,
                fact_key=item.fact_key,
                view=view,
                sha256=item.media.put(png(level)),
                is_chosen=level == 128,
            )
            for view, level in (("crop", 64), ("again", 128))
        ]
        return Done(fact=PeopleFact(num_people=1), made=[subject, *references])


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFact:
    num_candidates: int
    first_frame: int
    num_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    num_frames: int = NUM_FRAMES
    side_px: int = 32
    is_marked: bool = False
    """Whether each video carries a mark of its own, so that no two files are equal."""

    name: ClassVar[str] = "candidates"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[MakeFact]] = MakeFact
    needs: ClassVar[Sequence[str]] = ("people",)

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[MakeFact] | Failed]:
        return [self._done(item) for item in batch]

    def _done(self, item: ClipItem) -> Done[MakeFact]:
        made = [self._candidate(item, generator, level) for generator, level in BRIGHTNESS.items()]
        fact = MakeFact(num_candidates=len(made), first_frame=item.clip.start_frame, num_frames=self.num_frames)
        return Done(fact=fact, made=made)

    def _candidate(self, item: ClipItem, generator: str, level: int) -> Candidate:
        clip_id = item.clip.clip_id
        mark = int(ids.digest(["mark", clip_id, generator])[:8], 16) if self.is_marked else 0
        return factories.candidate(
            candidate_id=ids.make("candidate", clip_id, generator),
            clip_id=clip_id,
            fact_key=item.fact_key,
            generator=generator,
            severity=0.0 if generator == "original" else None,
            sha256=item.media.put(video(level, self.num_frames, self.side_px, mark)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """As `flows.stages.likeness`, of videos without faces: identity is unknown, sharpness stands for brightness."""

    name: ClassVar[str] = "likeness"
    version: ClassVar[int] = 1
    takes: ClassVar[type[CandidateItem]] = CandidateItem
    fact: ClassVar[type[LikenessFact]] = LikenessFact
    needs: ClassVar[Sequence[str]] = ("candidates",)

    def __call__(self, batch: Sequence[CandidateItem], /) -> Sequence[Done[LikenessFact] | Failed]:
        return [Done(fact=self._fact(item)) for item in batch]

    def _fact(self, item: CandidateItem) -> LikenessFact:
        return LikenessFact(
            num_frames=NUM_FRAMES,
            frame_rate_num=8,
            frame_rate_den=1,
            width_px=32,
            height_px=32,
            looked_frames=(0,),
            face_frames=(),
            face_subjects=(),
            face_vectors=(),
            identity_model="none",
            identity_mean=None,
            identity_min=None,
            sharpness=float(BRIGHTNESS[item.candidate.generator]),
            flicker=None,
            motion=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknessScorer:
    """`TextVideoScorer`: 1 for black, 0 for white."""

    revision: str = "1"

    def score(self, items: Sequence[tuple[str, Sequence[Picture]]]) -> Sequence[float | None]:
        return [None if text == "no text" else 1 - float(np.mean(frames)) / 255 for text, frames in items]


def png(level: int) -> bytes:
    is_written, content = cv2.imencode(".png", np.full((32, 32, 3), level, np.uint8))
    assert is_written
    return content.tobytes()


@cache
def video(level: int, num_frames: int = NUM_FRAMES, side_px: int = 32, mark: int = 0) -> bytes:
    """A grey square. The bits of `mark` are darker blocks along its lower edge."""
    picture = np.full((side_px, side_px, 3), level, np.uint8)
    block = side_px // 32
    for place in range(32):
        if mark >> place & 1:
            picture[-block:, place * block : (place + 1) * block] //= 2
    return encode([picture] * num_frames, frame_rate=Fraction(8))


PROFILE = """
[[stage]]
use = "tests.fake_stages:Cut"
flow = "curate"
num_clips = 1

[[stage]]
use = "tests.pair_stages:People"
flow = "curate"

[[stage]]
use = "tests.pair_stages:Make"
flow = "generate"
{make}

[[stage]]
use = "tests.pair_stages:Seen"
flow = "generate"

[[stage]]
use = "flows.stages.text_video:TextVideo"
flow = "generate"
{scorer}

[identities]
same_person_similarity = 0.9

[pairs]
num_per_clip = 28
test_share = 0.3
seed = 0
{gap}

{judges}

[votes]
annotators = "{annotators}"
num_a_pair = 3
seed = 0
{votes}

{labels}
"""

SCORER = 'scorer = { use = "tests.pair_stages:DarknessScorer" }'


def write_profile(path: Path, **override: str) -> str:
    """A profile of these stages; gives its name for `recipe.load`."""
    values = {
        "scorer": SCORER,
        "gap": "",
        "make": "",
        "judges": "",
        "annotators": "nobody",
        "votes": "",
        "labels": '[labels]\norigin = "vlm"',
    }
    path.write_text(PROFILE.format(**(values | override)))
    return str(path)
