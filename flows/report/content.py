"""What a report shows: plain values that `gather` reads and `page` lays out. Text here is not escaped yet."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from flows.report.agreement_content import AgreementPart
from flows.report.charts import Curve, Measured, Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, or a video's, whole content: `data:image/webp;base64,...` or `data:video/mp4;base64,...`."""

    uri: str
    width_px: int
    height_px: int
    alt: str
    """What it shows, in words."""
    poster: str | None = None
    """Of a video: its first frame, shown until it plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where an item comes from."""

    file: str
    """Name of the source's file."""
    frames: str = ""
    """`frames 0-48`; empty for a whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A headline number."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    name: str
    """As ingest called it."""
    words: str
    num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why items of one stage were dropped or failed."""

    verdict: str
    words: str
    gate: str
    """The gate's line, as `blur >= 5`; empty for a failure."""
    num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One row of the funnel: in = passed + dropped + failed (+ pending, while the road is not yet walked)."""

    name: str
    noun: str
    words: str
    num_in: int
    passed: int
    dropped: int
    failed: int
    pending: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedItem:
    item_id: str
    span: Span
    exception: str
    picture: Picture | None
    """The first frame that can still be read; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedGroup:
    """Items that failed at one stage for one reason."""

    stage: str
    reason: str
    num: int
    shown: tuple[FailedItem, ...]

    @property
    def retry(self) -> str:
        """The command that takes them up again."""
        return f"likeness retry --stage {self.stage} --reason {shlex.quote(self.reason)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """All that failed."""

    made_at: str
    failures: tuple[FailedGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedItem:
    item_id: str
    span: Span
    picture: Picture | None
    """None: the file could not be read again."""
    value: str
    """What the gate's measure was, as text: `6.38`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSheet:
    """Some of the items that one gate dropped."""

    stage: str
    reason: Reason
    shown: tuple[DroppedItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReference:
    picture: Picture
    view: str
    is_resynthesised: bool
    identity_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSubject:
    phrase: str | None
    identity: str | None
    num_clips: int
    """Clips in which this identity appears."""
    outline: Outline | None
    """None: not seen in the frame shown."""
    references: tuple[ShownReference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewYield:
    """What one way of making references is good for."""

    made_by: str
    """The synthesizer's name."""
    view: str
    num_made: int
    num_kept: int
    """Still the same person."""
    num_chosen: int
    identity_mean: float | None
    copy_paste_mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A clip's key frame with its subjects."""

    clip_id: str
    span: Span
    caption: str | None
    picture: Picture
    subjects: tuple[ShownSubject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One candidate of a pair."""

    name: str
    """`A` or `B`."""
    generator: str
    severity: float | None
    identity_mean: float | None
    video: Picture | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVote:
    annotator: str
    origin: str
    outcome: str
    """`A`, `tie`, `B` or `video broken`."""
    is_known: bool
    is_repeat: bool
    """True: the annotator had voted on the pair before; not counted."""
    is_swapped: bool
    """True: the annotator saw B on side A."""
    seconds: float | None
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPair:
    pair_id: str
    kind: str
    span: Span
    prompt: str | None
    split: str
    sides: tuple[Side, Side]
    references: tuple[ShownReference, ...]
    votes: tuple[ShownVote, ...]
    outcome: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """How many pairs of one split have which label."""

    split: str
    num_a: int
    num_tie: int
    num_b: int
    unsettled: tuple[tuple[str, int], ...]
    """By reason."""

    @property
    def num(self) -> int:
        return self.num_a + self.num_tie + self.num_b + sum(num for _, num in self.unsettled)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorRow:
    name: str
    origin: str
    is_known: bool
    num_votes: int
    num_a: int
    num_tie: int
    num_b: int
    num_broken: int
    num_settled: int
    """Votes with an outcome about pairs that have a label."""
    num_with_label: int
    """Of them, those that say what the label says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalRow:
    """How the originals fared against one generator, over settled pairs."""

    generator: str
    original_won: int
    tie: int
    original_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    policy: str
    origin: str
    """Whose votes the labels were settled from."""
    rows: tuple[LabelRow, ...]
    annotators: tuple[AnnotatorRow, ...]
    rivals: tuple[RivalRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Accuracies on held-out pairs, ties counted or not."""

    title: str
    words: str
    measured: tuple[Measured, ...]
    difference: Measured | None
    """Reward model minus face similarity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    checkpoint_id: str
    snapshot_id: str
    name: str
    num_train_pairs: int
    num_test_pairs: int
    num_test_ties: int
    loss: Curve
    accuracy: Curve
    accuracies: tuple[Accuracy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the policy makes of the same prompts, at one point of its training."""

    name: str
    clips: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    checkpoint_id: str
    snapshot_id: str
    name: str
    rewards: tuple[Curve, ...]
    """Mean reward by epoch: of the samples trained on, and on held-out clips."""
    warm_up: tuple[Curve, ...]
    """Losses by step."""
    judged_on: str
    """`5 held-out clips`."""
    before: float | None
    """Mean reward on them before the first epoch and after the last; None: no video could be measured."""
    after: float | None
    facts: tuple[tuple[str, str], ...]
    """Its main settings."""
    samples: tuple[Samples, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One noun of a checkpoint's lineage."""

    noun: str
    num: int
    detail: str
    first_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    profile: str
    recipe_key: str
    command: str
    versions: Mapping[str, str]
    seeds: Mapping[str, str]
    stages: tuple[tuple[str, str], ...]
    """Name and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything on the page."""

    title: str
    made_at: str
    story: tuple[str, ...]
    figures: tuple[Figure, ...]
    arrivals: tuple[Arrival, ...]
    stages: tuple[StageRow, ...]
    failures: tuple[FailedGroup, ...]
    sheets: tuple[ContactSheet, ...]
    scenes: tuple[Scene, ...]
    num_scenes: int
    """Clips with subjects, of which `scenes` shows some."""
    view_yields: tuple[ViewYield, ...] = ()
    pairs: tuple[ShownPair, ...]
    num_pairs: int
    labels: Labels | None
    agreement: AgreementPart | None
    """None: nobody of the labels' origin has voted yet."""
    reward: Reward | None
    policy: Policy | None
    lineage: tuple[Ancestor, ...]
    lineage_note: str
    """Why there is no lineage, or what is missing in it; empty: it is whole."""
    reproduce: Reproduce
