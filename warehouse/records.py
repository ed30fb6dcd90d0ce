"""The nouns of the road from source to policy, as they stand in the warehouse. Ids are made from content (`ids.py`).

    source -> clip -> subject -> reference -> candidate -> pair -> vote -> label -> snapshot -> reward model -> policy

A record that a stage made carries `fact_key`: the fact it came with, hence stage, version, parameters and weights.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from warehouse.spans import Span

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the source's frames; half-open, y downwards."""


class Outcome(StrEnum):
    """What one vote or one label says of a pair, in the order that training uses: A 0, tie 1, B 2."""

    A = "A"
    TIE = "tie"
    B = "B"

    @property
    def code(self) -> int:
        return list(Outcome).index(self)

    def swapped(self) -> "Outcome":
        """The same answer, with the two sides exchanged."""
        return {Outcome.A: Outcome.B, Outcome.B: Outcome.A}.get(self, self)


class Origin(StrEnum):
    """Who voted. The three are never mixed in one label."""

    HUMAN = "human"
    VLM = "vlm"
    SIMULATED = "simulated"


class Purpose(StrEnum):
    """Why a pair is shown to somebody."""

    VOTE = "vote"
    GOLD = "gold"
    """Its answer is known; every annotator is asked, and the vote counts like any other."""
    REPEAT = "repeat"
    """Shown again, sides as before, to those who voted on it: whether they look. Never counted in a label."""
    SWAPPED_REPEAT = "swapped_repeat"
    """Shown again with the sides exchanged: whether they favour a side. Never counted in a label."""

    @property
    def is_repeat(self) -> bool:
        return self in (Purpose.REPEAT, Purpose.SWAPPED_REPEAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One video file with the caption that came with it; where a data set has rows, one row of it."""

    source_id: str
    dataset: str
    path: str
    """Absolute path of the file, inside the dataset's root; of a file in a tar: of the tar, or its first split."""
    sha256: str
    """Of the video file's bytes, in a tar too."""
    num_bytes: int
    caption: str | None
    """None: no caption came with the file."""
    extra: str | None
    """What else the data set said about it: a JSON object, kept as it came."""
    member: str | None = None
    """The file's name inside the tar; None: `path` is the file itself."""
    offset: int | None = None
    """Byte of the tar, all splits joined, at which the file begins; None: `path` is the file itself."""
    annotation_sha256: str | None = None
    """A Parquet file of the media store, with what the data set says of a few hundred sources
    (`flows.stages.annotated`); None: it says nothing but the caption."""
    annotation_row: int | None = None
    """0-based row in that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A half-open span of one shot of a source."""

    clip_id: str
    source_id: str
    fact_key: str
    shot_index: int
    start_frame: int
    end_frame: int
    start: Fraction
    end: Fraction
    """Seconds since the source's first frame."""
    frame_rate: Fraction
    """The container's average rate, frames a second; for display only: times come from `start` and `end`."""
    width_px: int
    height_px: int
    """Size as displayed: rotation flags are applied."""

    def __post_init__(self) -> None:
        _ = self.span  # which refuses what is none

    @property
    def span(self) -> Span:
        return Span(start_frame=self.start_frame, end_frame=self.end_frame, start=self.start, end=self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One person in a clip."""

    subject_id: str
    clip_id: str
    fact_key: str
    subject_index: int
    """0-based, left to right at the key frame."""
    phrase: str | None
    """The caption's words for this person; None where caption and picture could not be matched."""
    key_frame: int
    """Frame of the source in which the subject shows best."""
    box_px: Box
    """The whole person at the key frame."""
    face_box_px: Box | None
    track_sha256: str
    """A Parquet file of the media store: one row a frame looked at (`flows.stages.tracks`)."""
    identity_vector: tuple[float, ...] | None
    """Unit-free vector of the recogniser named beside it; None: no face could be read."""
    identity_model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture of one subject: a crop of the clip, or a re-synthesised view."""

    reference_id: str
    subject_id: str
    clip_id: str
    fact_key: str
    view: str
    """`crop`, or the name of the view or prompt that made it."""
    synthesizer: str | None
    """Engine or model that made it; None: it was cut out of a frame."""
    prompt: str | None
    """The words that a model was given; None: none."""
    is_resynthesised: bool
    """True only where a generative model drew it anew."""
    sha256: str
    width_px: int
    height_px: int
    face_px: float | None
    """Width of its face in its own pixels; None: no face could be read in it."""
    sharpness: float | None
    """Variance of its face's Laplacian (of the whole picture where no face was read), higher is sharper; None: it was
    made before this was measured."""
    copy_paste_score: float | None
    """1: it is cut out of the frames looked at; 0: it is like none of them. None: nothing to compare."""
    identity_score: float | None
    """Cosine similarity of its face to the subject's identity vector; None: no face could be read in it."""
    identity_vector: tuple[float, ...] | None
    is_chosen: bool
    """The one that stands for its subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One video for a clip's prompt and references. The original is one too."""

    candidate_id: str
    clip_id: str
    fact_key: str
    generator: str
    """`original`, a distortion's name, or the generating model's."""
    severity: float | None
    """0 (untouched) to 1; None where the generator is no known distortion."""
    seed: int | None
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two candidates of one clip, in canonical order (candidate_a < candidate_b by id)."""

    pair_id: str
    clip_id: str
    candidate_a: str
    candidate_b: str
    is_swapped: bool
    """True: annotators see `candidate_b` on side A, unless a showing says otherwise. Drawn from the seed."""
    kind: str
    """`original_vs_generated` or `generated_vs_generated`."""
    split: str
    """`train` or `test`: drawn for the identities first, so that no identity stands on both sides."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The answer of one annotator about one pair as it stands, side swap undone. Table `vote_event` has its history."""

    vote_id: str
    pair_id: str
    annotator: str
    origin: Origin
    outcome: Outcome | None
    """None: a person declared a video broken, or a model abstained; the vote says nothing of the pair."""
    is_known: bool
    """False: the annotator is not on the roll; the vote is kept and never counted."""
    purpose: Purpose
    is_swapped: bool
    """True: the voter saw `candidate_b` on side A."""
    face: Outcome | None
    """Facial consistency alone; None: not answered, as for the other two criteria."""
    quality: Outcome | None
    align: Outcome | None
    cast_at: str
    """ISO 8601 in UTC, as the board gave it."""
    seconds: float | None
    """Time the annotator took; None: the board did not say."""
    comment: str | None
    raw: str
    """The board's own answer, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The settled outcome of a pair under a named policy; one row also for a pair that could not be settled."""

    pair_id: str
    policy: str
    outcome: Outcome | None
    """None: not settled; `reason` says why."""
    reason: str
    """`majority`, `posterior`, `original by default` where nobody was asked, or `no votes`, `too few votes`, `split`"""
    origin: Origin | None
    """Of the votes it was settled from; None: there were none."""
    num_votes: int
    num_a: int
    num_tie: int
    num_b: int
