"""Annotators that are formulas, so that a demonstration needs nobody. Their votes are always marked `simulated`.

They know what no person knows: which distortion made a candidate, and how severe it is. Everything they say is drawn
from a hash of seed, annotator and pair (of a repeat: and showing, so that they may change their mind), and goes to the
board as a page's answer would, about the sides as shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotate.board import Answer, AnsweredTask, number
from annotate.interface import Parsed, result_of
from annotate.memory_board import MemoryBoard
from annotate.votes import Annotator, Roll
from warehouse import ids
from warehouse.board_records import Showing
from warehouse.records import Candidate, Origin, Outcome, Pair

COST_AT_FULL_SEVERITY: Mapping[str, float] = {
    "original": 0.0,
    "flicker": 1.0,
    "blur": 1.2,
    "freeze": 1.5,
    "copy_paste": 2.0,
    "identity_drift": 2.5,
    "identity_warp": 3.0,
    "identity_swap": 4.0,
}
"""This simulation's own assumption, taken from no study: another person's face costs most, a face pasted lifelessly
less, and what leaves the face alone least. In an arbitrary unit; only differences matter."""

TIE_WIDTH = 0.25
"""Utility gaps no wider than this are truly ties; in the unit of the costs, as much an assumption as they are."""

MOMENT = "1970-01-01T00:00:00Z"
"""When simulated votes are cast: a formula has no clock, and the same seed must give the same bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAnnotator:
    """Errs, and ties, at the stated rates."""

    name: str
    error_rate: float
    """Share of pairs answered wrongly: for the worse video or, where truth is a tie, for either."""
    tie_rate: float
    """Share of pairs with a truly better video that are called a tie."""
    tie_width: float = TIE_WIDTH
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.error_rate, self.tie_rate) < 0 or self.error_rate + self.tie_rate > 1 or self.tie_width < 0:
            raise ValueError(f"{self.name}: rates must not be negative nor sum to more than 1")

    def vote(self, pair_id: str, gap: float, again: str | None = None) -> Outcome:
        """The answer where video A is better than B by `gap`; `again` is the showing, where it is a repeat."""
        draw, coin = self._draws(pair_id, again)
        is_wrong = draw < self.error_rate
        if abs(gap) <= self.tie_width:
            return (Outcome.A if coin < 0.5 else Outcome.B) if is_wrong else Outcome.TIE
        better = Outcome.A if gap > 0 else Outcome.B
        if is_wrong:
            return better.swapped()
        return Outcome.TIE if draw < self.error_rate + self.tie_rate else better

    def answer(self, task: int, showing: Showing, gap: float) -> Answer:
        """The answer to a showing's task, as a page would send it; `gap` is the utility of `candidate_a` over `_b`."""
        again = showing.showing_id if showing.purpose.is_repeat else None
        shown = self.vote(showing.pair_id, -gap if showing.is_swapped else gap, again)
        return Answer(
            id=number("answer", self.seed, self.name, showing.showing_id),
            task=task,
            completed_by=self.name,
            result=result_of(Parsed(outcome=shown)),
            created_at=MOMENT,
            updated_at=MOMENT,
            lead_time=None,
            was_cancelled=False,
        )

    def _draws(self, pair_id: str, again: str | None) -> tuple[float, float]:
        """Two numbers in [0, 1), uniform over pairs, and over repeats."""
        digest = ids.digest(["simulated", self.seed, self.name, pair_id, *([again] if again else [])])
        return int(digest[:13], 16) / 16**13, int(digest[13:26], 16) / 16**13


def annotators(seed: int) -> tuple[SimulatedAnnotator, ...]:
    """The three of a demonstration: a careful one, a steady one and a hasty one."""
    return (
        SimulatedAnnotator(name="simulated_careful", error_rate=0.02, tie_rate=0.03, seed=seed),
        SimulatedAnnotator(name="simulated_steady", error_rate=0.06, tie_rate=0.08, seed=seed),
        SimulatedAnnotator(name="simulated_hasty", error_rate=0.15, tie_rate=0.12, seed=seed),
    )


def roll(people: Sequence[SimulatedAnnotator]) -> Roll:
    """The roll that knows these annotators."""
    return {one.name: Annotator(name=one.name, origin=Origin.SIMULATED) for one in people}


def utility(candidate: Candidate) -> float:
    """How good a candidate is, in the unit of the costs: 0 for the original, less the worse it was distorted."""
    cost = COST_AT_FULL_SEVERITY.get(candidate.generator)
    if cost is None or (candidate.severity is None and cost > 0):
        raise ValueError(
            f"{candidate.candidate_id}: nobody knows how good a {candidate.generator!r} of severity "
            f"{candidate.severity} is; simulated annotators judge known distortions only, ask people"
        )
    return -cost * (candidate.severity or 0.0)


Open = Mapping[int, tuple[str, Sequence[SimulatedAnnotator]]]
"""By the board's number of a task: its showing, and who is asked about it and has not answered."""


def unanswered(board: MemoryBoard, people: Sequence[SimulatedAnnotator]) -> Open:
    """Which tasks wait for whom. Withdrawn ones wait for nobody, repeats for those who answered what they repeat."""
    tasks = board.changes().tasks
    answered = {task.task.showing_id: {str(answer.completed_by) for answer in task.answers} for task in tasks}
    waiting = {task.number: (task.task.showing_id, list(_asked(task, answered, people))) for task in tasks}
    return {number: (showing_id, asked) for number, (showing_id, asked) in waiting.items() if asked}


def answer_all(
    board: MemoryBoard,
    waiting: Open,
    showings: Mapping[str, Showing],
    pairs: Mapping[str, Pair],
    candidates: Mapping[str, Candidate],
) -> int:
    """Let each annotator answer what waits for them and whose showing is given, by id; how many answers were new."""
    known = sorted((showing_id, task, asked) for task, (showing_id, asked) in waiting.items() if showing_id in showings)
    return board.submit(
        [
            one.answer(task, showings[showing_id], _gap(pairs[showings[showing_id].pair_id], candidates))
            for showing_id, task, asked in known
            for one in asked
        ]
    )


def _asked(
    task: AnsweredTask, answered: Mapping[str, set[str]], people: Sequence[SimulatedAnnotator]
) -> Iterator[SimulatedAnnotator]:
    dealing = task.task.dealing
    for one in () if dealing.is_withdrawn else people:
        may = dealing.repeats is None or one.name in answered.get(dealing.repeats, ())
        if may and one.name not in answered[task.task.showing_id]:
            yield one


def _gap(pair: Pair, candidates: Mapping[str, Candidate]) -> float:
    """By how much `candidate_a` is better than `candidate_b`."""
    return utility(candidates[pair.candidate_a]) - utility(candidates[pair.candidate_b])
