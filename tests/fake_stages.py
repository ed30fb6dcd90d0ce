"""Stages that take milliseconds, for tests of what runs stages. A source's caption says how it behaves.

    cut (sources, makes clips) -> size (clips) -> copy (clips, makes candidates) -> look (candidates)

Captions: `raises` and `fails` go wrong in `cut`, `kills` ends the process there; `raises later` goes wrong in `size`;
all else is cut into clips.
"""

import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from flows.stages.stage import CandidateItem, ClipItem, Done, Failed, SourceItem
from tests import factories
from warehouse import ids

TROUBLE = "raises"
"""The caption that goes wrong in `cut`."""
MEASURED: list[tuple[str, str]] = []
"""(stage, item id) of everything measured in this process, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """An engine."""

    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFact:
    num_clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    name: ClassVar[str] = "cut"
    version: ClassVar[int] = 1
    takes: ClassVar[type[SourceItem]] = SourceItem
    fact: ClassVar[type[CutFact]] = CutFact
    needs: ClassVar[Sequence[str]] = ()

    num_clips: int = 2

    def __call__(self, batch: Sequence[SourceItem], /) -> Sequence[Done[CutFact] | Failed]:
        if any(item.source.caption == TROUBLE for item in batch):
            raise RuntimeError("cannot be cut")
        return [self._outcome(item) for item in batch]

    def _outcome(self, item: SourceItem) -> Done[CutFact] | Failed:
        MEASURED.append((self.name, item.source.source_id))
        if item.source.caption == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if item.source.caption == "fails":
            return Failed(reason="truncated", exception="after 0.2 s")
        source_id = item.source.source_id
        made = [
            factories.clip(
                clip_id=ids.make("clip", source_id, index, index + 1),
                source_id=source_id,
                fact_key=item.fact_key,
                shot_index=index,
                start_frame=index,
                end_frame=index + 1,
                start=Fraction(index, 24),
                end=Fraction(index + 1, 24),
            )
            for index in range(self.num_clips)
        ]
        return Done(fact=CutFact(num_clips=len(made)), made=made)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFact:
    size: float | None
    """0 to 1, drawn from the clip's id; None for a clip whose source's caption is `unknown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    name: ClassVar[str] = "size"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[SizeFact]] = SizeFact
    needs: ClassVar[Sequence[str]] = ()

    ruler: Ruler
    scale: float = 1.0

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[SizeFact] | Failed]:
        if any(item.source.caption == "raises later" and item.clip.shot_index == 0 for item in batch):
            raise ValueError("cannot be measured")
        MEASURED.extend((self.name, item.clip.clip_id) for item in batch)
        return [Done(fact=SizeFact(size=self._size(item))) for item in batch]

    def _size(self, item: ClipItem) -> float | None:
        return None if item.source.caption == "unknown" else self.scale * share(item.clip.clip_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFact:
    num_copies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    name: ClassVar[str] = "copy"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[CopyFact]] = CopyFact
    needs: ClassVar[Sequence[str]] = ("size",)

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[CopyFact] | Failed]:
        MEASURED.extend((self.name, item.clip.clip_id) for item in batch)
        return [self._outcome(item) for item in batch]

    def _outcome(self, item: ClipItem) -> Done[CopyFact]:
        candidate = factories.candidate(
            candidate_id=ids.make("candidate", item.clip.clip_id, "original"),
            clip_id=item.clip.clip_id,
            fact_key=item.fact_key,
            sha256=item.media.put(item.clip.clip_id.encode()),
        )
        return Done(fact=CopyFact(num_copies=1), made=[candidate])


@dataclass(frozen=True, slots=True, kw_only=True)
class LookFact:
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    name: ClassVar[str] = "look"
    version: ClassVar[int] = 1
    takes: ClassVar[type[CandidateItem]] = CandidateItem
    fact: ClassVar[type[LookFact]] = LookFact
    needs: ClassVar[Sequence[str]] = ("copy",)

    def __call__(self, batch: Sequence[CandidateItem], /) -> Sequence[Done[LookFact] | Failed]:
        MEASURED.extend((self.name, item.candidate.candidate_id) for item in batch)
        return [Done(fact=LookFact(num_bytes=len(item.video.path.read_bytes()))) for item in batch]


def share(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


PROFILE = """
[[stage]]
use = "tests.fake_stages:Cut"
flow = "curate"
num_clips = {num_clips}

[[stage]]
use = "tests.fake_stages:Size"
flow = "curate"
scale = {scale}
ruler = {{ use = "tests.fake_stages:Ruler", revision = "{revision}" }}
[[stage.gate]]
measure = "size"
op = ">="
threshold = {threshold}

[[stage]]
use = "tests.fake_stages:Copy"
flow = "generate"

[[stage]]
use = "tests.fake_stages:Look"
flow = "generate"

[identities]
same_person_similarity = 0.9

[pairs]
num_per_clip = 1
test_share = 0.3
seed = 0

[votes]
annotators = "simulated"
num_a_pair = 3
seed = 0
"""


def write_profile(path: Path, **override: object) -> str:
    """A profile of the four stages; gives its name for `recipe.load`."""
    values = {"num_clips": 2, "scale": 1.0, "revision": "1", "threshold": 0.25}
    path.write_text(PROFILE.format(**(values | override)))
    return str(path)
