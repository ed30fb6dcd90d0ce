"""What a stage may ask of a network, or of what stands in for one. Weights load once a worker, at first use.

Pictures are `uint8` arrays (height, width, 3) in RGB; boxes are (x0, y0, x1, y1) in pixels of the picture given,
half-open; masks are `bool` arrays (height, width); vectors are `float32`. Every engine has `revision`: a text that
changes whenever its weights or its code may answer differently; it is part of every fact's key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flows.stages.frames import Frame
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
    picture: Picture
    is_resynthesised: bool


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

    def cuts(self, frames: Iterator[Frame]) -> Sequence[int]:
        """Indices of the first frame of every new shot, ascending, without 0."""
        ...


class CaptionParser(Protocol):
    revision: str

    def parse(self, captions: Sequence[str]) -> Sequence[ParsedCaption]: ...


class FaceReader(Protocol):
    revision: str
    model: str
    """Name of the recogniser: vectors of different models are never compared."""
    same_person_similarity: float
    """Cosine similarity above which two vectors are taken to be one person's, as its authors state it."""

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        """The faces of each picture, left to right."""
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
    revision: str

    def views(self, picture: Picture) -> Sequence[View]: ...


class Generator(Protocol):
    revision: str

    def generate(self, request: Request) -> Iterator[Generated]: ...


class TextVideoScorer(Protocol):
    revision: str

    def score(self, prompt: str, frames: Sequence[Picture]) -> float:
        """Similarity of text and video, in the scorer's own unit."""
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


class Judge(Protocol):
    revision: str
    name: str

    def vote(self, a: Sight, b: Sight) -> str | None:
        """`A`, `tie` or `B`; None: it abstains."""
        ...
