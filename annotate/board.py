"""Where pairs are shown and answers given: the Protocol `PairBoard`, and what goes to and fro."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from warehouse import ids
from warehouse.board_records import Showing
from warehouse.records import Pair, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """By which rules a task is given to annotators; no annotator ever sees it. Fields as in `Showing`."""

    purpose: Purpose = Purpose.VOTE
    repeats: str | None = None
    num_votes: int | None = 3
    num_agreeing: int | None = None
    priority: float = 0.0
    is_withdrawn: bool = False


Region = tuple[float, float, float, float]
"""Left, top, width, height, in shares of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTask:
    """A showing as it goes to a board. Sides are as shown: the seeded swap is already made."""

    showing_id: str
    prompt: str | None
    references: tuple[str, ...]
    """File names in the board's media folder, in the order of `subject_index`."""
    video_a: str
    """File name of the video on side A; it tells neither the generator nor the candidate."""
    video_b: str
    dealing: Dealing
    faces: Region | None = None
    """Where the faces are on both sides, for the page to zoom to; None: not known of videos that are made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One annotation as Label Studio gives it; an edit keeps the id and moves `updated_at`."""

    id: int
    task: int
    """The board's number of the task."""
    completed_by: int | str
    """The board's own name of the person: a number in Label Studio."""
    result: tuple[Mapping[str, Any], ...]
    created_at: str
    updated_at: str
    lead_time: float | None
    """Seconds the annotator took; None: unknown."""
    was_cancelled: bool
    """True: the annotator skipped the pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredTask:
    """A task with every answer that stands on it now: an answer that is not here is gone."""

    number: int
    """The board's own."""
    task: PairTask
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Tasks that changed, and the mark to ask from next time."""

    tasks: tuple[AnsweredTask, ...]
    mark: str
    """Opaque; what came before it need not be asked for again."""


class PairBoard(Protocol):
    """Every board passes `tests/contract/test_board_contract.py`."""

    @property
    def name(self) -> str:
        """What its answers are known by: the same board keeps its name, another has another."""
        ...

    def publish(self, tasks: Sequence[PairTask]) -> int:
        """Put up the showings that are not up yet, and say how many these were. One that is up stays as it is, whatever
        happened to earlier attempts: a killed process, an answer that was lost."""
        ...

    def withdraw(self, showing_ids: Collection[str]) -> int:
        """Show these to nobody any more, and say how many were up and not withdrawn yet. Their answers stay."""
        ...

    def numbers(self) -> Mapping[str, int]:
        """Everything that is up, withdrawn or not: the board's number by showing id."""
        ...

    def changes(self, since: str | None = None) -> Arrivals:
        """Every task that was put up, answered, edited or skipped since the mark (None: ever). None is left out, one
        may come again unchanged. Tasks that were deleted are missing here; `numbers` tells of them."""
        ...

    def close(self) -> None:
        """Let go of connections, where there are any."""
        ...


def task_of(
    showing: Showing,
    pair: Pair,
    *,
    prompt: str | None,
    references: Sequence[str],
    videos: Mapping[str, str],
    faces: Region | None = None,
) -> PairTask:
    """A showing as it goes to a board. `videos`: file names by candidate id; here, and only here, sides are swapped."""
    a, b = pair.candidate_a, pair.candidate_b
    shown_a, shown_b = (b, a) if showing.is_swapped else (a, b)
    return PairTask(
        showing_id=showing.showing_id,
        prompt=prompt,
        references=tuple(references),
        video_a=videos[shown_a],
        video_b=videos[shown_b],
        dealing=Dealing(
            purpose=showing.purpose,
            repeats=showing.repeats,
            num_votes=showing.num_votes,
            num_agreeing=showing.num_agreeing,
            priority=showing.priority,
            is_withdrawn=showing.is_withdrawn,
        ),
        faces=faces,
    )


def number(*content: Any) -> int:
    """A whole number made from content, small enough (52 bits) for any JSON reader."""
    return int(ids.digest(list(content))[:13], 16)
