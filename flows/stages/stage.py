"""What a stage is: plain Python that turns items into facts. It never throws an item away and never judges one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from flows.stages.frames import Video, VideoUnreadable
from warehouse.media import MediaStore
from warehouse.records import Candidate, Clip, Reference, Source, Subject

Record = Clip | Subject | Reference | Candidate
"""What a stage can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """A source on its way through the stages that take sources."""

    source: Source
    video: Video
    media: MediaStore
    facts: Mapping[str, Any]
    """Facts of the stages passed so far, by stage name."""
    fact_key: str
    """Of the fact that is being made: records made with it carry it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipItem:
    """A clip, with all that is known of it so far."""

    source: Source
    clip: Clip
    video: Video
    """The whole source's, shared by all its clips and stages so that it is decoded once; the clip is
    `[clip.start_frame, clip.end_frame)` of it."""
    media: MediaStore
    facts: Mapping[str, Any]
    fact_key: str
    subjects: Sequence[Subject]
    references: Sequence[Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateItem:
    """A candidate, with its clip's subjects and references."""

    source: Source
    clip: Clip
    candidate: Candidate
    video: Video
    """The candidate's own."""
    media: MediaStore
    facts: Mapping[str, Any]
    """Of the candidate's stages."""
    fact_key: str
    subjects: Sequence[Subject]
    references: Sequence[Reference]


FactT = TypeVar("FactT", covariant=True)
ItemT = TypeVar("ItemT", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[FactT]):
    """The item was measured: one row of values and, where the stage makes nouns, their records."""

    fact: FactT
    made: Sequence[Record] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The item could not be measured."""

    reason: str
    """A few words that many items share: failures are counted and grouped by it."""
    exception: str = ""
    """What happened to this one item."""


class Stage(Protocol[ItemT, FactT]):
    """One step of a recipe. A frozen dataclass: its fields, engine included, are its whole configuration."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Bump it when the same input may get another answer."""
    takes: ClassVar[type[Any]]
    """SourceItem, ClipItem or CandidateItem."""
    fact: ClassVar[type[Any]]
    """A frozen dataclass of plain values: the columns of the stage's table."""
    needs: ClassVar[Sequence[str]]
    """Names of the stages whose facts or records it reads: it is computed anew when one of them changes."""

    def __call__(self, batch: Sequence[ItemT], /) -> Sequence[Done[FactT] | Failed]:
        """One outcome an item, in order. If it raises, the runner splits the batch to find the culprit."""
        ...


def one_by_one(
    measure: Callable[[ItemT], Done[FactT] | Failed], batch: Sequence[ItemT]
) -> Sequence[Done[FactT] | Failed]:
    """The outcomes of a stage that looks at one item at a time. A video that cannot be read fails its item alone."""
    return [_outcome(measure, item) for item in batch]


def _outcome(measure: Callable[[ItemT], Done[FactT] | Failed], item: ItemT) -> Done[FactT] | Failed:
    try:
        return measure(item)
    except VideoUnreadable as error:
        return Failed(reason=error.reason, exception=error.detail)
