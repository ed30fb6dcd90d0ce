"""Judges that compare one measured value of two candidates: each looks at one thing, and abstains where it is unknown.

They disagree where people do: a frozen face keeps its likeness and never flickers; a blurred one may still be known.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows.engines.ports import Judgement, Question, Sight


@dataclass(slots=True, kw_only=True)
class MeasuredJudge:
    """Votes for the side whose value is higher by at least the tie margin."""

    name: str
    value: Callable[[Sight], float | None]
    """What it looks at, higher is better; None: unknown."""
    tie_margin: float
    revision: str
    num_inferences: int = 1

    def vote(self, questions: Sequence[Question]) -> list[Judgement]:
        return [self._judgement(self.prefers(asked.a.sight, asked.b.sight)) for asked in questions]

    def _judgement(self, outcome: str | None) -> Judgement:
        comment = None if outcome else "abstains: what it looks at was not measured on both sides"
        return Judgement(outcome=outcome, comment=comment)

    def prefers(self, a: Sight, b: Sight) -> str | None:
        """`A`, `tie` or `B`; None where a value is unknown on either side."""
        value_a, value_b = self.value(a), self.value(b)
        if value_a is None or value_b is None:
            return None
        if abs(value_a - value_b) < self.tie_margin:
            return "tie"
        return "A" if value_a > value_b else "B"


def identity_judge(*, tie_margin: float = 0.01) -> MeasuredJudge:
    """Whose faces are the references': half the mean cosine similarity and half the worst frame's.

    The balance is ID-Crafter's, gamma = 0.5 (table S.4).
    """
    return MeasuredJudge(name="identity_judge", value=_identity, tie_margin=tie_margin, revision=f"1, {tie_margin}")


def sharpness_judge(*, tie_margin: float = 0.2) -> MeasuredJudge:
    """Which is sharper. The margin is in natural logarithms: 0.2 is about a fifth of the sharpness."""
    return MeasuredJudge(name="sharpness_judge", value=_sharpness, tie_margin=tie_margin, revision=f"1, {tie_margin}")


def flicker_judge(*, tie_margin: float = 0.5) -> MeasuredJudge:
    """Whose brightness is steadier. The margin is in 8-bit levels, as flicker is."""
    return MeasuredJudge(name="flicker_judge", value=_steadiness, tie_margin=tie_margin, revision=f"1, {tie_margin}")


def _identity(sight: Sight) -> float | None:
    if sight.identity_mean is None or sight.identity_min is None:
        return None
    return (sight.identity_mean + sight.identity_min) / 2


def _sharpness(sight: Sight) -> float | None:
    return None if sight.sharpness is None else math.log1p(sight.sharpness)


def _steadiness(sight: Sight) -> float | None:
    return None if sight.flicker is None else -sight.flicker
