"""What a stage may ask of a network, or of what stands in for one. Weights load once a worker, at first use.

Pictures are `uint8` arrays (height, width, 3) in RGB; boxes are (x0, y0, x1, y1) in pixels of the picture given,
half-open; masks are `bool` arrays (height, width); vectors are `float32`. Every engine has `revision`: a text that
changes whenever its weights or its code may answer differently; it is part of every fact's key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flows.stages.frames import Frame, Proxy
from flows.stages.stage import Failed
from warehouse.records import Box

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCaption:
    """What a caption says of the people in the clip."""

    phrases: tuple[str, ...]
    """One noun phrase a person, in the order of the text."""
    num_people: int | None
    """People the caption speaks of; None: it speaks of an uncounted number ("a crowd")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One face in one picture."""

    box_px: Box
    score: float
    """The detector's confidence, in its own unit."""
    frontalness: float
    """0 (profile) to 1 (looks into the camera)."""
    vector: Vector | None
    """Identity vector; None where it was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """One person found in a picture."""

    box_px: Box
    score: float
    phrase: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture of a subject made from another."""

    name: str
    """Of the view, or of the prompt."""
    picture: Picture
    is_resynthesised: bool
    """True only where a generative model drew it anew."""
    synthesizer: str | None
    """Engine or model that made it; None: it was cut out of a frame."""
    prompt: str | None = None
    """The words that the model was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a generator is given."""

    prompt: str
    references: tuple[Picture, ...]
    """One a subject, in the order of `subject_index`."""
    original: tuple[Frame, ...]
    """The clip's own frames, at the size wanted."""
    face_boxes: tuple[tuple[Box | None, ...], ...]
    """For each frame of `original`, each subject's face there, None where it is not seen."""
    frame_rate: Fraction
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A video that a generator made."""

    generator: str
    severity: float | None
    frames: tuple[Picture, ...]
    frame_rate: Fraction


class ShotDetector(Protocol):
    revision: str

    def cuts(self, frames: Iterator[Proxy]) -> Sequence[int]:
        """Indices of the first frame of every new shot, ascending, without 0."""
        ...


class CaptionParser(Protocol):
    revision: str

    def parse(self, captions: Sequence[str]) -> Sequence[ParsedCaption | Failed]:
        """What each caption says, in order; `Failed`: it could not be parsed."""
        ...


class FaceReader(Protocol):
    revision: str
    model: str
    """Name of the recogniser: vectors of different models are never compared."""
    same_person_similarity: float
    """Cosine similarity above which two vectors are taken to be one person's, as its authors state it."""

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        """The faces of each picture, left to right."""
        ...


class FrontalChecker(Protocol):
    revision: str

    def check(self, pictures: Sequence[Picture]) -> Sequence[bool | Failed | None]:
        """Whether each picture clearly shows a face from the front; None: it is not sure; `Failed`: no answer."""
        ...


class Grounder(Protocol):
    revision: str

    def ground(self, picture: Picture, phrases: Sequence[str], faces: Sequence[Face]) -> tuple[Grounded, ...]:
        """The people in a picture, left to right. `faces` are those already found there; an engine may ignore them."""
        ...


class Segmenter(Protocol):
    revision: str

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        """For each subject (a box in `frames[key_index]`) its mask in every frame, None where it is not seen."""
        ...


class Synthesizer(Protocol):
    @property
    def revision(self) -> str: ...

    @property
    def name(self) -> str:
        """Short name of the engine and its model: yields are counted by it."""
        ...

    def views(self, picture: Picture) -> Sequence[View]:
        """Other pictures of the person, each name once; what the engine could not make of this one is left out."""
        ...


class Generator(Protocol):
    revision: str

    def generate(self, request: Request) -> Iterator[Generated]: ...


class TextVideoScorer(Protocol):
    revision: str

    def score(self, items: Sequence[tuple[str, Sequence[Picture]]]) -> Sequence[float | Failed | None]:
        """Similarity of each text and the frames of its video, in the scorer's own unit, higher is closer.

        None: there is no text or no frame. `Failed`: this one could not be scored.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a judge may look at of one candidate: values measured before, None where unknown."""

    identity_mean: float | None
    """Mean cosine similarity of the subjects' faces to their references, over subjects and frames seen."""
    identity_min: float | None
    """The same, of the worst frame."""
    sharpness: float | None
    flicker: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two videos that a judge is shown."""

    video: Path
    """The candidate's file, in the media store."""
    sight: Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One pair, as it is shown to a judge once. Which candidate stands on which side is the asker's secret."""

    prompt: str | None
    """None: no text came with the clip."""
    references: tuple[Path, ...]
    """One picture a subject, in the order of `subject_index`: files of the media store."""
    a: Side
    b: Side
    seed: int
    """Of this one inference: a judge that draws its answer draws it from this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says of the two sides as they were shown."""

    outcome: str | None
    """`A`, `tie` or `B`; None: it abstains, which is no tie."""
    comment: str | None = None
    """Its reason in words; of an abstention, why."""


class Judge(Protocol):
    revision: str
    name: str
    num_inferences: int
    """How many independent answers about one pair are asked of it; 1 where it always says the same."""

    def vote(self, questions: Sequence[Question]) -> Sequence[Judgement | Failed]:
        """One answer a question, in order. `Failed`: this one could not be asked; it may be asked again."""
        ...
