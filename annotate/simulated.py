"""Annotators that are formulas, so that a demonstration needs nobody. Their votes are always marked `simulated`.

They know what no person knows: which distortion made a candidate, and how severe it is. Everything they say is drawn
from a hash of seed, annotator and pair, and goes to the board as a page's answer would, about the sides as shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotate.board import Answer, MemoryBoard, number
from annotate.interface import Parsed, result_of
from annotate.votes import Annotator, Roll
from warehouse import ids
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

    def vote(self, pair_id: str, gap: float) -> Outcome:
        """The answer where video A is better than B by `gap`."""
        draw, coin = self._draws(pair_id)
        is_wrong = draw < self.error_rate
        if abs(gap) <= self.tie_width:
            return (Outcome.A if coin < 0.5 else Outcome.B) if is_wrong else Outcome.TIE
        better = Outcome.A if gap > 0 else Outcome.B
        if is_wrong:
            return better.swapped()
        return Outcome.TIE if draw < self.error_rate + self.tie_rate else better

    def answer(self, task: int, pair: Pair, gap: float) -> Answer:
        """The answer to a pair's task, as a page would send it; `gap` is the utility of `candidate_a` over `_b`."""
        shown = self.vote(pair.pair_id, -gap if pair.is_swapped else gap)
        return Answer(
            id=number("answer", self.seed, self.name, pair.pair_id),
            task=task,
            completed_by=self.name,
            result=result_of(Parsed(outcome=shown)),
            created_at=MOMENT,
            updated_at=MOMENT,
            lead_time=None,
            was_cancelled=False,
        )

    def _draws(self, pair_id: str) -> tuple[float, float]:
        """Two numbers in [0, 1), uniform over pairs."""
        digest = ids.digest(["simulated", self.seed, self.name, pair_id])
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


def answer_all(
    board: MemoryBoard,
    pairs: Mapping[str, Pair],
    candidates: Mapping[str, Candidate],
    people: Sequence[SimulatedAnnotator],
) -> int:
    """Let each annotator answer every task on the board whose pair is given, by id; how many answers were new."""
    known = [(task, pairs[shown.pair_id]) for task, shown in board.tasks().items() if shown.pair_id in pairs]
    given = [
        one.answer(task, pair, utility(candidates[pair.candidate_a]) - utility(candidates[pair.candidate_b]))
        for task, pair in sorted(known, key=lambda item: item[1].pair_id)
        for one in people
    ]
    return board.submit(given)
